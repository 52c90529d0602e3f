"""`efdn-serve`: what goes in and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from engines.select import choose_engine
from tests.inference_samples import FakeEngine, Infer, run_infer
from tests.picture_samples import SAMPLES, write_sample
from tests.serve_pictures import animation, file_part, form, png
from tests.serve_samples import Running, running, servers

server = pytest.fixture(scope="module")(servers)


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    return Infer(patch=monkeypatch, capture=capsys, engine=FakeEngine(blurs=True))


def infer_result(infer: Infer, path: Path, *options: str) -> bytes:
    """What `efdn-infer` writes."""
    folder = path.parent / "results"
    folder.mkdir()
    done = infer(path, "-o", folder, *options)
    assert done.code == 0, done.err
    (result,) = folder.iterdir()
    return result.read_bytes()


def in_words_of_the_api(warning: str, source: Path, target: str) -> str:
    """A warning of `efdn-infer` as the server gives it."""
    named = warning.replace(target, "the result").replace(str(source), source.name)
    return named.replace("--frames all", "frames=all").replace("--color rgb", "color=rgb")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_kind_of_picture_gives_the_bytes_and_warnings_of_efdn_infer(
    server: Running, infer: Infer, tmp_path: Path, name: str
) -> None:
    path = write_sample(name, tmp_path)
    (tmp_path / "results").mkdir()
    (line, _) = infer(path, "-o", tmp_path / "results", "--json", "-q").lines
    expected = [in_words_of_the_api(warning, path, line["target"]) for warning in line["warnings"]]
    answer = server.post(path.read_bytes(), name=path.name)
    assert answer.status_code == 200, answer.text
    assert answer.content == Path(line["target"]).read_bytes()
    assert json.loads(answer.headers.get("X-Efdn-Warnings", "[]")) == expected


@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"format": "webp"}, ["--ext", "webp"]),
        ({"format": "jpg", "quality": 80}, ["--ext", "jpg", "--quality", "80"]),
        ({"format": "same"}, ["--ext", "same"]),
        ({"size": "50x"}, ["--size", "50x"]),
        ({"scale": 1.5}, ["--scale", "1.5"]),
        ({"bits": 16}, ["--bits", "16"]),
        ({"compression": 9}, ["--compression", "9"]),
        ({"format": "tif"}, ["--ext", "tif"]),
    ],
)
def test_parameters_mean_what_options_of_efdn_infer_do(
    server: Running, infer: Infer, tmp_path: Path, params: dict[str, Any], options: list[str]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    answer = server.post(path.read_bytes(), **params)
    assert answer.status_code == 200, answer.text
    assert answer.content == infer_result(infer, path, *options)


def test_frames_all_takes_an_animation(server: Running, infer: Infer, tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(animation())
    answer = server.post(path.read_bytes(), frames="all")
    assert answer.content == infer_result(infer, path, "--frames", "all")
    first = server.post(path.read_bytes(), name="a.webp")
    assert json.loads(first.headers["X-Efdn-Warnings"]) == [
        "a.webp is an animation of 3 frames: only the first was taken, frames=all takes them all"
    ]


def test_a_result_tells_what_was_done(server: Running) -> None:
    answer = server.post(png(13, 17), name="photo.of.me.png")
    headers = answer.headers
    assert (headers["X-Efdn-Source"], headers["X-Efdn-Size"]) == ("17x13", "34x26")
    assert headers["X-Efdn-Engine"] == "fake"
    assert headers["Content-Type"] == "image/png"
    assert int(headers["Content-Length"]) == len(answer.content)
    assert headers["Content-Disposition"].startswith('attachment; filename="photo.of.me_x2.png"')
    assert [part.split(";")[0] for part in headers["Server-Timing"].split(", ")] == ["wait", "read", "infer", "write"]
    assert headers["Cache-Control"] == "no-store"
    assert len(headers["X-Request-Id"]) == 16
    assert "X-Efdn-Warnings" not in headers


def test_a_form_with_one_file_is_taken(server: Running) -> None:
    body, headers = form(file_part(png(), "fünf %22Enten%22.png"))
    answer = server.post(body, headers)
    assert answer.content == server.post(png()).content
    assert unquote(answer.headers["Content-Disposition"].split("''")[1]) == "fünf _Enten__x2.png"


def test_the_real_model_gives_the_bytes_of_efdn_infer(
    tiny_photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(choose_engine(name="onnxruntime-cpu").engine) as server:
        answer = server.post(tiny_photo.read_bytes())
    assert run_infer(monkeypatch, capsys, tiny_photo, "-e", "onnxruntime-cpu").code == 0
    assert answer.content == tiny_photo.with_name("tiny_x4.png").read_bytes()
