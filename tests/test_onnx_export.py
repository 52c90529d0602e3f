"""Exports are verified, described, and written only when they hold."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS, FOLDER
from efdn.deploy import DeployEFDN
from efdn.errors import ConfigError, ParityError
from efdn.sidecar import read_sidecar
from efdn.passes.pipeline import deploy_network
from efdn.weights import load_network, save_network
from export import verified_graph
from export.onnx_export import export_onnx
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.verification import compare, require, run_network, verification_input
from export.verified_graph import OnnxOptions
from tests.conftest import make_network


def test_packaged_graph_is_what_the_packaged_weights_export_to() -> None:
    sidecar = export_onnx(options=OnnxOptions())
    fresh, packaged = onnx.load(sidecar.file), onnx.load(DEFAULT_ONNX)
    assert [node.SerializeToString() for node in fresh.graph.node] == [
        node.SerializeToString() for node in packaged.graph.node
    ]
    for ours, theirs in zip(fresh.graph.initializer, packaged.graph.initializer, strict=True):
        assert ours.name == theirs.name
        # Folding is float64 arithmetic; another machine may round its last bit otherwise.
        np.testing.assert_allclose(onnx.numpy_helper.to_array(ours), onnx.numpy_helper.to_array(theirs), rtol=1e-6)
    assert sidecar.file == "efdn_x4_dynamic_fp32.onnx"
    assert sidecar.parity["onnxruntime"]["max_error"] <= 1e-4  # type: ignore[operator]


def test_packaged_files_have_the_listed_digests() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in map(str.split, lines)}
    assert listed == {
        name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
        for name in ("efdn_x4.safetensors", "efdn_x4.onnx", "verification.png")
    }
    assert read_sidecar(DEFAULT_ONNX).sha256 == listed["efdn_x4.onnx"]
    assert read_sidecar(DEFAULT_ONNX).weights_sha256 == listed["efdn_x4.safetensors"]


def test_half_precision_export_meets_its_tolerances_and_describes_itself() -> None:
    options = OnnxOptions(precision=Precision.FP16, opset=17, shape=(40, 56))
    returned = export_onnx(options=options)
    assert returned.file == "efdn_x4_40x56_fp16_op17.onnx"
    assert read_sidecar(Path(returned.file)) == returned
    for check in ("onnxruntime", "half_arithmetic"):
        figures = returned.parity[check]
        assert figures["finite"]
        assert figures["psnr_db"] >= 65  # type: ignore[operator]
        assert figures["grey_levels"] <= 1  # type: ignore[operator]
    model = onnx.load(returned.file)
    assert model.opset_import[0].version == 17
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["scale"] == "4"
    assert metadata["data_range"] == "255"
    assert metadata["shape"] == "40x56"
    assert metadata["precision"] == "fp16"
    assert metadata["weights_sha256"] == hashlib.sha256(DEFAULT_WEIGHTS.read_bytes()).hexdigest()
    assert returned.sha256 == hashlib.sha256(Path(returned.file).read_bytes()).hexdigest()


def test_large_static_graphs_are_checked_on_their_dynamic_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(make_network(), Path("w.safetensors"))
    shapes = []

    def watch(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape[2:])
        return run_network(network, x)

    monkeypatch.setattr(verified_graph, "run_network", watch)
    sidecar = export_onnx(Path("w.safetensors"), options=OnnxOptions(shape=(720, 1280)))
    assert set(shapes) == {(128, 128)}
    dims = onnx.load(sidecar.file).graph.output[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 3, 2880, 5120]


@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_and_data_ranges_export(scale: int) -> None:
    save_network(make_network(5, scale=scale, data_range=1.0), Path("w.safetensors"))
    sidecar = export_onnx(Path("w.safetensors"), options=OnnxOptions())
    assert sidecar.file == f"w_x{scale}_dynamic_fp32.onnx"
    assert sidecar.data_range == 1


def break_fold(network: DeployEFDN) -> DeployEFDN:
    network.tail.weight.data *= 1.01
    return network


def test_a_wrong_fold_is_caught_named_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_graph, "deploy_network", lambda network: break_fold(deploy_network(network)))
    Path("out.onnx").write_text("older")
    with pytest.raises(ParityError, match=r"check 'fold' against PyTorch failed: max error \d.*at most 1e-04"):
        export_onnx(target=Path("out.onnx"), options=OnnxOptions())
    assert Path("out.onnx").read_text() == "older"
    assert [path.name for path in Path().iterdir()] == ["out.onnx"]


def test_a_wrong_graph_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: DeployEFDN, **options: object) -> onnx.ModelProto:
        return write_onnx(break_fold(network), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(verified_graph, "write_onnx", wrong)
    # The fold check sees the same broken network; let it pass, to reach the next.
    sound = load_network(DEFAULT_WEIGHTS)
    monkeypatch.setattr(verified_graph, "run_network", lambda network, x: run_network(sound, x))
    with pytest.raises(ParityError, match="check 'onnxruntime'"):
        export_onnx(options=OnnxOptions())
    assert list(Path().iterdir()) == []


def test_comparison_figures() -> None:
    reference = np.full((1, 3, 4, 4), 100.0, np.float32)
    candidate = reference.copy()
    candidate[0, 0, 0, 0] = 102.55
    parity = compare(reference, candidate, 255.0)
    assert parity.max_error == pytest.approx(0.01, rel=1e-5)
    assert parity.mean_error == pytest.approx(0.01 / 48, rel=1e-5)
    assert parity.grey_levels == 3
    assert parity.differing_share == pytest.approx(1 / 48)
    assert parity.psnr_db == pytest.approx(20 * np.log10(255) - 10 * np.log10(2.55**2 / 48), abs=1e-4)
    assert compare(reference / 255, candidate / 255, 1.0).max_error == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize(
    ("precision", "change", "said"),
    [
        (Precision.FP32, 0.03, "max error"),
        (Precision.FP16, 2.0, "PSNR.*8-bit difference 2, at most 1"),
        (Precision.FP16, float("nan"), "not finite"),
    ],
)
def test_tolerances_are_enforced(precision: Precision, change: float, said: str) -> None:
    reference = np.full((1, 3, 4, 4), 100.0, np.float32)
    with pytest.raises(ParityError, match=f"check 'stage'.*{said}"):
        require("stage", compare(reference, reference + np.float32(change), 255.0), precision)
    require("stage", compare(reference, reference, 255.0), precision)


def test_verification_photo_fits_any_shape() -> None:
    assert verification_input(255.0).shape == (1, 3, 128, 128)
    for shape in ((13, 300), (500, 14)):
        assert verification_input(1.0, shape).shape == (1, 3, *shape)
    assert verification_input(1.0).max() <= 1


@pytest.mark.parametrize("options", [{"opset": 16}, {"opset": 24}, {"shape": (12, 64)}, {"shape": (9000, 64)}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        OnnxOptions(**options)  # type: ignore[arg-type]


def test_verification_runs_networks_in_their_own_type() -> None:
    network = make_network().double()
    output = run_network(network, np.zeros((1, 3, 13, 13), np.float32))
    assert output.dtype == np.float32
    assert torch.get_default_dtype() == torch.float32
