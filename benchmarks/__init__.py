"""Measurements that the README and the docs quote, each with the command that repeats it."""
