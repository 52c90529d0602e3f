"""The example client gets from Triton's protocol what `efdn-infer` writes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from efdn.weights import save_network
from engines import open_engine, upscale
from export.triton.repository import RepositoryOptions, export_repository
from tests.conftest import make_network, noise
from tests.triton_samples import FakeModel, client, served

OUTPUT = Path("large.png")


@dataclass(frozen=True)
class Service:
    url: str
    models: dict[str, FakeModel]
    path: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with one model of a small network."""
    client()
    folder = tmp_path_factory.mktemp("triton")
    save_network(make_network(), folder / "w.safetensors")
    options = RepositoryOptions(max_batch=2)
    (model,) = export_repository(folder / "models", folder / "w.safetensors", options=options)
    with served(folder / "models") as (url, models):
        yield Service(url, models, model.path)


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the client on the command line."""
    module = client()

    def call(*arguments: object) -> None:
        line = ["triton_client.py", *map(str, arguments), "--url", service.url]
        monkeypatch.setattr(sys, "argv", line)
        module.main()

    return call


def largest_difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


def test_a_picture_comes_back_as_efdn_infer_upscales_it(
    service: Service, run: Callable[..., None], tiny_photo: Path
) -> None:
    run(tiny_photo, OUTPUT, "--pad", 0)
    with Image.open(tiny_photo) as photo, Image.open(OUTPUT) as large:
        assert large.size == (68, 56)
        assert large.info.get("icc_profile") == photo.info.get("icc_profile")
        with open_engine(service.path, "onnxruntime-cpu") as engine:
            expected = upscale(np.asarray(photo.convert("RGB")), engine, tile=0, pad=0)
        np.testing.assert_array_equal(np.asarray(large), expected)


def test_borders_are_mirrored_as_efdn_infer_mirrors_them(service: Service) -> None:
    pixels = noise(37, 52)
    with open_engine(service.path, "onnxruntime-cpu") as engine:
        expected = upscale(pixels, engine, tile=0)
    # The same eight pixels around; efdn-infer adds a few more where that suits the network's pooling.
    answer = client().upscale(pixels, service.url, "efdn_x4")
    assert largest_difference(answer, expected) <= 1
    assert largest_difference(client().upscale(pixels, service.url, "efdn_x4", pad=0), expected) > 1


@pytest.mark.parametrize("size", [(1, 1), (5, 30)])
def test_small_pictures_are_large_enough_with_their_mirror_image(size: tuple[int, int], service: Service) -> None:
    assert client().upscale(noise(*size), service.url, "efdn_x4").shape == (4 * size[0], 4 * size[1], 3)
    assert service.models["efdn_x4"].shapes[-1] == (1, size[0] + 16, size[1] + 16, 3)


def test_gray_and_palette_pictures_are_taken_as_rgb(run: Callable[..., None]) -> None:
    for mode in ("L", "P"):
        Image.fromarray(noise(20, 24)).convert(mode).save("small.png")
        run("small.png", OUTPUT)
        with Image.open(OUTPUT) as large:
            assert (large.mode, large.size) == ("RGB", (96, 80))


def test_a_photo_comes_back_upright(run: Callable[..., None]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(20, 24)).save("turned.jpg", exif=exif)
    run("turned.jpg", OUTPUT)
    with Image.open(OUTPUT) as large:
        assert large.size == (80, 96)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "CMYK"])
def test_what_would_be_lost_is_refused(mode: str, run: Callable[..., None]) -> None:
    Image.new(mode, (20, 24)).save("other.tif")
    with pytest.raises(SystemExit, match="expected 8-bit gray or RGB, opaque: use efdn-infer"):
        run("other.tif", OUTPUT)
    assert not OUTPUT.exists()


def test_large_pictures_are_refused_before_they_are_sent(run: Callable[..., None], tiny_photo: Path) -> None:
    with pytest.raises(SystemExit, match="has more than 100 pixels: use efdn-infer, or raise --max-pixels"):
        run(tiny_photo, OUTPUT, "--max-pixels", 100)


def test_what_the_server_says_is_one_line(run: Callable[..., None], tiny_photo: Path) -> None:
    with pytest.raises(SystemExit, match="unknown model: 'other' is not found"):
        run(tiny_photo, OUTPUT, "--model", "other")


def test_the_configuration_holds_requests_to_what_the_model_takes(service: Service) -> None:
    triton: ModuleType = pytest.importorskip("tritonclient.grpc")
    cases: list[tuple[np.ndarray, str]] = [
        (np.zeros((3, 20, 24, 3), np.uint8), "batch-size must be <= 2"),
        (np.zeros((1, 20, 24, 4), np.uint8), "unexpected shape for input 'input'"),
        (np.zeros((20, 24, 3), np.uint8), "batch-size must be <= 2"),
        (np.zeros((2, 24, 3), np.uint8), "unexpected shape for input 'input'"),
        (np.zeros((1, 20, 24, 3), np.float32), "expected input of UINT8, got input of FP32"),
    ]
    with triton.InferenceServerClient(service.url) as server:
        for value, message in cases:
            tensor = triton.InferInput("input", list(value.shape), "UINT8" if value.dtype == np.uint8 else "FP32")
            tensor.set_data_from_numpy(value)
            with pytest.raises(triton.InferenceServerException, match=message):
                server.infer("efdn_x4", [tensor])


def test_an_ending_that_tells_no_format_is_refused_before_the_server_is_asked(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(noise(13, 13)).save(tmp_path / "a.png")
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path / "a.png", tmp_path / "a.efdn")
    assert "cannot tell the format of" in capsys.readouterr().err


def test_what_is_no_picture_or_more_than_one_is_one_line(run: Callable[..., None], tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(13, 13, seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(SystemExit, match="several frames"):
        run(tmp_path / "a.gif", OUTPUT)
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(SystemExit, match="cannot identify"):
        run(tmp_path / "b.png", OUTPUT)
