"""What is imported when: commands start at once, and work without what they do not need."""

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("efdn", "engines", "export", "cli")
HEAVY = (
    "torch",
    "onnx",
    "tensorrt",
    "tensorrt_rtx",
    "cuda",
    "pycuda",
    "openvino",
    "safetensors",
    "av",
    "ray",
    "fastapi",
)
BEYOND = ("imagecodecs", "tifffile")
"""Needed for other pictures than plain 8-bit PNGs, which machines must read where nothing can be installed."""


def telling(hidden: tuple[str, ...]) -> str:
    """A program that runs a command in a Python where some packages cannot be imported, and tells what was."""
    return f"""
import importlib, sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        hidden = name.split('.')[0] in {hidden!r}
        return None if hidden else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Hiding, sys.meta_path)
module, sys.argv = sys.argv[1], sys.argv[1:]
try:
    importlib.import_module(module).entry()
finally:
    print('IMPORTED', *sorted(sys.modules), file=sys.stderr)
"""


WITHOUT_HEAVY = telling(HEAVY + BEYOND)


def run_without_heavy(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_HEAVY, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def imported(result: subprocess.CompletedProcess[str]) -> set[str]:
    """Packages that were."""
    return {name.split(".")[0] for name in modules_imported(result)}


def modules_imported(result: subprocess.CompletedProcess[str]) -> set[str]:
    """Modules that were."""
    return set(result.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "line",
    [
        "cli.infer --help",
        "cli.export --help",
        "cli.export onnx --help",
        "cli.export trt --help",
        "cli.export triton --help",
        "cli.inspection --help",
        "cli.profile --help",
        "cli.evaluate --help",
        "cli.train --help",
        "cli.doctor --help",
        "cli.serve --help",
    ],
)
def test_help_needs_nothing_heavy_and_loads_little(line: str) -> None:
    result = run_without_heavy(*line.split())
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout
    # NumPy, Pillow and the engines are for work, not for help.
    assert not imported(result) & {"numpy", "PIL", "onnxruntime", "engines", "export"}


def test_infer_works_without_torch_onnx_and_tensorrt(tiny_photo: Path) -> None:
    result = run_without_heavy("cli.infer", tiny_photo)
    assert result.returncode == 0, result.stderr
    assert tiny_photo.with_name("tiny_x4.png").exists()
    assert "export" not in imported(result)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cli.export onnx", "Exporting needs torch"),
        ("cli.export trt", "Exporting needs torch"),
        ("cli.infer PHOTO --ray", "Running on a cluster needs ray"),
        ("cli.serve", "Serving needs fastapi"),
        ("cli.infer PHOTO --engine pytorch", "Running a weights file needs torch"),
    ],
)
def test_a_missing_extra_is_named(tiny_photo: Path, line: str, said: str) -> None:
    result = run_without_heavy(*(tiny_photo if word == "PHOTO" else word for word in line.split()))
    assert result.returncode == 1
    assert said in result.stderr
    assert 'pip install ".[' in result.stderr
    assert "Traceback" not in result.stderr


def modules() -> list[Path]:
    return [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imports_of(path: Path) -> set[str]:
    """Top-level packages that a module imports anywhere, type checking included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    assert not imports_of(path) & set(LAYERS[layer + 1 :])


def test_nothing_posix_only_is_imported() -> None:
    posix = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "posix"}
    assert {path.name: imports_of(path) & posix for path in modules() if imports_of(path) & posix} == {}


def test_lazy_names_of_the_package_resolve() -> None:
    import efdn

    for name in efdn.__all__:
        assert getattr(efdn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'EFDM'"):
        efdn.EFDM  # noqa: B018


def test_commands_are_installed() -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    for name in (
        "efdn-export",
        "efdn-infer",
        "efdn-inspect",
        "efdn-profile",
        "efdn-train",
        "efdn-eval",
        "efdn-doctor",
        "efdn-serve",
    ):
        found = next((path for path in (scripts / name, scripts / f"{name}.exe") if path.exists()), None)
        assert found is not None, f"{name} is not in {scripts}"
        assert subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
            "efdn "
        )
