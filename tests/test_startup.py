"""How much a command imports before it works: modules are counted, since seconds depend on the machine."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines.ort.runtime import NO_TELEMETRY
from tests.test_imports import LAYERS, modules_imported, telling

EVERYTHING_THERE = telling(())

MODULES = {
    "cli": "infer infer_arguments infer_options infer_text progress runner",
    "efdn": "assets caches config errors extras files shapes version",
    "efdn.pictures": "colour convert format_table formats header metadata opening orientation picture reading resize "
    "rows stored writing",
    "efdn.pictures.png": "chunks compression header interlace metadata reading writer",
    "engines": "cores failures feeds graphs options protocol registry select whole",
    "engines.batch": "channel collisions failures folders interruption ledger names outcome pipeline sources summary "
    "targets task work",
    "engines.inference": "checks comparing picture_work run wanted work",
    "engines.ort": "engine open providers runtime",
    "engines.pictures": "channels enlarge options target",
    "engines.tiling": "memory options plan rows samples spans upscaling",
    "engines.video": "containers options",
}
"""What it takes to upscale one PNG on ONNX Runtime, by package."""

MOST_OF_A_PNG = 140
"""Modules, beyond those that libraries bring. Of them 92 are this project's, the others Python's: from 25 to 40."""

MOST_OF_HELP = 16
"""Modules of this project."""

UNNEEDED = {
    *("torch", "onnx", "openvino", "tensorrt", "cuda", "safetensors", "av", "ray", "fastapi", "starlette", "uvicorn"),
    *("PIL", "tifffile", "rich", "platformdirs", "prometheus_client", "pydantic"),
    *(
        "asyncio",
        "csv",
        "email",
        "html",
        "http",
        "multiprocessing",
        "socket",
        "sqlite3",
        "ssl",
        "statistics",
        "tempfile",
    ),
    *("unittest", "urllib3", "xml", "zipfile"),
}

# The libraries that upscaling a PNG needs, used as it uses them: what they import is not for this project to say.
LIBRARIES = """
import sys
from pathlib import Path
from typing import Annotated, Optional
import imagecodecs, numpy, onnxruntime, typer
app = typer.Typer(add_completion=False, rich_markup_mode=None)
@app.command()
def work(names: list[str], path: Annotated[Optional[Path], typer.Option()] = None) -> None: pass
app(['name', '--path', 'path'], standalone_mode=False)
print('IMPORTED', *sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return path


def run(code: str, *arguments: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", NO_TELEMETRY)}
    environment |= {} if home is None else {"HOME": str(home)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in LAYERS}


def listed() -> set[str]:
    """The modules of `MODULES`, and the packages that they are in."""
    return {f"{package}.{name}" for package, names in MODULES.items() for name in names.split()} | {
        package.rsplit(".", depth)[0] for package in MODULES for depth in range(package.count(".") + 1)
    }


def test_upscaling_a_png_imports_what_it_needs_and_no_more(photo: Path) -> None:
    result = run(EVERYTHING_THERE, "cli.infer", photo, "--engine", "onnxruntime-cpu")
    with Image.open(photo.with_name("photo_x4.png")) as image:
        assert image.size == (256, 256)
    added = modules_imported(result) - modules_imported(run(LIBRARIES))
    new = sorted(ours(added) - listed())
    assert not new, f"new before a PNG is upscaled: {', '.join(new)}; import them in the functions that need them"
    unneeded = sorted(UNNEEDED & {name.split(".")[0] for name in added})
    assert not unneeded, f"imported, and not needed to upscale a PNG: {', '.join(unneeded)}"
    others = sorted(added - ours(added))
    assert len(added) <= MOST_OF_A_PNG, (
        f"{len(added)} modules beyond those of the libraries, at most {MOST_OF_A_PNG} may be; not of this project: "
        f"{', '.join(others)}"
    )


@pytest.mark.parametrize("module", ["infer", "export", "inspection", "profile", "evaluate", "train", "doctor", "serve"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_the_command_line_alone(module: str, option: str) -> None:
    modules = ours(modules_imported(run(EVERYTHING_THERE, f"cli.{module}", option)))
    within = {"cli", "efdn", *(f"efdn.{name}" for name in ("errors", "extras", "files", "version"))}
    beyond = sorted(name for name in modules - within if not name.startswith("cli."))
    assert not beyond, f"imported for {option}: {', '.join(beyond)}"
    assert len(modules) <= MOST_OF_HELP, f"{len(modules)} modules, at most {MOST_OF_HELP} may be: {sorted(modules)}"


@pytest.mark.skipif(sys.platform != "linux", reason="its folder is another one")
def test_onnx_runtime_leaves_nothing_in_the_users_folders(photo: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run(EVERYTHING_THERE, "cli.infer", photo, "--engine", "onnxruntime-cpu", home=home)
    assert list(home.rglob("*")) == []
