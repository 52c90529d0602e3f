"""Many pictures in one run: found, given targets, upscaled while others are read and written, and accounted for."""
