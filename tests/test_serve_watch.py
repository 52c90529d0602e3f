"""`efdn-serve`: engines as one picture's work sees them."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import pytest

from efdn.errors import EngineError
from engines.protocol import DeviceMemory, StagedEngine
from engines.serving.turns import Turns
from engines.serving.watch import Watch, watched
from tests.inference_samples import FakeEngine

FEEDS = {"x": np.zeros((1, 3, 13, 13), np.float32)}


class FakeDevice(FakeEngine, StagedEngine):
    """An engine that says it is on a device."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = Lock()

    infer = FakeEngine.infer

    def _nothing(self, *_: Any) -> Any:
        return {}

    bind = upload = enqueue = download = wait = collect = mark = _nothing  # type: ignore[assignment]

    def device_memory(self) -> DeviceMemory:
        return DeviceMemory(free=1, total=2)


@pytest.mark.parametrize("engine", [FakeEngine(), FakeDevice()], ids=["host", "device"])
def test_a_watched_engine_is_as_the_engine_and_stops_when_it_is_to(engine: FakeEngine) -> None:
    watch = Watch()
    seen = watched(engine, watch, Turns())
    # Tiles are chosen by it.
    assert isinstance(seen, StagedEngine) is isinstance(engine, StagedEngine)
    assert (seen.name, seen.model, seen.shapes, seen.inputs) == (
        engine.name,
        engine.model,
        engine.shapes,
        engine.inputs,
    )
    assert seen.infer(FEEDS)["y"].shape == (1, 3, 26, 26)
    watch.stop(EngineError("first"))
    watch.stop(EngineError("second"))
    with pytest.raises(EngineError, match="first"):
        seen.infer(FEEDS)
    assert len(engine.sides) == 1


def test_the_stages_of_a_device_are_its_own() -> None:
    seen = watched(FakeDevice(), Watch(), None)
    assert isinstance(seen, StagedEngine)
    assert seen.device_memory() == DeviceMemory(free=1, total=2)
