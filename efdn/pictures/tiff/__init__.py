"""TIFF, of one page or several, read and written."""
