"""The commands as a user meets them: what they print, write, refuse, and how they exit."""

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import cli.export
import cli.infer
from cli.runner import run
from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.deploy import DeployEFDN
from efdn.errors import EngineError
from efdn.passes import pipeline
from efdn.passes.pipeline import PASSES
from efdn.sidecar import read_sidecar
from efdn.weights import save_network
from engines import registry
from tests.conftest import VECTORS, has_gpu, installed, make_network, noise


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `efdn-infer` or `efdn-export` in this process."""

    def call(program: str, *arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            (cli.infer if program == "efdn-infer" else cli.export).entry()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, out, err)

    return call


def test_infer_writes_beside_the_picture_and_says_what_it_did(command: Command, tiny_photo: Path) -> None:
    result = command("efdn-infer", tiny_photo)
    assert result.code == 0
    target = tiny_photo.with_name("tiny_x4.png")
    assert result.out.startswith(f"{target}  68x56  ")
    assert result.err.startswith(("engine: openvino", "engine: onnxruntime-c"))
    assert result.err.count("\n") == 1
    with Image.open(target) as image:
        assert (image.size, image.mode) == ((68, 56), "RGB")
        # The picture upscaled, not any picture: near a bicubic one (8.9), which its mirror image is not (25.9).
        with Image.open(tiny_photo) as small:
            bicubic = small.resize((68, 56), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(image).astype(int) - np.asarray(bicubic)).mean() < 15


def test_infer_keeps_the_colour_profile(command: Command, tiny_photo: Path) -> None:
    assert command("efdn-infer", tiny_photo, "-o", "out.webp").code == 0
    with Image.open("out.webp") as result, Image.open(tiny_photo) as original:
        assert result.info["icc_profile"] == original.info["icc_profile"]


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (13, 13)])
def test_infer_takes_the_smallest_pictures(command: Command, size: tuple[int, int]) -> None:
    Image.fromarray(noise(*size)).save("small.png")
    assert command("efdn-infer", "small.png").code == 0
    with Image.open("small_x4.png") as image:
        assert image.size == (4 * size[1], 4 * size[0])


def test_infer_overwrites_only_when_told_to(command: Command, tiny_photo: Path) -> None:
    Path("out.png").write_text("precious")
    refused = command("efdn-infer", tiny_photo, "-o", "out.png")
    assert refused.code == 1
    assert "out.png exists: give --skip-existing to leave it and do the rest, --overwrite to replace" in refused.err
    assert Path("out.png").read_text() == "precious"
    assert command("efdn-infer", tiny_photo, "-o", "out.png", "--overwrite").code == 0
    with Image.open("out.png") as image:
        assert image.size == (68, 56)


def test_infer_writes_into_a_folder(command: Command, tiny_photo: Path) -> None:
    Path("results").mkdir()
    assert command("efdn-infer", tiny_photo, "-o", "results").code == 0
    assert Path("results/tiny_x4.png").exists()


def test_infer_runs_weights_and_onnx_alike(command: Command, tiny_photo: Path) -> None:
    for name, model in (("a.png", DEFAULT_WEIGHTS), ("b.png", DEFAULT_ONNX)):
        assert command("efdn-infer", tiny_photo, "-o", name, "--model", model).code == 0
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1


def test_infer_names_the_output_after_the_scale(command: Command, tiny_photo: Path) -> None:
    save_network(make_network(scale=2), Path("w.safetensors"))
    assert command("efdn-infer", tiny_photo, "--model", "w.safetensors").code == 0
    with Image.open(tiny_photo.with_name("tiny_x2.png")) as image:
        assert image.size == (34, 28)


def test_export_onnx_end_to_end_at_full_size(command: Command, photo: Path) -> None:
    exported = command("efdn-export", "onnx", "--opset", "17", "-o", "model.onnx")
    assert exported.code == 0
    for part in ("model.onnx  1.", "FP32, any shape", "opset 17", "onnxruntime", "next: efdn-infer photo.png --model"):
        assert part in exported.out
    assert onnx.load("model.onnx").opset_import[0].version == 17
    assert json.loads(Path("model.onnx.json").read_text())["opset"] == 17
    assert command("efdn-infer", photo, "--model", "model.onnx", "-o", "out.png").code == 0
    with Image.open("out.png") as image:
        assert image.size == (800, 720)


@pytest.mark.tensorrt
def test_export_trt_prints_its_plan(command: Command) -> None:
    save_network(make_network(), Path("w.safetensors"))
    arguments = ("--weights", "w.safetensors", "--shape", "16x24", "--gpu-arch", "SM86,sm120", "--fp32")
    result = command("efdn-export", "trt", *arguments)
    assert result.code == 0
    assert "w_x4_16x24_fp32_rtx_sm86-sm120.engine" in result.out
    assert "sm86, sm120" in result.out
    assert "kernels, 0.0% in half precision" in result.out
    assert "kB per input pixel" in result.out
    if not has_gpu():
        assert "not run here: no usable NVIDIA GPU" in result.out
        Image.fromarray(noise(16, 24)).save("p.png")
        refused = command("efdn-infer", "p.png", "--model", "w_x4_16x24_fp32_rtx_sm86-sm120.engine")
        assert refused.code == 1
        assert "no usable NVIDIA GPU" in refused.err
        assert not Path("p_x4.png").exists()


@pytest.mark.parametrize("arguments", [("--passes",), ("--passes", "--fp16"), ("--passes", "list")], ids=str)
def test_bare_passes_are_listed(command: Command, arguments: tuple[str, ...]) -> None:
    result = command("efdn-export", "onnx", *arguments)
    assert result.code == 0
    for item in PASSES:
        assert f"  {item.name} " in result.out
    assert "onnxruntime (default)" in result.out
    assert list(Path().glob("*.onnx")) == []
    assert (
        "tensorrt-dynamic (default)"
        in command("efdn-export", "trt", "--min", "16x16", "--opt", "16x16", "--max", "20x20", "--passes").out
    )


def test_passes_can_be_switched_and_are_in_the_sidecar(command: Command) -> None:
    save_network(make_network(), Path("w.safetensors"))
    arguments = ("--weights", "w.safetensors", "--shape", "16x24", "-o", "m.onnx")
    assert (
        command("efdn-export", "onnx", *arguments, "--passes", "-pad_channels,-add_up_branches,+join_branches").code
        == 0
    )
    passes = read_sidecar(Path("m.onnx")).passes
    assert "pad_channels" not in passes
    assert "join_branches" in passes


def test_pictures_in_and_out_are_what_floats_give(command: Command, tiny_photo: Path) -> None:
    # The packaged file takes floats.
    assert command("efdn-export", "onnx", "--io", "uint8", "-o", "bytes.onnx").code == 0
    for name, model in (("a", "bytes.onnx"), ("b", DEFAULT_ONNX)):
        assert command("efdn-infer", tiny_photo, "--model", model, "-o", f"{name}.png").code == 0
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1


def test_a_report_is_written_and_a_failure_leaves_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(make_network(), Path("w.safetensors"))
    arguments = ("onnx", "--weights", "w.safetensors", "--passes", "tensorrt", "-o", "m.onnx", "--report", "report")
    assert command("efdn-export", *arguments).code == 0
    assert "<html" in Path("report/index.html").read_text()
    Path("m.onnx").unlink()
    sound = pipeline._BY_NAME["lower_tail"]

    def broken(network: DeployEFDN) -> DeployEFDN:
        result = sound.apply(network)
        result.tail.weight.data *= 1.001
        return result

    monkeypatch.setitem(pipeline._BY_NAME, "lower_tail", replace(sound, apply=broken))
    failed = command("efdn-export", *arguments)
    assert failed.code == 1
    assert "stage 'lower_tail' is the first to fail" in failed.err
    assert not Path("m.onnx").exists()
    assert json.loads(Path("report/report.json").read_text())["first_failure"]["stage"] == "lower_tail"


def broken_inputs() -> None:
    """One file of every kind that people hand over by mistake."""
    Image.fromarray(noise(20, 20)).save("good.png")
    content = Path("good.png").read_bytes()
    Path("cut.png").write_bytes(content[: len(content) // 2])
    Path("text.png").write_text("not a picture")
    Path("folder.png").mkdir()
    Image.new("RGBA", (20, 20)).save("alpha.png")
    torch.save({"fea_conv.weight": torch.zeros(50, 3, 3, 3)}, "rfdn.pth")
    state = dict(make_network().state_dict())
    torch.save(state, "small.pth")
    state["tail.0.weight"] = torch.zeros(20, 12, 3, 3)
    torch.save(state, "scale.pth")
    Path("text.onnx").write_text("not a model")


BAD_COMMANDS = [
    (1, "no file or folder none.png", "efdn-infer none.png"),
    (1, "no pictures in folder.png: expected names ending in .3gp, .apng, .*; -r searches", "efdn-infer folder.png"),
    (1, "cut.png is a broken or truncated picture", "efdn-infer cut.png"),
    (1, "text.png is not a PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF", "efdn-infer text.png"),
    (1, "JPEG holds no alpha, .* choose .png, .* or --background", "efdn-infer alpha.png --ext jpg"),
    (1, "more than the limit of 100", "efdn-infer good.png --max-pixels 100"),
    (1, "expected a name ending in .png", "efdn-infer good.png -o out.doc"),
    (1, "GIF is only read", "efdn-infer good.png -o out.gif"),
    (1, "would replace a picture that is to be upscaled", "efdn-infer good.png -o good.png --overwrite"),
    (1, "text.png is a file, not a folder", "efdn-infer good.png -o text.png/out.png"),
    (1, "name too long", "efdn-infer good.png -o " + "a" * 300 + ".png"),
    (1, "rfdn.pth is of no network known here.*fea_conv.weight", "efdn-infer good.png --model rfdn.pth"),
    (1, "scale.pth looks like EFDN, but it has no whole scale", "efdn-infer good.png --model scale.pth"),
    (1, "^efdn-infer: .*text.onnx(,| is).* (not a readable|no) ONNX file", "efdn-infer good.png --model text.onnx"),
    (1, "cannot tell what good.png is", "efdn-infer good.png --model good.png"),
    (1, "needs a TensorRT engine file", "efdn-infer good.png --engine tensorrt"),
    (2, "no engine 'warp': expected auto", "efdn-infer good.png --engine warp"),
    (2, "max_pixels must be at least 1, got 0", "efdn-infer good.png --max-pixels 0"),
    (2, "Missing argument", "efdn-infer"),
    (2, "No such option: --fast", "efdn-infer good.png --fast"),
    (1, "rfdn.pth is of no network known here", "efdn-export onnx --weights rfdn.pth"),
    (1, "no weights at none.pth", "efdn-export onnx --weights none.pth"),
    (1, "expected a name ending in .onnx", "efdn-export onnx -o good.png"),
    (1, "does not exist", "efdn-export onnx -o nowhere/out.onnx"),
    (1, "opset must be 17 to 23, got 99", "efdn-export onnx --opset 99"),
    (1, "at most 8192 a side", "efdn-export onnx --shape 100000x64"),
    (1, "at least 13x13, got 12x20", "efdn-export onnx --shape 12x20"),
    (2, "--shape takes HEIGHTxWIDTH", "efdn-export onnx --shape wide"),
    (2, "Invalid value for '--opset'", "efdn-export onnx --opset new"),
    (2, "no pass or pipeline 'fast': expected none, pytorch, onnxruntime", "efdn-export onnx --passes fast"),
    (2, "pass pad_channels needs group_channels", "efdn-export onnx --passes pad_channels"),
    (2, "fold_scale changes the range", "efdn-export onnx --passes +fold_scale"),
    (2, "join_skip and lower_tail exclude each other", "efdn-export trt --passes +join_skip"),
    (2, "--bf16 does not go with --fp16", "efdn-export onnx --bf16 --fp16"),
    (1, "bf16 needs opset 22", "efdn-export onnx --bf16 --opset 20"),
    (1, "bf16 needs sm80 or later, sm75", "efdn-export trt --bf16 --gpu-arch sm75,sm86"),
    (1, "give --fp16 or --bf16", "efdn-export onnx --keep-fp32 tail"),
    (2, "no part of the graph matches 'nose'", "efdn-export onnx --weights small.pth --fp16 --keep-fp32 nose"),
    (2, "Invalid value for '--io'", "efdn-export onnx --io int8"),
    (1, "shapes must differ, got 64x64, 64x64", "efdn-export trt --shape 64x64 --shape 64x64"),
    (1, "at least 13x13, got 12x64", "efdn-export trt --shape 64x64 --shape 12x64"),
    (1, "good.png", "efdn-export onnx --report good.png"),
    (2, "No such command", "efdn-export tflite"),
    (1, "does not build for sm90: expected some of sm75", "efdn-export trt --gpu-arch sm90"),
    (2, "--gpu-arch takes names such as", "efdn-export trt --gpu-arch ampere"),
    (2, "--gpu-arch goes with --runtime rtx", "efdn-export trt --runtime tensorrt --gpu-arch sm86"),
    (2, "--shape does not go with", "efdn-export trt --shape 64x64 --max 64x64"),
    (2, "--opt, --max is missing|--opt, --max are missing", "efdn-export trt --min 64x64"),
    (1, "min <= opt <= max", "efdn-export trt --min 64x64 --opt 32x32 --max 99x99"),
]


@pytest.mark.parametrize(("code", "said", "line"), BAD_COMMANDS, ids=[line for _, _, line in BAD_COMMANDS])
def test_bad_input_is_one_clear_line(command: Command, code: int, said: str, line: str) -> None:
    if "trt" in line and not installed("tensorrt_rtx"):
        pytest.skip("TensorRT for RTX is not installed")
    broken_inputs()
    before = sorted(Path().rglob("*"))
    result = command(*line.split())
    assert result.code == code, result.err
    assert result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith(f"{line.split()[0]}: ")
    # Beside the error, only what was being done, and on what engine.
    assert all(text.endswith("...") or text.startswith("engine: ") for text in result.err.splitlines()[:-1])
    assert re.search(said, last), last
    assert sorted(Path().rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_an_unwritable_folder_is_explained(command: Command, tiny_photo: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    result = command("efdn-infer", tiny_photo, "-o", "locked/out.png")
    assert result.code == 1
    assert "no permission to write" in result.err


def test_pictures_larger_than_a_static_model_are_cut_into_tiles(command: Command, photo: Path) -> None:
    save_network(make_network(), Path("w.safetensors"))
    assert command("efdn-export", "onnx", "--weights", "w.safetensors", "--shape", "64x64", "-o", "m.onnx").code == 0
    for model in ("m.onnx", "w.safetensors"):
        assert command("efdn-infer", photo, "--model", model, "-o", f"{model}.png", "--tile", 64).code == 0
    with Image.open("m.onnx.png") as a, Image.open("w.safetensors.png") as b:
        assert a.size == (800, 720)
        # Tiles of one shape mirror what they lack, so that the last ones see other pixels beyond the picture.
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).mean() < 1


def test_a_shape_too_small_for_tiles_is_explained(command: Command, tiny_photo: Path) -> None:
    save_network(make_network(), Path("w.safetensors"))
    assert command("efdn-export", "onnx", "--weights", "w.safetensors", "--shape", "16x16", "-o", "m.onnx").code == 0
    result = command("efdn-infer", tiny_photo, "--model", "m.onnx")
    assert result.code == 1
    assert "tiles of 16 pixels have no room for 16 pixels of overlap and 8 of padding: expected at least" in result.err
    assert command("efdn-infer", tiny_photo, "--model", "m.onnx", "--tile-overlap", 1, "--pad", 1).code == 0


@pytest.mark.parametrize(
    ("raised", "code", "said"), [(KeyboardInterrupt(), 130, "interrupted"), (MemoryError(), 1, "out of memory")]
)
def test_interruption_and_lack_of_memory_are_clean(
    command: Command, monkeypatch: pytest.MonkeyPatch, tiny_photo: Path, raised: BaseException, code: int, said: str
) -> None:
    def fail(self: registry.EngineEntry, model: Path, options: object) -> None:
        raise raised

    monkeypatch.setattr(registry.EngineEntry, "open", fail)
    result = command("efdn-infer", tiny_photo)
    assert (result.code, said in result.err) == (code, True)


@pytest.mark.parametrize("program", ["efdn-infer", "efdn-export"])
def test_version_and_help(command: Command, program: str) -> None:
    assert command(program, "--version").out.startswith("efdn ")
    shown = command(program, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: {program}")


def test_export_without_a_command_shows_its_help(command: Command) -> None:
    result = command("efdn-export")
    assert result.code == 2
    assert "onnx" in result.out


def test_messages_of_several_lines_become_one(capsys: pytest.CaptureFixture[str]) -> None:
    def app(**_: object) -> None:
        raise EngineError("first\n   second")

    with pytest.raises(SystemExit):
        run(app, "efdn-test")  # type: ignore[arg-type]
    assert capsys.readouterr().err == "efdn-test: first second\n"


def test_reference_checkpoint_exports(command: Command) -> None:
    result = command("efdn-export", "onnx", "-w", VECTORS / "published_layout.pth", "--shape", "20x20")
    assert result.code == 0
    assert "published_layout_x4_20x20_fp32.onnx" in result.out
