"""JPEG, read."""
