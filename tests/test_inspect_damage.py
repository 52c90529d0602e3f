"""Files that were damaged: refused or read, and nothing else."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from efdn.inspection.details import MalformedError
from efdn.inspection.engine_file import read_engine
from efdn.inspection.onnx_file import read_onnx
from efdn.inspection.pickles import UnknownPickleError, follow_pickle
from efdn.inspection.safetensors_file import read_safetensors
from tests.inspecting import rtx_engine
from tests.test_inspect_onnx import odd_model

PICKLED = {"a": [1, (2, "b"), 1.5, None], "c": Path(), "d": {3: b"e"}}

Reader = Callable[[bytes], object]


def follow_bytes(content: bytes) -> object:
    return follow_pickle(io.BytesIO(content))


CASES: list[tuple[Reader, bytes]] = [
    (read_onnx, odd_model().SerializeToString()),
    (read_safetensors, save({"a": np.ones(2, np.float32)}, metadata={"k": "v"})),
    (read_engine, rtx_engine()),
    *((follow_bytes, pickle.dumps(PICKLED, protocol=protocol)) for protocol in (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("reader", "content"), CASES)
def test_every_cut_is_refused_or_read(reader: Reader, content: bytes) -> None:
    reader(content)
    refused = [length for length in range(len(content)) if refusal(reader, content[:length]) is not None]
    # An ONNX file alone can end early and be one: after any of the last fields, which are of the same rank.
    assert len(refused) > (0.9 if reader is read_onnx else 0.999) * len(content)


@given(st.data())
def test_every_damage_is_refused_or_read(data: st.DataObject) -> None:
    reader, whole = data.draw(st.sampled_from(CASES))
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.sampled_from([0, 1, 1, 50]))] = data.draw(st.binary(max_size=2))
    reason = refusal(reader, bytes(content))
    assert reason is None or "\n" not in reason


def refusal(reader: Reader, content: bytes) -> str | None:
    """Why a reader refuses; any other error is raised, and fails the test."""
    try:
        reader(content)
    except (MalformedError, UnknownPickleError) as error:
        return str(error)
    return None
