"""How an engine is to run, as far as that is for the user to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efdn.errors import ConfigError
from engines.cores import allowed_cores


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How an engine runs. Engines leave aside what does not concern them.

    Attributes:
        cuda_graph: record the network's kernels once and start them with one call (TensorRT).
        cache_dir: where compiled kernels are kept between runs; the user's cache folder if None.
        threads: of a CPU engine; as many as the process may use if None.
        cuda_provider: which bindings reach the GPU, "cuda-bindings" or "pycuda"; the first that is installed if None.
    """

    cuda_graph: bool = True
    cache_dir: Path | None = None
    threads: int | None = None
    cuda_provider: str | None = None

    def __post_init__(self) -> None:
        most = allowed_cores()
        if self.threads is not None and not 1 <= self.threads <= most:
            raise ConfigError(f"threads must be 1 to {most}, the cores that may be used here, got {self.threads}")


DEFAULT_OPTIONS = RunOptions()
