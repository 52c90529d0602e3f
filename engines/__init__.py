"""Engines: what runs a network, behind one protocol; and pictures through them.

    from engines import open_engine, upscale

Nothing is imported before one of these names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engines.api import open_engine, upscale

__all__ = ["open_engine", "upscale"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'engines' has no attribute {name!r}")
    from engines import api

    return getattr(api, name)
