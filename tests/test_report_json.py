"""A verification report as JSON."""

import json
from dataclasses import replace

import pytest

from export.report import Report
from export.report_json import report_to_json
from tests.report_samples import INF, LOST, NAN, check, failing, make_report, tensor


@pytest.fixture
def report() -> Report:
    return make_report()


def test_json_holds_all_but_pixels_and_no_infinities(report: Report) -> None:
    lost = check("onnx fp16, uint8", "photo", LOST, LOST, overflow="body.3/Conv")
    odd = replace(failing(report, lost), tightest=(tensor("t", INF),), divergence=(("head/Conv", NAN),))
    content = report_to_json(odd)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert (content["schema"], content["holds"], content["data_range"]) == (1, False, 255.0)
    assert content["options"] == {
        "precision": "fp16",
        "io": "uint8",
        "opset": 20,
        "passes": ["sum_head_repeats", "fold_scale"],
        "keep_fp32": [],
    }
    assert content["first_failure"] == content["checks"][2]
    assert content["checks"][2] == {
        "stage": "onnx fp16, uint8",
        "picture": "photo",
        "holds": False,
        "before": dict.fromkeys(["max_error", "mean_error", "psnr_db"])
        | {"grey_levels": 255, "differing_share": 1.0, "finite": False},
        "reference": content["checks"][2]["before"],
        "broken": ["values are not finite"],
        "overflow": "body.3/Conv",
    }
    assert content["checks"][0]["before"]["psnr_db"] is None
    assert content["checks"][0]["reference"]["max_error"] == 3e-7
    assert content["tightest"] == [{"name": "t", "op_type": "Conv", "dtype": "float16", "largest": None, "share": None}]
    assert content["divergence"] == [{"tensor": "head/Conv", "relative_error": None}]
    assert content["not_run"] == [{"stage": "TensorRT", "reason": "no <GPU> here"}]
    assert content["pictures"][0] == {"name": "photo", "height": 2, "width": 3}


def test_json_of_a_report_that_holds(report: Report) -> None:
    content = report_to_json(report)
    assert (content["holds"], content["first_failure"]) == (True, None)
    assert content["tightest"][0]["largest"] == 655.04
    assert content["divergence"][1] == {"tensor": "body.0/Add", "relative_error": 4e-3}
