"""What tiles change, measured against the picture whole."""

import numpy as np
import pytest

from efdn.errors import UsageError
from engines.tiling.memory import HOST_BYTES_A_PIXEL
from engines.tiling.options import TileOptions
from engines.tiling.verify import BAND, middle_that_fits, verify_tiles
from tests.inference_samples import Array, FakeEngine, fixed, random_pixels


def test_tiles_of_equal_pixels_measure_as_equal() -> None:
    errors = list(verify_tiles(FakeEngine(), random_pixels(100, 120, 3), TileOptions(side=64), overlaps=(8,)))
    assert [error.overlap for error in errors] == [8, 16]
    for error in errors:
        # Blending is in single precision.
        assert error.interior.levels == error.border.levels == 0
        assert error.interior.psnr_db > 130
        assert error.tiles > 1
        assert error.cost > 1
    assert errors[0].to_json()["interior"]["levels"] == 0


def test_what_tiles_change_is_measured_inside_and_at_the_border_apart() -> None:
    engine = FakeEngine(1)
    pixels = np.full((100, 100, 3), 100, np.uint8)

    def darker(y: Array) -> Array:
        # Tiles come out one level darker than the picture whole.
        if y.shape[2] > 100:
            return y
        return np.asarray(y - np.float32(1))

    engine.corrupt = darker
    (error,) = verify_tiles(engine, pixels, TileOptions(side=80, overlap=16), overlaps=())
    assert error.interior.levels == error.border.levels == 1
    assert error.interior.largest == pytest.approx(1, abs=1e-4)
    assert error.interior.psnr_db == pytest.approx(48.13, abs=0.01)
    assert BAND == 16


def test_pictures_that_tiles_do_not_cut_cannot_be_verified() -> None:
    with pytest.raises(UsageError, match=r"is one tile of .* give a larger one, or a smaller --tile"):
        list(verify_tiles(FakeEngine(), random_pixels(20, 20, 3)))
    with pytest.raises(UsageError, match="leave out --tile 0"):
        list(verify_tiles(FakeEngine(2, (fixed(64, 64),)), random_pixels(80, 80, 3)))


def test_the_middle_is_taken_of_what_does_not_fit_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.tiling import verify

    monkeypatch.setattr(verify, "free_bytes", lambda: 2 * HOST_BYTES_A_PIXEL * 50 * 50)
    pixels = random_pixels(200, 100, 3)
    part = middle_that_fits(FakeEngine(), pixels)
    assert part.shape[0] * part.shape[1] <= 50 * 50
    assert part.shape[0] // part.shape[1] == 2
    top = (200 - part.shape[0]) // 2
    left = (100 - part.shape[1]) // 2
    np.testing.assert_array_equal(part, pixels[top : top + part.shape[0], left : left + part.shape[1]])
    small = random_pixels(50, 50, 3)
    assert middle_that_fits(FakeEngine(), small) is small
