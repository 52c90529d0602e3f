"""The commands of docs/serving.md do what stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.serve_pictures import png
from tests.serve_samples import running

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PAGE = (ROOT / "engines" / "serving" / "page" / "index.html").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^curl .*$", DOCUMENT, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_commands_of_the_document_do_what_they_say(tmp_path: Path) -> None:
    assert len(COMMANDS) >= 5
    Image.new("RGB", (20, 15), "teal").save(tmp_path / "photo.jpg")
    Image.new("RGBA", (20, 15), (9, 9, 9, 100)).save(tmp_path / "logo.png")
    with running() as server:
        for command in COMMANDS:
            line = command.replace("http://127.0.0.1:8000/", server.url)
            subprocess.run(
                ["sh", "-c", f"{line} --fail --silent --show-error"], check=True, capture_output=True, cwd=tmp_path
            )
    sizes = {}
    for path in tmp_path.iterdir():
        if path.suffix != ".txt":
            with Image.open(path) as picture:
                sizes[path.name] = picture.size
    assert sizes["photo_x4.png"] == sizes["photo_x2.webp"] == (40, 30)
    assert sizes["logo_x4.jpg"] == (40, 30)
    assert sizes["compared.png"] == (1920, 1440)
    assert "image/jpeg" in (tmp_path / "headers.txt").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_that_the_page_gives_without_scripts_does_what_it_says(tmp_path: Path) -> None:
    (command,) = re.findall(r"<noscript>.*(curl .*?)</p></noscript>", PAGE)
    Image.new("RGB", (20, 15), "teal").save(tmp_path / "photo.png")
    with running() as server:
        line = command.replace("http://localhost:8000/", server.url)
        subprocess.run(["sh", "-c", f"{line} --fail --silent --show-error"], check=True, cwd=tmp_path)
    with Image.open(tmp_path / "photo_x4.png") as picture:
        assert picture.size == (40, 30)


def test_the_document_names_every_metric() -> None:
    with running() as server:
        server.post(png())
        names = set(re.findall(r"^# TYPE (efdn_\w+)", server.get("/metrics").text, re.MULTILINE))
    missing = [name for name in names if name not in DOCUMENT and not name.endswith("_created")]
    assert missing == []


def test_the_document_names_every_status_of_the_description() -> None:
    with running() as server:
        described = server.get("/openapi.json").json()["paths"]["/upscale"]["post"]["responses"]
    assert [status for status in described if status != "200" and status not in DOCUMENT] == []
