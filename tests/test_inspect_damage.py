"""Files that were damaged: refused or read, and nothing else."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from safetensors.numpy import save

from efdn.inspection.details import MalformedError
from efdn.inspection.engine_file import read_engine
from efdn.inspection.onnx_file import read_onnx
from efdn.inspection.pickles import UnknownPickleError, follow_pickle
from efdn.inspection.safetensors_file import read_safetensors
from tests.inspecting import rtx_engine, run_inspect
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


@pytest.mark.parametrize(
    "shape", ["[1e400]", "[1.5]", "[NaN]", '["2"]', "[true]", f"[{1 << 40}]", str([1 << 39] * 300)]
)
def test_shapes_that_no_tensor_has_are_refused(shape: str) -> None:
    refused_in_one_line(safetensors_of(shape, "[0, 0]"), "x.safetensors")


@pytest.mark.parametrize("offsets", ["[0, 1e400]", '["0", 0]', f"[0, {'9' * 4300}]", "[0]", "[3, 2]"])
def test_offsets_that_no_tensor_has_are_refused(offsets: str) -> None:
    refused_in_one_line(safetensors_of("[0]", offsets), "x.safetensors")


def test_constants_that_nothing_holds_are_refused() -> None:
    model = odd_model()
    model.graph.initializer.append(TensorProto(name="a", data_type=1, dims=[1 << 39] * 400))
    refused_in_one_line(model.SerializeToString(), "x.onnx")


def safetensors_of(shape: str, offsets: str) -> bytes:
    header = f'{{"a": {{"dtype": "odd", "shape": {shape}, "data_offsets": {offsets}}}}}'.encode()
    return struct.pack("<Q", len(header)) + header


def refused_in_one_line(content: bytes, name: str) -> None:
    Path(name).write_bytes(content)
    result = run_inspect(name)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{name} begins like a" in result.err


REBUILD, PARAMETER = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n"
DEPTH = 3000
TENSOR = REBUILD + b"NK\0(K\2K\3t\x87R"
ENDLESS = b"\x8b" + struct.pack("<i", 2000) + b"\x7f" * 2000  # A whole number of 4816 digits.


def entry(key: bytes, value: bytes) -> bytes:
    return b"\x80\2}" + key + value + b"s."


@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (b"\x80\2" + b"cm\nf\n" + b")R" * DEPTH + b".", "makes m.f, without tensors"),
        (entry(b"K\1", PARAMETER * DEPTH + TENSOR + b"\x85R" * DEPTH), "network"),
        (entry(b")" + b"\x85" * DEPTH, TENSOR), "network"),
        (entry(b")" + b"q\0h\0\x86" * 60, b"}K\1" + TENSOR + b"s"), "tensors in (tuple)"),
        (entry(ENDLESS, TENSOR), "network"),
        (b"\x80\4)" + b"\x85" * DEPTH + b"\x8c\1a\x93.", "a class without a name"),
    ],
    ids=["calls", "parameters", "key", "key of many", "large key", "name"],
)
def test_endless_nesting_in_a_checkpoint_is_read(pickled: bytes, said: str) -> None:
    write_checkpoint(pickled)
    result = run_inspect("x.pth")
    assert (result.code, result.err) == (0, "")
    assert said in result.out
    assert run_inspect("x.pth", "--json").code == 0


@pytest.mark.parametrize(
    "shape", [ENDLESS + b"\x85", b"J\xff\xff\xff\xff\x85", b"\x88\x85", b"(" + b"J\0\0\0\x7f" * 65 + b"t"]
)
def test_shapes_in_a_checkpoint_are_refused(shape: bytes) -> None:
    write_checkpoint(entry(b"K\1", REBUILD + b"NK\0" + shape + b"\x87R"))
    refused_in_one_line(Path("x.pth").read_bytes(), "x.pth")


def write_checkpoint(pickled: bytes) -> None:
    with zipfile.ZipFile("x.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickled)
