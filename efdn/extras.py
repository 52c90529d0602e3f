"""Importing packages that only an extra brings."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from efdn.errors import EngineError, MissingExtraError

DISTRIBUTIONS = {"cuda": "cuda-bindings"}
"""Packages whose distribution has another name."""


def import_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: to import.
        extra: of this distribution, which brings it.
        purpose: what needs it, as the subject of a sentence.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it is installed but does not load, for want of a library, say.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module == error.name or module.startswith(f"{error.name}."):
            package = module.split(".")[0]
            raise MissingExtraError(DISTRIBUTIONS.get(package, package), extra, purpose) from error
        raise _broken(module, extra, error) from error
    # Windows raises FileNotFoundError or OSError for a DLL that is missing, Linux ImportError for a library.
    except (ImportError, OSError) as error:
        raise _broken(module, extra, error) from error


def _broken(module: str, extra: str, error: Exception) -> EngineError:
    reason = " ".join(str(error).split())
    return EngineError(f"{module} is installed but does not load ({reason}): install the extra '{extra}' anew")
