"""How good the pictures are: engines on benchmark sets, beside bicubic upscaling."""
