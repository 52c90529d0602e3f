"""The two TensorRTs: their modules, and the extras that bring them."""

from __future__ import annotations

from types import ModuleType

from efdn.extras import import_extra

FLAVOURS = {"rtx": ("tensorrt_rtx", "rtx"), "tensorrt": ("tensorrt", "gpu")}
"""Per runtime, the module to import and the extra that brings it."""


def load_flavour(runtime: str, purpose: str) -> ModuleType:
    """The TensorRT module of a runtime.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it does not load.
    """
    module, extra = FLAVOURS[runtime]
    return import_extra(module, extra, purpose)


def is_rtx(trt: ModuleType) -> bool:
    """Whether the module is TensorRT for RTX, whose contexts have settings of their own."""
    return trt.__name__ == FLAVOURS["rtx"][0]
