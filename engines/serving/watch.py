"""A picture at work as others see it: how far it is, and that it is to stop."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Literal

from numpy.typing import NDArray

from engines.protocol import Arrays, DeviceMemory, Engine, StagedEngine, Timestamp
from engines.serving.turns import Turns

Phase = Literal["reading", "upscaling", "writing"]

CHANNELS = 3
"""Of what engines are given: gray pictures go through as three equal channels."""


class Watch:
    """Between the thread that works on a picture and the one that answers requests.

    Attributes:
        phase: what is being done.
        share: of the work, 0..1; it never falls.
        expected_pixels: of tiles that the engine will be given in all; 0 if that is not known.
    """

    def __init__(self) -> None:
        self.phase: Phase = "reading"
        self.share = 0.0
        self.expected_pixels = 0.0
        self._run_pixels = 0
        self._stop: Exception | None = None

    def stop(self, error: Exception) -> None:
        """Has the work end with `error`, at the next tile. Only the first wish counts."""
        self._stop = self._stop or error

    def ran(self, pixels: int) -> None:
        """The engine has done a tile of so many pixels: a row of tiles may take minutes."""
        self._run_pixels += pixels
        if self.expected_pixels > 0:
            self._raise(self._run_pixels / self.expected_pixels)

    def made(self, share: float) -> None:
        """So much of the result's rows is there."""
        self._raise(share)

    def _raise(self, share: float) -> None:
        self.share = max(self.share, min(1.0, share))

    def check(self) -> None:
        """Raises what the work is to end with, if it is to end."""
        if self._stop is not None:
            raise self._stop


class WatchedEngine(Engine):
    """An engine on one picture, which looks for a wish to stop before each run.

    Args:
        engine: open; it is not closed with this one.
        watch: the picture's.
        turns: by which its runs take turns with those on other pictures; None where any number may run at once.
    """

    def __init__(self, engine: Engine, watch: Watch, turns: Turns | None) -> None:
        self.name, self.detail, self.model = engine.name, engine.detail, engine.model
        self.inputs, self.outputs, self.shapes = engine.inputs, engine.outputs, engine.shapes
        self._engine, self._watch, self._turns = engine, watch, turns

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        self._watch.check()
        with self._turns or nullcontext():
            self._watch.check()
            results = self._engine.infer(feeds)
        self._watch.ran(sum(values.size for values in feeds.values()) // CHANNELS)
        return results


class WatchedDeviceEngine(WatchedEngine, StagedEngine):
    """Likewise of an engine on a device: tiles are chosen by that, and must be those of `efdn-infer`."""

    def __init__(self, engine: StagedEngine, watch: Watch, turns: Turns | None) -> None:
        super().__init__(engine, watch, turns)
        self.guard = engine.guard
        self._staged = engine

    infer = WatchedEngine.infer

    def bind(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._staged.bind(feeds)

    def upload(self) -> None:
        self._staged.upload()

    def enqueue(self) -> None:
        self._staged.enqueue()

    def download(self) -> None:
        self._staged.download()

    def wait(self) -> None:
        self._staged.wait()

    def collect(self) -> Arrays:
        return self._staged.collect()

    def mark(self) -> Timestamp:
        return self._staged.mark()

    def device_memory(self) -> DeviceMemory:
        return self._staged.device_memory()


def watched(engine: Engine, watch: Watch, turns: Turns | None) -> Engine:
    """The engine, with an eye on one picture's watch."""
    if isinstance(engine, StagedEngine):
        return WatchedDeviceEngine(engine, watch, turns)
    return WatchedEngine(engine, watch, turns)
