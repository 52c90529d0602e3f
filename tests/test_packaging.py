"""The distributions, built and tried from outside the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist), built from the files that git would hand out; `build` makes the wheel from the sdist."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("cli", "efdn", "engines", "export", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "vectors"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "-q", "--outdir", str(out), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_wheel_holds_the_packages_the_assets_and_no_tests(distributions: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(distributions[0]).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"cli", "efdn", "engines", "export"}
    for name in ("efdn_x4.onnx", "efdn_x4.safetensors", "verification.png", "SHA256SUMS", "MODEL_CARD.md"):
        assert f"efdn/assets/{name}" in names
    for name in ("index.html", "style.css", "main.js", "icon.svg"):
        assert f"engines/serving/page/{name}" in names
    for package in tops:
        assert f"{package}/py.typed" in names
        for path in (ROOT / package).rglob("*.py"):
            assert str(path.relative_to(ROOT).as_posix()) in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_sdist_holds_all_that_the_wheel_is_built_from(distributions: tuple[Path, Path]) -> None:
    wheel, sdist = distributions
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "efdn/assets/efdn_x4.onnx"} <= names
    built = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert built - names == set()


def test_infer_works_in_a_clean_environment_with_the_cpu_extra_alone(
    distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    environment = tmp_path / "clean"
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    python = [str(binaries / "python")]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # Of what is installed little is imported: compiling all of it would take longer than the rest of this test.
    install = [*python, "-m", "pip", "install", "-q", "--no-compile", "-c", str(ROOT / "constraints.txt")]
    install.append(f"{distributions[0]}[cpu]")
    subprocess.run(install, check=True, capture_output=True, env=clean)
    installed = subprocess.run(
        [*python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True, env=clean
    ).stdout
    for heavy in ("torch", "onnx=", "tensorrt"):
        assert f"\n{heavy}" not in f"\n{installed}"
    photo = shutil.copy(EXAMPLES / "lr" / "budgie-branch.png", tmp_path)
    result = subprocess.run(
        [str(binaries / "efdn-infer"), photo], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "budgie-branch_x4.png").exists()
    without = subprocess.run(
        [str(binaries / "efdn-export"), "onnx"], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False
    )
    assert without.returncode == 1
    assert "Exporting needs torch" in without.stderr
