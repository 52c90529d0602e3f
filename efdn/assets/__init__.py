"""Files that come with the package: default weights, their ONNX graph, a photo to verify exports on."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT_WEIGHTS = FOLDER / "efdn_x4.safetensors"
DEFAULT_ONNX = FOLDER / "efdn_x4.onnx"
VERIFICATION_PHOTO = FOLDER / "verification.png"
"""An LR photo, 8-bit RGB: see `MODEL_CARD.md` for its source."""
