"""Which pictures belong together, and which are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efdn import bicubic
from efdn.errors import ImageError
from engines.evaluation.pairs import find_all_sets
from engines.evaluation.pictures import Checks, check_pair, read_pair
from tests.conftest import noise
from tests.evaluation_samples import only, save, save_pair

CHECKS = Checks(scale=4, border=4, pad=0, max_pixels=640_000)


@pytest.mark.parametrize(
    ("hr", "lr", "name"),
    [
        ("Set5/HR/a.png", "Set5/LRx4/a.png", "Set5"),
        ("Set5/HR/a.bmp", "Set5/LR/a.png", "Set5"),
        ("Set14/HR/a.png", "Set14/LR_bicubic/X4/ax4.png", "Set14"),
        ("DIV2K/DIV2K_valid_HR/0801.png", "DIV2K/DIV2K_valid_LR_bicubic/X4/0801x4.png", "DIV2K_valid"),
    ],
)
def test_layouts_of_pairs(tmp_path: Path, hr: str, lr: str, name: str) -> None:
    save_pair(tmp_path / hr, tmp_path / lr)
    for folder in (tmp_path, (tmp_path / hr).parents[1]):
        (found,) = find_all_sets([folder], 4)
        assert (found.name, found.found) == (name, 1)
        assert (found.pairs[0].hr, found.pairs[0].lr) == (tmp_path / hr, tmp_path / lr)


def test_layouts_without_lr(tmp_path: Path) -> None:
    save(tmp_path / "Urban/HR/a.png", noise(32, 32))
    save(tmp_path / "Urban/LRx2/a.png", noise(16, 16))
    save(tmp_path / "photos/b.jpg", noise(32, 32))
    save(tmp_path / "photos/.hidden.png", noise(8, 8))
    for folder in (tmp_path, tmp_path / "Urban", tmp_path / "Urban/HR", tmp_path / "photos"):
        sets = find_all_sets([folder], 4)
        assert {entry.name for entry in sets} <= {"Urban", "photos"}
        assert all(entry.lr_folder is None and entry.pairs[0].lr is None for entry in sets)
    assert len(find_all_sets([tmp_path], 4)) == 2
    assert find_all_sets([tmp_path / "Urban"], 2)[0].lr_folder == tmp_path / "Urban/LRx2"


def test_small_sets_come_first_and_once_and_only_some_pictures_are_taken(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"A/HR/{number}.png", noise(32, 32))
    save(tmp_path / "B/HR/0.png", noise(32, 32))
    save(tmp_path / "other/B/HR/0.png", noise(32, 32))
    sets = find_all_sets([tmp_path, tmp_path / "A", tmp_path / "other"], 4, at_most=2)
    assert [entry.name for entry in sets] == [str(tmp_path / "B/HR"), str(tmp_path / "other/B/HR"), "A"]
    assert ([pair.name for pair in sets[-1].pairs], sets[-1].found) == (["0", "1"], 3)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none is not there: expected a folder with HR and LRx4"):
        find_all_sets([tmp_path / "none"], 4)
    with pytest.raises(ImageError, match=r"no pictures in .*expected a folder with HR and LRx3"):
        find_all_sets([tmp_path], 3)
    save_pair(tmp_path / "S/HR/a.png", tmp_path / "S/LRx4/a.png")
    save(tmp_path / "S/HR/b.png", noise(32, 32))
    with pytest.raises(ImageError, match=r"no LR picture for .*b.png: expected b.png or bx4.png in .*LRx4"):
        find_all_sets([tmp_path], 4)


def test_lr_is_made_of_what_fits_the_scale(tmp_path: Path) -> None:
    pixels = noise(35, 42)
    save(tmp_path / "a.png", pixels)
    pair = only(tmp_path).pairs[0]
    assert check_pair(pair, CHECKS) == (8, 10)
    hr, lr = read_pair(pair, 4)
    np.testing.assert_array_equal(hr, pixels[:32, :40])
    np.testing.assert_array_equal(lr, bicubic.downscale(pixels[:32, :40], 4))


def test_hr_is_cropped_to_lr_files_that_were_made_of_the_cropped_picture(tmp_path: Path) -> None:
    pixels = noise(34, 41)
    save(tmp_path / "HR/a.png", pixels)
    save(tmp_path / "LRx4/a.png", noise(8, 10, 1))
    pair = only(tmp_path).pairs[0]
    assert check_pair(pair, CHECKS) == (8, 10)
    hr, lr = read_pair(pair, 4)
    assert (hr.shape, lr.shape) == ((32, 40, 3), (8, 10, 3))
    np.testing.assert_array_equal(lr, noise(8, 10, 1))


def test_gray_pictures_are_measured_as_rgb(tmp_path: Path) -> None:
    gray = noise(32, 40)[..., 0]
    save(tmp_path / "HR/a.png", gray)
    save(tmp_path / "LRx4/a.png", gray[::4, ::4])
    hr, lr = read_pair(only(tmp_path).pairs[0], 4)
    np.testing.assert_array_equal(hr, gray[..., None].repeat(3, axis=2))
    assert lr.shape == (8, 10, 3)


def test_pictures_are_seen_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(32, 48)).save(tmp_path / "a.jpg", exif=exif)
    pair = only(tmp_path).pairs[0]
    assert check_pair(pair, CHECKS) == (12, 8)
    assert read_pair(pair, 4)[0].shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("hr", "lr", "checks", "said"),
    [
        ((32, 40), (8, 11), CHECKS, r"HR.a\.png and .*LRx4.a\.png are no pair: x4 of 8x11 is 32x44, .* has 32x40"),
        ((32, 40), (16, 20), CHECKS, r"x4 of 16x20 is 64x80"),
        ((16, 40), (4, 10), CHECKS, r"a\.png has 16x40 pixels: expected at least 19 a side.*--border"),
        ((32, 40), (8, 10), Checks(scale=4, border=4, pad=0, max_pixels=79), r"LR picture of 8x10, more than .* 79 "),
        (
            (32, 40),
            (8, 10),
            Checks(scale=4, border=4, pad=2, max_pixels=100),
            r"padding 12x14.*9 GB.*--max-pixels",
        ),
    ],
)
def test_pairs_that_cannot_be_measured_name_their_files(
    tmp_path: Path, hr: tuple[int, int], lr: tuple[int, int], checks: Checks, said: str
) -> None:
    save(tmp_path / "HR/a.png", noise(*hr))
    save(tmp_path / "LRx4/a.png", noise(*lr))
    with pytest.raises(ImageError, match=said):
        check_pair(only(tmp_path).pairs[0], checks)


def spoil_palette(path: Path) -> None:
    Image.fromarray(noise(32, 40)).quantize(16).save(path)


def spoil_alpha(path: Path) -> None:
    Image.fromarray(np.zeros((32, 40, 4), np.uint8)).save(path)


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(spoil_palette, "palette"), (spoil_alpha, "alpha"), (spoil_header, "is not a PNG, BMP, JPEG or WebP")],
)
def test_pictures_of_other_kinds_are_refused_before_anything_runs(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(tmp_path / "a.png")
    with pytest.raises(ImageError, match=said):
        check_pair(only(tmp_path).pairs[0], CHECKS)


def test_a_truncated_gray_picture_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise(64, 64)[..., 0])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"a\.png cannot be read .*: get a whole copy"):
        read_pair(only(tmp_path).pairs[0], 4)
