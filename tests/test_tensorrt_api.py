"""The fake TensorRT is held to a record of the real one, and the record to the module that is installed."""

from __future__ import annotations

import inspect
import json

import pytest

from tests.fakes.record_tensorrt import METHODS, RECORD, VALUES, find, record
from tests.fakes.tensorrt import CLASSES

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.tensorrt
def test_the_record_is_that_of_the_installed_module() -> None:
    import tensorrt_rtx

    assert record(tensorrt_rtx) == RECORDED, "engines may break: look at what changed, then record anew"


@pytest.mark.tensorrt
@pytest.mark.parametrize("name", [*METHODS, *VALUES])
def test_a_name_that_is_gone_would_be_noticed(name: str) -> None:
    import tensorrt_rtx

    with pytest.raises(AttributeError):
        find(tensorrt_rtx, f"{name}_that_is_gone")
    find(tensorrt_rtx, name)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_fake_takes_the_parameters_of_the_real_one(kind: type) -> None:
    checked = 0
    for name, function in vars(kind).items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        parameters = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]
        assert parameters in RECORDED["signatures"][f"{kind.__name__}.{name}"]
        checked += 1
    assert checked


def test_engines_use_no_method_that_is_not_recorded() -> None:
    """What the run time calls on TensorRT's objects is on the record."""
    import re
    from pathlib import Path

    import engines.trt.engine as engine_module

    sources = "".join(path.read_text(encoding="utf-8") for path in Path(engine_module.__file__).parent.glob("*.py"))
    called = set(re.findall(r"\b(?:_context|_engine|engine|config|_cache|context)\.(\w+)\(", sources))
    known = {name.split(".")[-1] for name in METHODS} | {"save", "attach", "close", "context"}
    assert called <= known
    assert {"execute_async_v3", "create_execution_context", "serialize"} <= called
