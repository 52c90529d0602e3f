"""How a picture is cut into tiles: shapes that engines take, padding, memory and what is asked for."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.errors import ConfigError, DeviceMemoryError, UsageError
from efdn.shapes import ShapeRange
from engines.tiling import upscaling
from engines.tiling.options import DEFAULT_PAD, TileOptions
from engines.tiling.plan import plan_tiles
from engines.tiling.upscaling import upscaled_rows
from tests.inference_samples import FakeEngine, between, fixed, random_pixels, repeated
from tests.tiling_samples import upscaled


@given(st.integers(14, 90), st.integers(14, 90), st.integers(14, 90))
@settings(max_examples=60)
def test_a_picture_of_the_engines_own_shape_is_one_tile(height: int, width: int, scale: int) -> None:
    engine = FakeEngine(2, (fixed(height, width),))
    plan = plan_tiles(engine, (height, width), TileOptions(), 288)
    assert (plan.count, plan.pad, plan.cost) == (1, 0, 1.0)


def test_padding_shrinks_only_where_that_saves_tiles() -> None:
    engine = FakeEngine(2, (fixed(256, 256),))
    pads = {side: plan_tiles(engine, (side, side), TileOptions(), 288).pad for side in (100, 240, 250, 256, 257)}
    assert pads == {100: DEFAULT_PAD, 240: DEFAULT_PAD, 250: 3, 256: 0, 257: DEFAULT_PAD}


def test_padding_that_is_asked_for_stays() -> None:
    plan = plan_tiles(FakeEngine(2, (fixed(256, 256),)), (256, 256), TileOptions(pad=8), 288)
    assert (plan.pad, plan.count, plan.tile) == (8, 4, (256, 256))


def test_of_several_shapes_the_one_that_computes_least_is_taken() -> None:
    engine = FakeEngine(2, (fixed(64, 64), fixed(128, 128), fixed(256, 256)))
    tiles = {side: plan_tiles(engine, (side, side), TileOptions(), 288).tile[0] for side in (40, 64, 110, 200, 256)}
    assert tiles == {40: 64, 64: 64, 110: 128, 200: 256, 256: 256}
    upscaled(engine, random_pixels(200, 210, 3), TileOptions())
    assert set(engine.sides) == {(256, 256)}


def test_oblong_shapes_are_met_side_by_side() -> None:
    engine = FakeEngine(2, (fixed(48, 80),))
    pixels = random_pixels(70, 61, 3)
    np.testing.assert_array_equal(upscaled(engine, pixels, TileOptions(overlap=8)), repeated(pixels))
    assert set(engine.sides) == {(48, 80)}


def test_tiles_stay_within_a_range_of_shapes() -> None:
    engine = FakeEngine(2, (between(40, 100),))
    for height, width in ((5, 300), (300, 30), (100, 100), (101, 99)):
        pixels = random_pixels(height, width, 3)
        for side in (None, 16, 64, 1000):
            np.testing.assert_array_equal(upscaled(engine, pixels, TileOptions(side=side, overlap=8)), repeated(pixels))
    assert all(40 <= low <= high <= 100 for low, high in map(sorted, engine.sides))


def test_never_to_tile_is_one_tile_or_refused() -> None:
    side = (300, 400)
    assert plan_tiles(FakeEngine(), side, TileOptions(side=0), 0).count == 1
    with pytest.raises(UsageError, match=r"300x400 pixels.*takes 40x40 to 310x410: leave out --tile 0"):
        plan_tiles(
            FakeEngine(2, (ShapeRange(min=(40, 40), opt=(40, 40), max=(310, 410)),)),
            side,
            TileOptions(side=0, pad=8),
            0,
        )
    assert (
        plan_tiles(
            FakeEngine(2, (ShapeRange(min=(40, 40), opt=(40, 40), max=(316, 416)),)), side, TileOptions(side=0), 0
        ).count
        == 1
    )
    with pytest.raises(UsageError, match="leave out --tile 0"):
        list(upscaled_rows(FakeEngine(2, (fixed(64, 64),)), random_pixels(65, 20, 3), TileOptions(side=0)))


def test_tiles_without_room_are_refused_with_the_least_that_has() -> None:
    with pytest.raises(
        UsageError, match=r"tiles of 40 pixels have no room for 16 pixels of overlap and 8 of padding: "
    ):
        list(upscaled_rows(FakeEngine(), random_pixels(100, 100, 3), TileOptions(side=40)))
    assert upscaled(FakeEngine(), random_pixels(100, 100, 3), TileOptions(side=44)).shape == (200, 200, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"side": -1}, "at least 0 pixels, got -1"),
        ({"overlap": 513}, "0 to 512 pixels, got 513"),
        ({"overlap": -1}, "0 to 512 pixels, got -1"),
        ({"pad": -1}, "0 to 512 pixels, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TileOptions(**options)


def test_too_little_memory_leads_to_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscaling, "sides_to_try", lambda engine: iter((192, 128, 96)))
    engine = FakeEngine(2, most_pixels=100 * 100)
    pixels = random_pixels(210, 190, 3)
    np.testing.assert_array_equal(upscaled(engine, pixels, TileOptions()), repeated(pixels))
    tried = [max(side) for side in engine.sides]
    assert tried[0] > 128 >= tried[1] > 96 >= tried[2]
    # Two attempts that came to nothing, and then no more.
    assert sum(max(side) > 96 for side in engine.sides) == 2


def test_memory_that_is_short_even_for_the_smallest_tiles_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscaling, "sides_to_try", lambda engine: iter((128, 96)))
    engine = FakeEngine(2, most_pixels=100)
    with pytest.raises(DeviceMemoryError, match="no room"):
        list(upscaled_rows(engine, random_pixels(200, 200, 3)))
    assert len(engine.sides) == 2


def test_a_side_that_was_asked_for_is_not_changed_for_want_of_memory() -> None:
    engine = FakeEngine(2, most_pixels=100)
    with pytest.raises(DeviceMemoryError):
        list(upscaled_rows(engine, random_pixels(200, 200, 3), TileOptions(side=128)))
    assert len(engine.sides) == 1


def test_fixed_shapes_are_not_tried_again_for_want_of_memory() -> None:
    engine = FakeEngine(2, (fixed(64, 64),), most_pixels=100)
    with pytest.raises(DeviceMemoryError):
        list(upscaled_rows(engine, random_pixels(200, 200, 3)))
    assert len(engine.sides) == 1


def test_starts_are_where_the_attention_pools() -> None:
    plan = plan_tiles(FakeEngine(), (1000, 700), TileOptions(), 192)
    for spans in (plan.rows, plan.columns):
        assert all((later.start - earlier.start) % 6 == 0 for earlier, later in pairwise(spans))
