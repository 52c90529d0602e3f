"""The report compares every stage, and names the first that is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from efdn.deploy import DeployEFDN
from efdn.errors import ParityError
from efdn.passes import pipeline
from efdn.passes.pipeline import find_passes
from export import stages
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.probes import probe_pictures
from export.report import Report, verification_report
from export.verified_graph import serialized_graph
from tests.conftest import make_network

TENSORRT = find_passes("tensorrt")


@pytest.fixture(scope="module")
def half_report() -> Report:
    passes = find_passes("tensorrt", pictures=True)
    options = OnnxOptions(precision=Precision.FP16, io=IOFormat.UINT8, passes=passes)
    return verification_report(make_network(data_range=1.0), options)


def test_every_stage_is_compared_on_every_picture(half_report: Report) -> None:
    assert list(dict.fromkeys(check.stage for check in half_report.checks)) == [
        "fold",
        *half_report.options.passes,
        "onnx fp32",
        "onnx fp16",
        "onnx fp16, uint8",
    ]
    assert {check.picture for check in half_report.checks} == set(probe_pictures())
    assert len(half_report.checks) == len(probe_pictures()) * (len(half_report.options.passes) + 4)


def test_a_sound_network_holds_and_its_figures_are_those_of_rounding(half_report: Report) -> None:
    assert half_report.first_failure is None
    half_report.require()
    for check in half_report.checks:
        if not check.stage.startswith("onnx"):
            assert check.before.max_error < 1e-12
        assert (check.before.max_error > 1e-6) == ("fp16" in check.stage) or check.picture in ("black", "white")


def test_headroom_and_divergence_are_of_the_half_precision_graph(half_report: Report) -> None:
    assert half_report.tightest[0].dtype == "float16"
    assert 0 < half_report.tightest[0].share < 1
    names = [name for name, _ in half_report.divergence]
    assert names == ["head/Conv", "body.0/Add", "body.1/Add", "fusion/Conv", "tail/Conv"]
    assert all(1e-5 < error < 0.05 for _, error in half_report.divergence)


def test_divergence_of_a_graph_that_adds_up_has_the_same_places() -> None:
    report = verification_report(make_network(data_range=1.0), OnnxOptions(precision=Precision.FP16))
    names = [name for name, _ in report.divergence]
    assert names == ["head/Conv", "body.0/Add", "body.1/Add", "fusion/Add", "tail/Conv"]
    assert all(1e-5 < error < 0.05 for _, error in report.divergence)


def test_results_are_pictures(half_report: Report) -> None:
    for picture in half_report.pictures:
        assert picture.reference.shape == picture.result.shape == (*(4 * side for side in picture.source.shape[:2]), 3)
        assert np.abs(picture.reference.astype(int) - picture.result).max() <= 1


def broken_after(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = pipeline._BY_NAME[name]

    def apply(network: DeployEFDN) -> DeployEFDN:
        result = sound.apply(network)
        result.tail.weight.data[5] *= 1.0001
        return result

    monkeypatch.setitem(pipeline._BY_NAME, name, replace(sound, apply=apply))


@pytest.mark.parametrize("name", ["read_branches", "carry_scaled_trunk", "join_branches"])
def test_a_pass_broken_on_purpose_is_caught_and_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_after(name, monkeypatch)
    report = verification_report(make_network(), OnnxOptions(passes=TENSORRT))
    failed = report.first_failure
    assert failed is not None
    assert failed.stage == name
    # Those after it are as they were before it: only the one that changed something is at fault.
    assert {check.stage for check in report.checks if check.broken} == {name}
    with pytest.raises(ParityError, match=f"stage '{name}' is the first to fail, on '.*': max error .* at most 1e-09"):
        report.require()


def test_an_overflow_is_traced_to_the_first_tensor() -> None:
    network = make_network()
    network.body[1].esa.head_conv.weight.data *= 3e4  # type: ignore[union-attr, operator]
    report = verification_report(network, OnnxOptions(precision=Precision.FP16, passes=TENSORRT))
    failed = report.first_failure
    assert failed is not None
    assert failed.stage == "onnx fp16"
    assert failed.overflow is not None
    assert failed.overflow.startswith("body.1/attention/")
    with pytest.raises(ParityError, match=r"first tensor that overflows is body\.1/attention/"):
        report.require()


def test_bfloat16_says_what_was_not_run() -> None:
    options = OnnxOptions(precision=Precision.BF16, opset=22)
    report = verification_report(make_network(), options)
    assert report.not_run[0][0] == "ONNX Runtime"
    assert [check.stage for check in report.checks[-2:]] == ["onnx fp32", "onnx bf16"]


def test_a_wrong_graph_is_the_fault_of_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = serialized_graph

    def wrong(network: DeployEFDN, options: OnnxOptions, metadata: dict[str, str]) -> bytes:
        network.tail.weight.data *= 1.01
        return sound(network, options, metadata)

    monkeypatch.setattr(stages, "serialized_graph", wrong)
    failed = verification_report(make_network(), OnnxOptions()).first_failure
    assert failed is not None
    assert failed.stage == "onnx fp32"
