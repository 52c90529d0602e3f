"""What a worker is to run, and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from efdn.shapes import Side
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.select import AUTO


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An engine, what it runs and how.

    Attributes:
        engine: name in the registry, or "auto".
        model: file; the packaged model if None.
        options: how it runs.
    """

    engine: str = AUTO
    model: Path | None = None
    options: RunOptions = DEFAULT_OPTIONS

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a pipe."""
        options = asdict(self.options)
        options["cache_dir"] = None if self.options.cache_dir is None else str(self.options.cache_dir)
        return {"engine": self.engine, "model": None if self.model is None else str(self.model), "options": options}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Subject:
        """What `as_json` gave."""
        options = dict(content["options"])
        if options["cache_dir"] is not None:
            options["cache_dir"] = Path(options["cache_dir"])
        model = None if content["model"] is None else Path(content["model"])
        return cls(engine=content["engine"], model=model, options=RunOptions(**options))


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An engine that a worker has opened.

    Attributes:
        engine: its name.
        detail: versions and device.
        model: name of what it runs.
        scale: magnification.
        io: "float32" or "uint8", of input and output.
        shapes: pictures it takes, as text.
        largest_batch: pictures it takes at once; None if unbounded.
        staged: whether transfers are timed apart from the network.
        passed_over: engines that "auto" would have preferred, each with its reason.
        open_ms: time to choose and open it, imports included.
    """

    engine: str
    detail: str
    model: str
    scale: int
    io: str
    shapes: tuple[str, ...]
    largest_batch: int | None
    staged: bool
    passed_over: tuple[str, ...]
    open_ms: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run, in milliseconds; None for what the engine does not tell apart.

    Attributes:
        end_to_end: host time from 8-bit pictures to 8-bit pictures, conversions and transfers included.
        infer: host time of the engine's own work: transfers and network.
        h2d: copy to the device, on its clock.
        compute: the network, on the device's clock, or the host's for engines without stages.
        d2h: copy from the device, on its clock.
        enqueue: host time to start the network.
    """

    end_to_end: float
    infer: float
    compute: float
    h2d: float | None = None
    d2h: float | None = None
    enqueue: float | None = None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of a worker, in bytes; None for what the system does not tell.

    Attributes:
        host_peak: largest resident size of the process so far.
        host_before: resident size just before the first run.
        device_used: the device's memory in use, all processes together.
        device_total: the device's memory.
    """

    host_peak: int | None
    host_before: int | None
    device_used: int | None
    device_total: int | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run on.

    Attributes:
        shape: height and width of the pictures.
        batch: pictures at once.
    """

    shape: Side
    batch: int = 1
