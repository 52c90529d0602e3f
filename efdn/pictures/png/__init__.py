"""PNG, still and animated, read and written."""
