"""PyTorch: the folded network, which is what runs weights files directly, and the published forms to compare with."""

from engines.pytorch.engine import PyTorchEngine
from engines.pytorch.open import (
    open_compiled,
    open_published,
    open_published_channels_last,
    open_published_half,
    open_published_tf32,
    open_pytorch,
)

__all__ = [
    "PyTorchEngine",
    "open_compiled",
    "open_published",
    "open_published_channels_last",
    "open_published_half",
    "open_published_tf32",
    "open_pytorch",
]
