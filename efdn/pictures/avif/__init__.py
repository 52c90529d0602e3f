"""AVIF, read at its full depth."""
