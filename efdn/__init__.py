"""EFDN, a lightweight super-resolution network (x4), and what it takes to deploy it.

Importing this package loads neither PyTorch nor NumPy: the names below are
resolved on first use, so that command-line tools start at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from efdn.version import __version__

if TYPE_CHECKING:
    from efdn.config import EFDNConfig
    from efdn.deploy import DeployEFDN
    from efdn.folding import fold_batch_norms
    from efdn.network import EFDN
    from efdn.passes.pipeline import deploy_network
    from efdn.rfdn.network import RFDN
    from efdn.weights import load_network, save_network

__all__ = [
    "EFDN",
    "RFDN",
    "DeployEFDN",
    "EFDNConfig",
    "__version__",
    "deploy_network",
    "fold_batch_norms",
    "load_network",
    "save_network",
]

_HOMES = {
    "EFDN": "efdn.network",
    "RFDN": "efdn.rfdn.network",
    "DeployEFDN": "efdn.deploy",
    "EFDNConfig": "efdn.config",
    "deploy_network": "efdn.passes.pipeline",
    "fold_batch_norms": "efdn.folding",
    "load_network": "efdn.weights",
    "save_network": "efdn.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'efdn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
