"""A verification report as JSON."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from export.report import Report, StageCheck
from export.verification import as_figures

SCHEMA = 1


def report_to_json(report: Report) -> dict[str, Any]:
    """A report without its pixels, for `json.dump`: infinite figures, and those that are not a number, are None."""
    options, failed = report.options, report.first_failure
    return {
        "schema": SCHEMA,
        "holds": bool(report.checks) and failed is None,
        "options": {
            "precision": options.precision.value,
            "io": options.io.value,
            "opset": options.opset,
            "passes": list(options.passes),
            "keep_fp32": list(options.keep_fp32),
        },
        "data_range": report.data_range,
        "first_failure": None if failed is None else _check_to_json(failed),
        "checks": [_check_to_json(check) for check in report.checks],
        "tightest": [_finite(asdict(entry)) for entry in report.tightest],
        "divergence": [_finite({"tensor": name, "relative_error": error}) for name, error in report.divergence],
        "not_run": [{"stage": stage, "reason": reason} for stage, reason in report.not_run],
        "pictures": [
            {"name": picture.name, "height": picture.source.shape[0], "width": picture.source.shape[1]}
            for picture in report.pictures
        ],
    }


def _check_to_json(check: StageCheck) -> dict[str, Any]:
    return {
        "stage": check.stage,
        "picture": check.picture,
        "holds": not check.broken,
        **as_figures({"before": check.before, "reference": check.reference}),
        "broken": list(check.broken),
        "overflow": check.overflow,
    }


def _finite(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in figures.items()}
