"""Failed runs, as errors that tell whether memory was short."""

from __future__ import annotations

from efdn.errors import EngineError, OutOfMemoryError

SHORT_OF_MEMORY = ("bad_alloc", "failed to allocate", "can't allocate memory", "not enough memory", "out of memory")
"""What ONNX Runtime, PyTorch, OpenVINO and CUDA say, in lower case."""


def run_error(message: str, said: str) -> EngineError:
    """An error for a run that failed.

    Args:
        message: for people.
        said: what the library said, in full.

    Returns:
        OutOfMemoryError where that was for want of memory: smaller tiles may do.
    """
    words = said.lower()
    return OutOfMemoryError(message) if any(word in words for word in SHORT_OF_MEMORY) else EngineError(message)
