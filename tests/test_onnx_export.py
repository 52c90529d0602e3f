"""Exports are verified, described, and written only when they hold."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS, FOLDER
from efdn.deploy import DeployEFDN
from efdn.errors import ConfigError, ParityError
from efdn.folding import fold_batch_norms
from efdn.network import EFDN
from efdn.passes import pipeline
from efdn.sidecar import read_sidecar
from efdn.weights import load_network, save_network
from export import verified_graph
from export.checked_passes import checked_deploy
from export.io_format import IOFormat
from export.onnx_export import export_onnx
from export.onnx_graph import write_onnx
from export.options import OnnxOptions
from export.precision import Precision
from export.verification import FLOATS, PICTURES, Tolerance, compare, require, rounded, run_network, verification_input
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
    for check in ("onnxruntime", "half arithmetic"):
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
    assert metadata["passes"] == ",".join(returned.passes)
    assert metadata["layout"] == "NCHW"
    assert returned.graph_sha256 == returned.sha256
    assert metadata["weights_sha256"] == hashlib.sha256(DEFAULT_WEIGHTS.read_bytes()).hexdigest()
    assert returned.sha256 == hashlib.sha256(Path(returned.file).read_bytes()).hexdigest()


def test_large_static_graphs_are_checked_on_their_dynamic_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(make_network(), Path("w.safetensors"))
    shapes = []

    def watch(network: EFDN | DeployEFDN, x: np.ndarray, data_range: float) -> np.ndarray:
        shapes.append(x.shape[2:])
        return run_network(network, x, data_range)

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
    monkeypatch.setattr(pipeline, "fold_batch_norms", lambda network: break_fold(fold_batch_norms(network)))
    Path("out.onnx").write_text("older")
    with pytest.raises(ParityError, match=r"check 'fold' failed: max error \d.*at most 1e-09"):
        export_onnx(target=Path("out.onnx"), options=OnnxOptions())
    assert Path("out.onnx").read_text() == "older"
    assert [path.name for path in Path().iterdir()] == ["out.onnx"]


@pytest.mark.parametrize("name", ["merge_narrow_bsconvs", "lower_tail", "pad_channels"])
def test_a_wrong_pass_is_caught_and_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sound = pipeline._BY_NAME[name]

    def apply(network: DeployEFDN) -> DeployEFDN:
        return break_fold(sound.apply(network))

    monkeypatch.setitem(pipeline._BY_NAME, name, replace(sound, apply=apply))
    with pytest.raises(ParityError, match=f"check 'pass {name}' failed: max error .*: it changed the output"):
        checked_deploy(make_network(), pipeline.find_passes("tensorrt"))


def test_pictures_in_and_out_export_and_describe_themselves() -> None:
    save_network(make_network(5, data_range=1.0), Path("w.safetensors"))
    passes = pipeline.find_passes(pictures=True)
    sidecar = export_onnx(Path("w.safetensors"), options=OnnxOptions(io=IOFormat.UINT8, passes=passes))
    assert sidecar.file == "w_x4_dynamic_fp32_uint8.onnx"
    assert (sidecar.io, sidecar.passes) == ("uint8", passes)
    assert sidecar.parity["onnxruntime"]["grey_levels"] <= 1  # type: ignore[operator]


def test_bfloat16_exports_and_is_held_to_pytorch_in_its_own_arithmetic() -> None:
    sidecar = export_onnx(options=OnnxOptions(precision=Precision.BF16, opset=22, shape=(48, 48)))
    assert set(sidecar.parity) == {"deploy form", "half arithmetic"}
    assert 45 <= sidecar.parity["half arithmetic"]["psnr_db"] <= 65  # type: ignore[operator]


def test_an_overflow_in_half_precision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network()
    # What the attention narrows to leaves half precision; the weights do not, and the sigmoid hides it from the output.
    network.body[1].esa.head_conv.weight.data *= 3e4  # type: ignore[union-attr, operator]
    save_network(network, Path("w.safetensors"))
    monkeypatch.setitem(FLOATS, Precision.FP16, Tolerance())
    with pytest.raises(ParityError, match=r"first tensor that overflows is body\.1/.*--keep-fp32"):
        export_onnx(Path("w.safetensors"), options=OnnxOptions(precision=Precision.FP16))
    assert [path.name for path in Path().iterdir()] == ["w.safetensors"]


def test_a_wrong_graph_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: DeployEFDN, **options: object) -> onnx.ModelProto:
        return write_onnx(break_fold(network), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(verified_graph, "write_onnx", wrong)
    # The check of the deploy form sees the same broken network; let it pass, to reach the next.
    sound = load_network(DEFAULT_WEIGHTS)
    monkeypatch.setattr(verified_graph, "run_network", lambda network, x, data_range: run_network(sound, x, data_range))
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
        require("stage", compare(reference, reference + np.float32(change), 255.0), FLOATS[precision])
    require("stage", compare(reference, reference, 255.0), FLOATS[precision])


def test_pictures_are_compared_after_rounding() -> None:
    reference = np.linspace(0, 255, 48 * 4, dtype=np.float32).reshape(1, 3, 8, 8)
    picture = np.rint(reference)
    require("stage", compare(rounded(reference, 255.0), picture, 255.0), PICTURES[Precision.FP32])
    picture[0, 0, 0, 0] += 1
    with pytest.raises(ParityError, match=r"0\.52% of values differ, at most 0\.10% allowed"):
        require("stage", compare(rounded(reference, 255.0), picture, 255.0), PICTURES[Precision.FP32])


def test_verification_photo_fits_any_shape() -> None:
    assert verification_input(255.0).shape == (1, 3, 128, 128)
    for shape in ((13, 300), (500, 14)):
        assert verification_input(1.0, shape).shape == (1, 3, *shape)
    assert verification_input(1.0).max() <= 1


@pytest.mark.parametrize("options", [{"opset": 16}, {"opset": 24}, {"shape": (12, 64)}, {"shape": (9000, 64)}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        OnnxOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": Precision.BF16}, "bf16 needs opset 22 or later, got 20"),
        ({"keep_fp32": ("tail",)}, "give --fp16 or --bf16"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        OnnxOptions(**options)  # type: ignore[arg-type]


def test_verification_runs_networks_in_their_own_type() -> None:
    network = make_network().double()
    output = run_network(network, np.zeros((1, 3, 13, 13), np.float32), 255.0)
    assert output.dtype == np.float64
    np.testing.assert_allclose(run_network(network, np.zeros((1, 3, 13, 13)), 1.0), output / 255, rtol=1e-12)
