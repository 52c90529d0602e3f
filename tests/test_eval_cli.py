"""`efdn-eval` as a user meets it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli.evaluate
from efdn import bicubic
from efdn.assets import DEFAULT_ONNX
from efdn.weights import save_network
from engines.evaluation.conventions import CONVENTIONS, score
from tests.conftest import make_network, noise
from tests.test_bicubic import BENCH, needs_bench
from tests.test_imports import imported, run_without_heavy

HEAVY = {"numpy", "PIL", "onnxruntime", "engines", "export"}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `efdn-eval` in this process."""
    monkeypatch.delenv("EFDN_BENCH", raising=False)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["efdn-eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.evaluate.entry()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, out, err)

    return call


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small x2 network."""
    path = tmp_path / "small.safetensors"
    save_network(make_network(scale=2), path)
    return path


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A set of two pairs, and a folder of one large picture that fits no scale."""
    for seed in range(2):
        hr = noise(40, 48, seed)
        for folder, pixels in (("HR", hr), ("LRx2", bicubic.downscale(hr, 2))):
            (tmp_path / "sets/Pairs" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / f"sets/Pairs/{folder}/{seed}.png")
    (tmp_path / "sets/photos").mkdir()
    Image.fromarray(noise(41, 51, 5)).save(tmp_path / "sets/photos/tree.png")
    return tmp_path / "sets"


def test_tables_files_and_the_figures_in_them_agree(command: Command, sets: Path, weights: Path) -> None:
    result = command(sets, "-m", weights, "--json", "e.json", "--sheet", "s.png", "--per-image", "--max-pictures", 1)
    assert result.code == 0, result.err
    assert result.err == f"measuring auto on {sets} ...\n"
    assert max(map(len, result.out.splitlines())) <= 100
    content = json.loads(Path("e.json").read_text(encoding="utf-8"))
    assert (content["scale"], content["border"], content["pad"]) == (2, 4, 0)
    photos, pairs = content["sets"]
    assert (photos["name"], photos["lr"], pairs["name"], pairs["lr"]) == ("photos", "made by bicubic", "Pairs", "files")
    assert "photos, 1 picture, LR made  RGB PSNR" in result.out
    assert "Pairs, 1 of 2 pictures  RGB PSNR" in result.out
    hr = noise(40, 48)
    expected = score(hr, bicubic.upscale(bicubic.downscale(hr, 2), 2), CONVENTIONS["challenge"], 4)
    assert pairs["means"]["bicubic"] == expected.as_json()
    own = pairs["means"]["pytorch"]
    gain = own["rgb_psnr_db"] - expected.rgb_psnr_db
    line = (
        f"{own['rgb_psnr_db']:8.2f}  {own['rgb_ssim']:.4f}  {own['y_psnr_db']:6.2f}  {own['y_ssim']:.4f}  {gain:+12.2f}"
    )
    # Once as the mean of the set, once for its only picture.
    assert result.out.count(line) == 2
    assert result.out.count("  0 ") == 2
    assert " tree " in result.out
    assert result.out.endswith("figures  e.json\nsheet    s.png\n")
    with Image.open("s.png") as image:
        assert image.mode == "RGB"


def test_json_on_stdout_is_nothing_but_json(command: Command, sets: Path, weights: Path) -> None:
    result = command(sets / "Pairs", "-m", weights, "--json", "-", "--convention", "matlab", "--border", 2, "--pad", 4)
    assert result.code == 0, result.err
    content = json.loads(result.out)
    assert (content["convention"], content["border"], content["pad"]) == ("matlab", 2, 4)
    assert content["command"][0] == "efdn-eval"
    assert [picture["name"] for picture in content["sets"][0]["pictures"]] == ["0", "1"]


def test_convention_and_padding_are_said(command: Command, sets: Path, weights: Path) -> None:
    result = command(sets / "Pairs", "-m", weights, "--convention", "matlab", "--pad", 4)
    assert result.out.startswith(
        "x2, matlab convention: border 4, Y rounded to 8 bits, pictures mirrored outwards by 4;"
    )
    assert command(sets / "Pairs", "-m", weights).out.startswith("x2, challenge convention: border 4, Y not rounded;")


def test_a_factsheet_keeps_what_was_published_apart(command: Command, sets: Path, weights: Path) -> None:
    result = command(sets / "Pairs", "-m", weights, "--factsheet", "--json", "e.json")
    assert result.code == 0, result.err
    assert max(map(len, result.out.splitlines())) <= 100
    here, published = (
        result.out.index("factsheet, measured here: "),
        result.out.index("factsheet, published: NTIRE 2023"),
    )
    assert here < result.out.index("  pytorch, Pairs  ") < published < result.out.index("  EFDN, DIV2K valid  ")
    assert "28.97  0.1735 M  10.60 G  187.32 M    198  1267 MB  " in result.out[published:]
    assert "29.04  0.4334 M  27.10 G  112.03 M     64   788 MB  " in result.out[published:]
    (row,) = json.loads(Path("e.json").read_text(encoding="utf-8"))["factsheet"]["measured"]["rows"]
    figures = row["sets"]["Pairs"]
    assert len(figures["runtime_ms"]) == 2
    assert 0 < figures["mean_runtime_ms"] == pytest.approx(np.mean(figures["runtime_ms"]))
    assert row["counts"]["convolutions"] > 0


def test_counts_are_not_known_from_an_onnx_file_alone(command: Command, tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(DEFAULT_ONNX.read_bytes())
    result = command(tmp_path, "-m", lonely, "-e", "onnxruntime-cpu", "--factsheet")
    assert result.code == 0, result.err
    assert "are not known from an ONNX file" in " ".join(result.out.split())


def test_the_usual_folder_is_in_the_environment(
    command: Command, sets: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("-m", weights) == Result(
        2,
        "",
        "efdn-eval: no FOLDER given: expected folders of pictures, each with HR and LRx4 in it or of HR pictures "
        "alone; or set EFDN_BENCH to one that is always taken\n",
    )
    monkeypatch.setenv("EFDN_BENCH", str(sets))
    result = command("-m", weights)
    assert (result.code, "Pairs, 2 pictures" in result.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--border", -1), 2, "--border must be at least 0, got -1"),
        (("--pad", -1), 2, "--pad must be at least 0, got -1"),
        (("--max-pictures", 0), 2, "--max-pictures must be at least 1, got 0"),
        (("--max-pixels", 0), 2, "--max-pixels must be at least 1, got 0"),
        (("--convention", "papers"), 2, "'papers' is not one of"),
        (("--engine", "none"), 2, "no engine 'none'"),
        (("--json", "e.txt"), 1, "expected a name ending in .json"),
        (("--sheet", "s.jpg"), 1, "expected a name ending in .png"),
        (("--max-pixels", 400), 1, "more than the limit of 400 pixels"),
        (("nowhere",), 1, "nowhere is not there: expected a folder with HR and LRx4"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    command: Command, sets: Path, weights: Path, arguments: tuple[object, ...], code: int, said: str
) -> None:
    result = command(sets, *(() if "--engine" in arguments else ("-m", weights)), *arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err.splitlines()[-1]


def test_files_are_not_replaced_unless_asked(command: Command, sets: Path, weights: Path) -> None:
    Path("s.png").write_text("mine", encoding="utf-8")
    result = command(sets, "-m", weights, "--sheet", "s.png")
    assert (result.code, Path("s.png").read_text(encoding="utf-8")) == (1, "mine")
    assert result.err == "efdn-eval: s.png exists: give --overwrite to replace it, or another name\n"
    assert command(sets / "Pairs", "-m", weights, "--sheet", "s.png", "--overwrite").code == 0


def test_help_loads_little() -> None:
    result = run_without_heavy("cli.evaluate", "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout
    assert not imported(result) & HEAVY


def test_neither_torch_nor_onnx_is_needed(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    result = run_without_heavy("cli.evaluate", tmp_path, "-e", "onnxruntime-cpu", "--factsheet")
    assert result.returncode == 0, result.stderr
    assert "RFDN, DIV2K valid" in result.stdout
    assert "not known without PyTorch" in " ".join(result.stdout.split())


@needs_bench
def test_the_packaged_model_is_better_than_bicubic_on_set5(command: Command) -> None:
    result = command(BENCH / "Set5", "--json", "-", "-e", "onnxruntime-cpu")
    means = json.loads(result.out)["sets"][0]["means"]
    assert means["bicubic"]["y_psnr_db"] == pytest.approx(28.43, abs=0.02)
    assert means["onnxruntime-cpu"]["y_psnr_db"] > 30.0
