"""`efdn-serve`: what is refused, with which status, in one line."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.serve_pictures import animation, file_part, form, gif_bomb, png, png_bomb, tiff_bomb
from tests.serve_samples import Running, eventually, running, said, servers

server = pytest.fixture(scope="module")(servers)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "form"),
        ([b'Content-Disposition: form-data; name="scale"\r\n\r\n2'], "options in the address"),
        ([file_part(b"a"), file_part(b"b")], "more than one file"),
        ([file_part(b"a")] * 10_000, "more than one file"),
        ([b"X: " + b"y" * 20_000 + b"\r\n\r\n"], "header"),
        ([b"\r\nno header"], "options in the address"),
        ([file_part(b"")], "the body is empty"),
    ],
)
def test_forms_of_other_parts_are_refused(server: Running, parts: list[bytes], says: str) -> None:
    body, headers = form(*parts)
    answer = server.post(body, headers)
    assert answer.status_code == 400
    assert says in said(answer)


@pytest.mark.parametrize("kind", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 300}"])
def test_a_form_needs_a_boundary(server: Running, kind: str) -> None:
    answer = server.post(b"--x\r\n", {"Content-Type": kind})
    assert (answer.status_code, "boundary" in said(answer)) == (400, True)


def test_a_form_that_breaks_off_is_refused(server: Running) -> None:
    body, headers = form(file_part(png()))
    answer = server.post(body[:-20], headers)
    assert (answer.status_code, "last boundary" in said(answer)) == (400, True)


@pytest.mark.parametrize(
    ("content", "headers", "params", "status", "says"),
    [
        (b"", {}, {}, 400, "empty"),
        (b"hello", {}, {}, 422, "not a PNG"),
        (png()[:60], {}, {}, 422, "broken or truncated"),
        (png(), {"Content-Type": "text/html"}, {}, 415, "got text/html"),
        (png(), {"Content-Type": "application/x-www-form-urlencoded"}, {}, 415, "curl sends a file"),
        (png(), {"Content-Type": "video/mp4"}, {}, 415, "efdn-infer"),
        (b"\0\0\0\x20ftypisom" + bytes(40), {}, {}, 415, "video"),
        (b"\x1aE\xdf\xa3" + bytes(40), {}, {}, 415, "video"),
        (b"\0\0\0\x20ftypheic" + bytes(40), {}, {}, 422, "HEIC"),
        (png(), {"Content-Encoding": "gzip"}, {}, 415, "Content-Encoding"),
        (png(), {}, {"engine": "none"}, 422, "no engine"),
        (png(), {}, {"engine": "tensorrt"}, 422, "does not run on this server"),
        (png(), {}, {"format": "gif"}, 422, "format takes png"),
        (png(), {}, {"quality": "0"}, 422, "quality takes a whole number of 1 to 100, got '0'"),
        (png(), {}, {"quality": "101"}, 422, "quality takes a whole number of 1 to 100, got '101'"),
        (png(), {}, {"scale": "abc"}, 422, "scale takes a number above 0 and at most 64, got 'abc'"),
        (png(), {}, {"size": "abc"}, 422, "size takes 1920x1080, 1920x, x1080 or 150%, got 'abc'"),
        (png(), {}, {"bits": "abc"}, 422, "bits takes 1, 8 or 16, got 'abc'"),
        (png(), {}, {"alpha": "abc"}, 422, "alpha takes efdn or bicubic, got 'abc'"),
        (png(), {}, {"engine": "e" * 100}, 422, f"got '{'e' * 60}...'"),
        (png(), {}, {"foo": "1"}, 422, "unknown parameter 'foo': expected engine, scale, size,"),
        (png(), {}, {"quality": "80"}, 422, "PNG is lossless"),
        (png(), {}, {"bits": "7"}, 422, "bits must be 1, 8 or 16"),
        (png(), {}, {"bits": "1"}, 422, "bits=8"),
        (png(), {}, {"scale": "2", "size": "10x"}, 422, "contradict"),
        (png(), {}, {"scale": "nan"}, 422, "scale"),
        (png(), {}, {"size": "0x5"}, 422, "size"),
        (png(), {}, {"background": "no colour"}, 422, "colour"),
        (png(), {}, {"scael": "2"}, 422, "scael"),
        (png(), {}, {"id": "short"}, 422, "id takes 8 to 64 letters, digits, _ or -, got 'short'"),
        (png(), {}, {"scale": ["2", "3"]}, 422, "scale: expected once"),
        (png(), {}, {"size": "1000000x1000000"}, 413, "smaller size"),
        (png_bomb(100_000), {}, {}, 413, "100000x100000 pixels"),
        (gif_bomb(65_535), {}, {}, 413, "65535x65535 pixels"),
        (tiff_bomb(100_000), {}, {}, 413, "100000x100000 pixels"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    server: Running, content: bytes, headers: dict[str, str], params: dict[str, Any], status: int, says: str
) -> None:
    before = server.count_lines()
    answer = server.post(content, headers, **params)
    assert answer.status_code == status, answer.text
    assert says in said(answer)
    assert str(server.service.folder) not in answer.text
    assert "--" not in answer.text.replace("--max-pixels", "")
    eventually(lambda: len(server.told) == before + 1)


def test_limits_of_bytes_hold_with_and_without_a_length() -> None:
    with running(max_bytes=1000) as server:
        assert server.post(bytes(1001)).status_code == 413
        chunked = httpx.post(
            f"{server.url}upscale", content=iter([bytes(600)] * 3), headers={"Content-Type": "image/png"}
        )
        assert chunked.status_code == 413
        body, headers = form(file_part(bytes(1001)))
        assert server.post(body, headers).status_code == 413
        assert server.post(bytes(1000)).status_code == 422
        eventually(server.is_clean)


def test_results_that_are_encoded_at_once_have_a_limit_of_their_own() -> None:
    with running(max_whole_pixels=1000) as server:
        for ending in ("webp", "jpg", "bmp"):
            answer = server.post(png(20, 20), format=ending)
            assert (answer.status_code, "format=png or tif" in said(answer)) == (413, True)
            assert server.post(png(15, 15), format=ending).status_code == 200
        assert [server.post(png(20, 20), format=ending).status_code for ending in ("png", "tif")] == [200, 200]
        # 28x30 pixels in each of three frames.
        assert server.post(animation(), frames="all").status_code == 413
        assert server.post(animation(), frames="all", format="png").status_code == 200
        answer = server.post(animation(), frames="all", format="png", scale=3)
        assert (answer.status_code, "in a frame" in said(answer)) == (413, True)


def test_pixels_of_all_frames_count() -> None:
    with running(max_pixels=300) as server:
        assert server.post(animation(), frames="first").status_code == 200
        answer = server.post(animation(), frames="all")
        assert (answer.status_code, "frames=first" in said(answer)) == (413, True)
