"""Pictures become pairs and patches: the same ones whatever threads, processes and caches do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from efdn.bicubic import downscale
from efdn.errors import ConfigError, ImageError
from efdn.training.patches import SYMMETRIES, Batch, PatchSource, turned
from efdn.training.pictures import BadPictureError, PictureCache, decode_rgb
from efdn.training.sources import find_pictures
from tests.conftest import noise

ROOMY = 1 << 26


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures of different sizes."""
    path = tmp_path / "pictures"
    path.mkdir()
    for i in range(5):
        Image.fromarray(noise(50 + 3 * i, 70 - 2 * i, seed=i)).save(path / f"{i}.png")
    return path


def cache_of(folder: Path, scale: int = 4, limit_bytes: int = ROOMY, kept: Path | None = None) -> PictureCache:
    return PictureCache(find_pictures([folder]), scale=scale, limit_bytes=limit_bytes, folder=kept)


def patches_of(folder: Path, *, batch: int = 6, seed: int = 3, rank: int = 0, world: int = 1) -> PatchSource:
    return PatchSource(cache_of(folder), patch=24, batch=batch, seed=seed, rank=rank, world=world)


def same(one: Batch, other: Batch) -> bool:
    return one.names == other.names and bool((one.hr == other.hr).all() and (one.lr == other.lr).all())


def joined(batches: list[Batch]) -> Batch:
    return Batch(
        lr=np.concatenate([batch.lr for batch in batches]),
        hr=np.concatenate([batch.hr for batch in batches]),
        names=tuple(name for batch in batches for name in batch.names),
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_pair_is_the_picture_cut_to_multiples_and_downscaled_as_a_whole(folder: Path, scale: int) -> None:
    hr, lr = cache_of(folder, scale).pair(1)
    assert hr.shape == (53 // scale * scale, 68 // scale * scale, 3)
    np.testing.assert_array_equal(hr, noise(53, 68, seed=1)[: hr.shape[0], : hr.shape[1]])
    np.testing.assert_array_equal(lr, downscale(hr, scale))
    assert not hr.flags.writeable
    assert not lr.flags.writeable


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> NDArray[np.uint8]:
    path = Path(f"saved.{kind.lower()}")
    image.save(path, kind, **options)
    return decode_rgb(path.read_bytes())


def test_every_kind_of_pixel_becomes_rgb_as_it_is_seen() -> None:
    rgb = noise(9, 7)
    image = Image.fromarray(rgb)
    gray = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(saved(image), rgb)
    np.testing.assert_array_equal(saved(image.convert("L")), gray[..., None].repeat(3, axis=2))
    np.testing.assert_array_equal(saved(image.quantize(8)), np.asarray(image.quantize(8).convert("RGB")))
    black_and_white = saved(Image.fromarray(gray > 100))
    np.testing.assert_array_equal(black_and_white[..., 0], np.where(gray > 100, 255, 0))
    np.testing.assert_array_equal(saved(image.convert("CMYK"), "TIFF"), rgb)


def test_16_bits_are_rounded_to_8() -> None:
    deep = np.array([[0, 128, 129, 257, 32_767, 32_768, 65_406, 65_407, 65_535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        found = saved(Image.fromarray(deep), kind)
        np.testing.assert_array_equal(found[0, :, 0], np.rint(deep[0] / 257).astype(np.uint8))
        assert (found == found[..., :1]).all()


def test_transparency_shows_white() -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = (0, 128, 255)
    rgba[0, :, 0] = 200
    np.testing.assert_array_equal(saved(Image.fromarray(rgba))[0], [[255, 255, 255], [227, 127, 127], [200, 0, 0]])
    keyed = saved(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))
    assert (keyed == 255).all()


def test_an_orientation_tag_is_applied() -> None:
    upright = noise(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(saved(lying, exif=exif), upright)


def test_a_bad_picture_gives_its_reason_each_time_and_is_decoded_once(folder: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(whole[:2000])
    (folder / "1.png").write_text("hello")
    Image.fromarray(noise(3, 90)).save(folder / "2.png")
    Image.new("F", (40, 40)).save(folder / "3.tif")
    (folder / "3.png").unlink()
    (folder / "3.tif").rename(folder / "3.png")
    cache = cache_of(folder)
    (folder / "4.png").unlink()
    for index, said in enumerate(
        ("truncated", "not a picture", "90x3 pixels, smaller", "floating-point", "no such file")
    ):
        for _ in range(2):
            with pytest.raises(BadPictureError, match=said) as caught:
                cache.pair(index)
            assert str(folder) not in str(caught.value)
        # What was bad is not tried again.
        (folder / f"{index}.png").write_bytes(whole)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 60_000))
def test_the_cache_keeps_within_its_limit_what_was_asked_for_last(order: list[int], limit: int) -> None:
    folder = Path("pictures")
    if not folder.exists():
        folder.mkdir()
        for i in range(5):
            Image.fromarray(noise(64, 64, seed=i)).save(folder / f"{i}.png")
    cache = cache_of(folder, limit_bytes=limit)
    size = 64 * 64 * 3 + 16 * 16 * 3
    for index in order:
        assert (cache.pair(index)[0] == noise(64, 64, seed=index)).all()
        assert cache.held_bytes <= limit
    latest = list(dict.fromkeys(reversed(order)))[: limit // size]
    assert cache.held_bytes == size * len(latest)
    for source in folder.iterdir():
        source.rename(source.with_suffix(".gone"))
    try:
        for index in latest:
            cache.pair(index)
    finally:
        for source in folder.iterdir():
            source.rename(source.with_suffix(".png"))


def test_decoded_files_give_the_same_and_outlive_the_run(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "x4"
    first = PatchSource(cache_of(folder, kept=kept), patch=24, batch=9, seed=3)
    again = PatchSource(cache_of(folder, kept=kept), patch=24, batch=9, seed=3)
    for iteration in range(3):
        expected = patches_of(folder, batch=9).batch(iteration)
        assert same(first.batch(iteration), expected)
        assert same(again.batch(iteration), expected)
    assert all(path.suffix == ".npy" for path in kept.iterdir())
    # Another picture by the same name is another picture.
    Image.fromarray(noise(60, 60, seed=99)).save(folder / "0.png")
    np.testing.assert_array_equal(cache_of(folder, kept=kept).pair(0)[0], noise(60, 60, seed=99))


def test_a_batch_depends_on_its_number_alone(folder: Path) -> None:
    source = patches_of(folder)
    in_order = [source.batch(iteration) for iteration in range(12)]
    tight = PatchSource(cache_of(folder, limit_bytes=30_000), patch=24, batch=6, seed=3)
    with ThreadPoolExecutor(5) as pool:
        threaded = list(pool.map(tight.batch, reversed(range(12))))
    assert all(map(same, in_order, reversed(threaded)))
    assert len({batch.hr.tobytes() for batch in in_order}) == 12
    assert not same(in_order[0], patches_of(folder, seed=4).batch(0))


def test_processes_share_the_batch_of_one(folder: Path) -> None:
    for iteration in (0, 7, 1 << 40):
        whole = patches_of(folder, batch=6).batch(iteration)
        for world in (2, 3):
            parts = [patches_of(folder, batch=6 // world, rank=rank, world=world) for rank in range(world)]
            assert same(joined([part.batch(iteration) for part in parts]), whole)


def find(patch: NDArray[np.uint8], picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Where a patch of noise lies in a picture."""
    side = patch.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(picture, (side, side, 3))[:, :, 0]
    (place,) = np.argwhere((windows == patch).all(axis=(2, 3, 4)))
    return int(place[0]), int(place[1])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_lie_over_each_other_in_all_eight_symmetries(folder: Path, scale: int) -> None:
    cache = cache_of(folder, scale)
    source = PatchSource(cache, patch=12 * scale, batch=80, seed=5)
    batch = source.batch(0)
    assert batch.hr.shape == (80, 12 * scale, 12 * scale, 3)
    assert batch.lr.shape == (80, 12, 12, 3)
    assert batch.hr.flags.c_contiguous
    assert batch.lr.flags.c_contiguous
    plain = PatchSource(cache, patch=12 * scale, batch=80, seed=5, augment=False).batch(0)
    assert plain.names == batch.names
    turns = set()
    for i, name in enumerate(batch.names):
        hr, lr = cache.pair([source.name for source in cache.sources].index(name))
        top, left = find(plain.lr[i], lr)
        np.testing.assert_array_equal(plain.hr[i], hr[scale * top :, scale * left :][: 12 * scale, : 12 * scale])
        (turn,) = (n for n in range(SYMMETRIES) if (turned(plain.hr[i], n) == batch.hr[i]).all())
        np.testing.assert_array_equal(turned(plain.lr[i], turn), batch.lr[i])
        turns.add(turn)
    assert turns == set(range(SYMMETRIES))
    assert set(batch.names) == {source.name for source in cache.sources}


def test_every_place_is_drawn_up_to_the_edges_and_about_as_often(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    Image.fromarray(noise(20, 16)).save(tmp_path / "one" / "a.png")
    cache = cache_of(tmp_path / "one")
    batch = PatchSource(cache, patch=8, batch=1200, seed=0, augment=False).batch(0)
    places = [find(patch, cache.pair(0)[1]) for patch in batch.lr]
    counts = np.unique(places, axis=0, return_counts=True)[1]
    # 4x3 places with 100 draws each on average, standard deviation 9.6.
    assert len(counts) == 12
    assert counts.min() > 60
    assert counts.max() < 140


def test_bad_and_small_pictures_are_passed_over_and_listed_once(folder: Path) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:900])
    Image.fromarray(noise(60, 20)).save(folder / "2.png")
    source = patches_of(folder, batch=30)
    batch = source.batch(0)
    assert set(batch.names) == {str(folder / f"{i}.png") for i in (0, 3, 4)}
    assert set(source.skipped) == {str(folder / "1.png"), str(folder / "2.png")}
    assert "truncated" in source.skipped[str(folder / "1.png")]
    assert source.skipped[str(folder / "2.png")] == "20x60 pixels, smaller than a patch of 24"
    assert same(batch, patches_of(folder, batch=30).batch(0))
    # What is too small for one patch is not for another.
    assert str(folder / "2.png") in source.batch(1, patch=20).names
    assert source.batch(1, patch=20).hr.shape == (30, 20, 20, 3)


def test_samples_of_good_pictures_stay_when_another_goes_bad(folder: Path) -> None:
    before = patches_of(folder, batch=40).batch(0)
    (folder / "1.png").write_text("hello")
    after = patches_of(folder, batch=40).batch(0)
    kept = [i for i, name in enumerate(before.names) if name != str(folder / "1.png")]
    assert len(kept) < 40
    assert [after.names[i] for i in kept] == [before.names[i] for i in kept]
    np.testing.assert_array_equal(after.hr[kept], before.hr[kept])


def test_without_any_usable_picture_the_reasons_are_told(folder: Path) -> None:
    with pytest.raises(
        ImageError, match=r"none of 5 pictures .*64 pixels .*smaller than a patch of 64.*; \.\.\.\): give"
    ):
        patches_of(folder).batch(0, patch=64)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda cache: PatchSource(cache, patch=30, batch=1, seed=0), "multiple of the scale 4, got 30"),
        (lambda cache: PatchSource(cache, patch=24, batch=0, seed=0), "batch must be at least 1, got 0"),
        (lambda cache: PatchSource(cache, patch=24, batch=1, seed=-1), "seed .* got -1"),
        (lambda cache: PatchSource(cache, patch=24, batch=1, seed=0, rank=2, world=2), "rank .* got 2"),
        (lambda cache: PictureCache(cache.sources, scale=5, limit_bytes=0), "scale .* got 5"),
    ],
)
def test_values_out_of_range_are_refused(folder: Path, make: Callable[[PictureCache], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(cache_of(folder))
