"""`efdn-serve`: engines as one picture's work sees them."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import pytest

from efdn.errors import EngineError
from efdn.pictures.picture import Color, Picture
from engines.inference.wanted import Wanted
from engines.pictures.enlarge import enlarge
from engines.protocol import DeviceMemory, StagedEngine
from engines.serving.reckoning import expected_pixels
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


KINDS = {
    "rgb": Picture(pixels=np.zeros((300, 500, 3), np.uint8), color=Color.RGB),
    "one tile": Picture(pixels=np.zeros((40, 50, 3), np.uint8), color=Color.RGB),
    "cmyk": Picture(pixels=np.zeros((300, 500, 4), np.uint8), color=Color.CMYK),
    "alpha": Picture(
        pixels=np.zeros((300, 500, 1), np.uint8), alpha=np.eye(300, 500, dtype=np.uint8), color=Color.GRAY
    ),
    "flat alpha": Picture(
        pixels=np.zeros((300, 500, 3), np.uint8), alpha=np.full((300, 500), 9, np.uint8), color=Color.RGB
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_share_rises_with_every_tile_to_1(kind: str) -> None:
    shares: list[float] = []
    watch, fake, wanted = Watch(), FakeEngine(), Wanted()
    fake.corrupt = lambda y: (shares.append(watch.share), y)[1]  # type: ignore[func-returns-value]
    seen = watched(fake, watch, None)
    watch.expected_pixels = expected_pixels(seen, KINDS[kind], wanted)
    for _ in enlarge(seen, KINDS[kind]).rows:
        pass
    shares.append(watch.share)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert shares == sorted(set(shares)), "each tile counts"


def test_the_share_never_falls_and_stays_within_1() -> None:
    watch = Watch()
    watch.ran(100)
    assert watch.share == 0, "nothing is expected"
    watch.expected_pixels = 150
    watch.made(0.9)
    watch.ran(10)
    assert watch.share == 0.9
    watch.ran(1000)
    assert watch.share == 1


def test_the_stages_of_a_device_are_its_own() -> None:
    seen = watched(FakeDevice(), Watch(), None)
    assert isinstance(seen, StagedEngine)
    assert seen.device_memory() == DeviceMemory(free=1, total=2)
