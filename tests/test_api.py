"""Pictures in memory, upscaled by one call."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import engines.api
import engines.whole
from efdn.errors import ConfigError, EngineError, ShapeError, UsageError
from engines import open_engine, upscale
from tests.conftest import noise
from tests.inference_samples import Array, FakeEngine, random_pixels, repeated
from tests.picture_parts import icc_profile

SHAPES = [(20, 31), (20, 31, 1), (20, 31, 2), (20, 31, 3), (20, 31, 4), (1, 1), (1, 40, 3), (100, 90, 4)]


def random_array(shape: tuple[int, ...], dtype: str) -> Array:
    """Noise of a shape; opacity is never 0."""
    channels = shape[2] if len(shape) == 3 else 1
    pixels = random_pixels(shape[0], shape[1], channels, "float32")
    pixels = np.maximum(pixels, 0.01)
    if not dtype.startswith("float"):
        pixels = np.rint(pixels * np.iinfo(dtype).max)
    return pixels.astype(dtype).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_arrays_keep_their_type_and_channels(shape: tuple[int, ...], dtype: str) -> None:
    image = random_array(shape, dtype)
    before = image.copy()
    result = upscale(image, FakeEngine(), tile=64)
    assert result.dtype == dtype
    # Floats go through single precision.
    tolerance = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-6}.get(dtype, 0)
    np.testing.assert_allclose(result.astype(float), repeated(image).astype(float), atol=tolerance)
    np.testing.assert_array_equal(image, before)
    assert not np.shares_memory(result, image)


def test_views_of_arrays_are_taken_as_they_are() -> None:
    image = random_array((40, 60, 4), "uint8")
    for view in (image[::-1, ::2], image[..., :3], image.transpose(1, 0, 2), image[5:6, 7:30]):
        np.testing.assert_array_equal(upscale(view, FakeEngine()), repeated(view))
    image.flags.writeable = False
    np.testing.assert_array_equal(upscale(image, FakeEngine()), repeated(image))


def test_floats_are_not_clipped() -> None:
    image = np.linspace(-1, 3, 400, dtype=np.float32).reshape(20, 20)
    np.testing.assert_allclose(upscale(image, FakeEngine()), repeated(image), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_can_be_resized(channels: int) -> None:
    image = np.full((20, 30, channels), 0.4)
    image[:, 15:] = 0.6
    result = upscale(image, FakeEngine(4), size="200%")
    assert result.shape == (40, 60, channels)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result[:, :20], 0.4, atol=1e-5)
    np.testing.assert_allclose(result[:, -20:], 0.6, atol=1e-5)


def test_hidden_colours_of_floats_do_not_leak() -> None:
    image = np.full((40, 40, 4), 0.3, np.float32)
    image[..., 3] = 1
    image[:, 20:] = (1, 1, 1, 0)
    result = upscale(image, FakeEngine(2, blurs=True))
    np.testing.assert_allclose(result[..., :3], 0.3, atol=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20, 5), np.uint8),
        np.zeros((2, 20, 20, 3), np.uint8),
        np.zeros((20,), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((20, 0), np.uint8),
        np.zeros((20, 20, 0), np.uint8),
        np.zeros((20, 20, 3), np.int64),
        np.zeros((20, 20, 3), bool),
        np.zeros((20, 20, 3), np.complex64),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_other_arrays_are_refused(image: Array) -> None:
    with pytest.raises(ShapeError, match=r"expected \(H, W\) or \(H, W, 1 to 4\) of uint8, uint16 or floats in 0..1"):
        upscale(image, FakeEngine())


@pytest.mark.parametrize("image", [[[1, 2], [3, 4]], "photo.png", None, Path("photo.png")], ids=str)
def test_what_is_no_picture_is_refused(image: Any) -> None:
    with pytest.raises(ShapeError, match="expected a NumPy array or a Pillow image, got "):
        upscale(image, FakeEngine())


def pillow(mode: str) -> Image.Image:
    """Noise of a mode."""
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
    if mode == "I;16":
        return Image.fromarray(random_array((20, 31), "uint16"))
    if mode == "1":
        return Image.fromarray(random_array((20, 31), "uint8")).convert("1")
    if mode in ("P", "PA"):
        image = Image.fromarray(noise(20, 31)).quantize(16)
        return image if mode == "P" else image.convert("PA")
    if mode in channels:
        return Image.frombytes(mode, (31, 20), random_array((20, 31, channels[mode]), "uint8").tobytes())
    return pillow("RGBA" if mode == "RGBa" else "LA" if mode == "La" else "RGB").convert(mode)


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        *[(mode, mode) for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")],
        *[("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("La", "LA"), ("RGBa", "RGBA"), ("YCbCr", "RGB"), ("HSV", "RGB")],
    ],
)
def test_pillow_images_keep_their_mode(mode: str, becomes: str) -> None:
    image = pillow(mode)
    before = image.tobytes()
    result = upscale(image, FakeEngine())
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == (becomes, (62, 40))
    expected = np.asarray(image if mode == becomes else image.convert(becomes))
    np.testing.assert_array_equal(np.asarray(result), repeated(expected))
    assert image.tobytes() == before


def test_transparent_colours_of_palettes_become_alpha() -> None:
    image = pillow("P")
    image.info["transparency"] = 3
    result = upscale(image, FakeEngine())
    assert result.mode == "RGBA"
    np.testing.assert_array_equal(
        np.asarray(result)[..., 3], repeated(np.where(np.asarray(image) == 3, 0, 255).astype(np.uint8))
    )


@pytest.mark.parametrize(("mode", "becomes"), [("L", "LA"), ("RGB", "RGBA")])
def test_transparent_colours_become_alpha(mode: str, becomes: str) -> None:
    image = pillow(mode)
    key = image.getpixel((3, 4))
    image.info["transparency"] = key
    result = upscale(image, FakeEngine())
    assert result.mode == becomes
    alpha = np.asarray(result)[..., -1]
    assert alpha[8, 6] == 0
    assert alpha.max() == 255
    assert "transparency" not in result.info


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    image = Image.new("F" if mode == "F" else "I" if mode == "I" else "LAB", (20, 20))
    with pytest.raises(ShapeError, match=rf"expected a Pillow image of mode L, .* got {mode}: convert it"):
        upscale(image, FakeEngine())


def test_profile_and_resolution_of_pillow_images_are_kept(tmp_path: Path) -> None:
    pillow("RGB").save(tmp_path / "a.png", dpi=(100, 50), icc_profile=icc_profile())
    with Image.open(tmp_path / "a.png") as image:
        result = upscale(image, FakeEngine(4), size="310x")
    assert result.info["icc_profile"] == icc_profile()
    assert result.info["dpi"] == pytest.approx((1000, 500), rel=1e-3)
    result.save(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as again:
        assert again.size == (310, 200)


def test_options_go_to_the_tiles() -> None:
    engine = FakeEngine()
    image = random_array((100, 100, 3), "uint8")
    upscale(image, engine, tile=0, pad=0)
    assert engine.sides == [(100, 100)]
    engine.sides.clear()
    upscale(image, engine, tile=64, overlap=8)
    assert max(max(side) for side in engine.sides) <= 64
    assert len(engine.sides) > 1


def test_opacity_can_be_left_to_bicubic_scaling() -> None:
    image = random_array((20, 20, 4), "uint8")
    engine = FakeEngine(4)
    result = upscale(image, engine, alpha="bicubic")
    assert len(engine.sides) == 1
    np.testing.assert_array_equal(result[..., :3], repeated(image[..., :3], 4))
    assert (result[..., 3] != repeated(image[..., 3], 4)).any()


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"alpha": "lanczos"}, ConfigError, "efdn or bicubic, got 'lanczos'"),
        ({"size": "huge"}, UsageError, "expected a size such as"),
        ({"pad": -1}, ConfigError, "0 to 512 pixels, got -1"),
        ({"overlap": 1000}, ConfigError, "0 to 512"),
        ({"tile": 20}, UsageError, "no room for"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        upscale(random_array((50, 50, 3), "uint8"), FakeEngine(), **options)


def test_an_engine_that_keeps_8_bits_refuses_more() -> None:
    engine = FakeEngine(2, takes="uint8", gives="uint8")
    for dtype in ("uint16", "float32"):
        with pytest.raises(EngineError, match="8 bits"):
            upscale(random_array((20, 20, 3), dtype), engine)
    image = random_array((20, 20, 3), "uint8")
    np.testing.assert_array_equal(upscale(image, engine), repeated(image))


def test_an_engine_given_stays_open_and_one_of_its_own_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = FakeEngine()
    image = random_array((20, 20, 3), "uint8")
    upscale(image, mine)
    assert not mine.closed
    own = FakeEngine()
    monkeypatch.setattr(engines.api, "open_engine", lambda: own)
    np.testing.assert_array_equal(upscale(image), repeated(image))
    assert own.closed
    own.closed = False
    with pytest.raises(ShapeError):
        upscale(np.zeros((20, 20, 7), np.uint8))
    assert own.closed


def test_the_packaged_model_upscales_by_four() -> None:
    image = noise(14, 17)
    with open_engine(engine="onnxruntime-cpu") as engine:
        assert engine.name == "onnxruntime-cpu"
        result = upscale(image, engine)
        whole = engines.whole.upscale(engine, image, pad=8)
    assert result.shape == (56, 68, 3)
    # The padding is rounded up to a length that stretches the attention least.
    assert np.abs(result.astype(int) - whole).mean() < 3


def test_no_engine_of_that_name() -> None:
    with pytest.raises(UsageError, match="no engine 'warp'"):
        open_engine(engine="warp")


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import engines", {"numpy", "PIL", "onnxruntime", "torch"}),
        ("from engines import upscale, open_engine", {"PIL", "onnxruntime", "torch", "imagecodecs", "tifffile"}),
        ("import engines.whole; from engines import upscale; import numpy; upscale.__kwdefaults__['tile']", {"torch"}),
    ],
)
def test_importing_loads_little(code: str, heavy: set[str]) -> None:
    told = f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert not set(result.stdout.split()) & heavy


def test_other_names_of_the_package_are_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'downscale'"):
        engines.downscale  # noqa: B018
