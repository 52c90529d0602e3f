"""Opens the first GPU through whichever bindings are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from efdn.errors import MissingExtraError, UsageError
from engines.cuda.device import CudaDevice

PROVIDERS = {
    "cuda-bindings": "engines.cuda.bindings:BindingsDevice",
    "pycuda": "engines.cuda.pycuda:PyCudaDevice",
}
"""In the order in which they are tried."""


def open_device(provider: str | None = None) -> CudaDevice:
    """The first GPU.

    Args:
        provider: of `PROVIDERS`; the first that is installed if None.

    Raises:
        UsageError: no provider of that name.
        MissingExtraError: the provider, or all of them, are not installed.
        EngineError: there is no driver or no GPU.
    """
    if provider is not None:
        return _opened(provider)
    missing: MissingExtraError | None = None
    for name in PROVIDERS:
        try:
            return _opened(name)
        except MissingExtraError as error:
            missing = missing or error
    assert missing is not None
    raise missing


def _opened(name: str) -> CudaDevice:
    if name not in PROVIDERS:
        raise UsageError(f"no CUDA bindings {name!r}: expected {' or '.join(PROVIDERS)}")
    module, kind = PROVIDERS[name].split(":")
    return cast("Callable[[], CudaDevice]", getattr(import_module(module), kind))()
