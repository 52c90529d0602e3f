"""The commands with RFDN's weights, as a user meets them."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from efdn.sidecar import read_sidecar
from tests.rfdn_samples import make_rfdn

Result = tuple[int, str, str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs a command in this process: exit code, output, errors."""

    def call(module: str, *arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            importlib.import_module(module).entry()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    return call


@pytest.fixture
def weights() -> Path:
    """A plain state dict, as RFDN's are published."""
    torch.save(make_rfdn().state_dict(), "rfdn.pth")
    return Path("rfdn.pth")


def test_export_then_infer_give_the_same_picture(
    command: Callable[..., Result], weights: Path, tiny_photo: Path
) -> None:
    code, out, _ = command("cli.export", "onnx", "--weights", weights)
    assert code == 0
    assert out.startswith("rfdn_x4_dynamic_fp32.onnx  ")
    assert "any shape from 15x15" in out
    assert read_sidecar(Path("rfdn_x4_dynamic_fp32.onnx")).architecture == "RFDN"
    with Image.open(tiny_photo) as image:
        image.resize((20, 18)).save("photo.png")
    pictures = []
    for model, engine in ((weights, "pytorch"), ("rfdn_x4_dynamic_fp32.onnx", "onnxruntime-cpu")):
        code, _, err = command("cli.infer", "photo.png", "--model", model, "--engine", engine, "-o", f"{engine}.png")
        assert code == 0
        assert err.startswith(f"engine: {engine} ")
        with Image.open(f"{engine}.png") as image:
            assert image.size == (80, 72)
            pictures.append(torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).int())
    assert int((pictures[0] - pictures[1]).abs().max()) <= 1


@pytest.mark.parametrize("passes", ["onnxruntime", "tensorrt", "+wrap_once,group_channels"])
def test_passes_are_refused(command: Callable[..., Result], weights: Path, passes: str) -> None:
    code, out, err = command("cli.export", "onnx", "--weights", weights, "--passes", passes)
    assert (code, out) == (2, "")
    assert "RFDN has no passes, got " in err
    assert list(Path().glob("*.onnx")) == []


@pytest.mark.tensorrt
def test_an_engine_is_built(command: Callable[..., Result], weights: Path) -> None:
    line = ("cli.export", "trt", "--weights", weights, "--gpu-arch", "sm86", "--shape", "48x48")
    code, out, _ = command(*line)
    assert code == 0
    assert out.startswith("rfdn_x4_48x48_fp16_rtx_sm86.engine  ")
    code, _, err = command(*line, "--passes", "tensorrt")
    assert code == 2
    assert "RFDN has no passes" in err


def test_inspect_tells_it_from_efdn(command: Callable[..., Result], weights: Path) -> None:
    code, out, _ = command("cli.inspection", weights)
    assert code == 0
    assert "network       RFDN x4, 12 channels, 2 blocks" in out
    torch.save({"model._orig_mod.head.weight": torch.zeros(1)}, "other.pth")
    code, out, _ = command("cli.inspection", "other.pth")
    assert code == 0
    assert "none known here: no head.pw.weight and tail.0.weight (EFDN) or fea_conv.weight and " in out
    torch.save({**make_rfdn().state_dict(), "upsampler.0.weight": torch.zeros(7, 12, 3, 3)}, "odd.pth")
    code, out, _ = command("cli.inspection", "odd.pth")
    assert code == 0
    assert "like RFDN, but it has no whole scale: upsampler.0.weight has 7 outputs" in out
