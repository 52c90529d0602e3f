"""Whole pictures through an engine: any kind, any size, with alpha and what else they carry."""
