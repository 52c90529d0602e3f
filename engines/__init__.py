"""Engines: what runs a network, behind one protocol."""
