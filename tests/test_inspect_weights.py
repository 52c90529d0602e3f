"""Weights files read without safetensors and PyTorch, held to them."""

import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.numpy import save

from efdn.assets import DEFAULT_WEIGHTS
from efdn.inspection.checkpoint_file import CheckpointDetails, read_checkpoint
from efdn.inspection.details import MalformedError
from efdn.inspection.kinds import FileKind
from efdn.inspection.report import inspect_file
from efdn.inspection.safetensors_file import read_safetensors
from tests.conftest import VECTORS


def test_safetensors_read_as_their_package_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "b": np.zeros((2, 0, 3), np.float16),
        "a": np.ones((), np.int64),
        "c.running_mean": np.ones(5, np.uint8),
    }
    path.write_bytes(save(arrays, metadata={"note": "ä"}))
    for source in (path, DEFAULT_WEIGHTS):
        told = read_safetensors(source.read_bytes())
        with safetensors.safe_open(source, framework="np") as file:
            expected = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            assert told.metadata == file.metadata()
        assert {entry.name: (entry.dtype, entry.shape) for entry in told.tensors} == {
            key: (value.dtype.name, value.shape) for key, value in expected.items()
        }
        assert told.data_bytes == sum(value.nbytes for value in expected.values())
    assert told.parameters == 173_478
    assert read_safetensors(path.read_bytes()).parameters == 1


def safetensors_of(header: str, data: int = 0) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (safetensors_of("{broken"), "header cannot be read"),
        (safetensors_of("{" + '"a":{' * 100_000), "header cannot be read"),
        (safetensors_of('{"a": 3}'), "header cannot be read"),
        (safetensors_of('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', 4), "a takes 4 bytes"),
        (safetensors_of('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', 4), "negative"),
        (safetensors_of('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', 8), "begins at byte 4"),
        (safetensors_of('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', 5), "tensors end at byte"),
    ],
)
def test_broken_safetensors_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        read_safetensors(content)


def shapes(details: CheckpointDetails, key: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    found = next(state for state in details.state_dicts if state.key == key)
    return {entry.name: (entry.dtype, entry.shape) for entry in found.tensors}


def expected_shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {key: (str(value.dtype).removeprefix("torch."), tuple(value.shape)) for key, value in state.items()}


def test_a_published_checkpoint_reads_as_pytorch_reads_it() -> None:
    path = VECTORS / "published_layout.pth"
    told = read_checkpoint(path)
    state = torch.load(path, weights_only=True)["params"]
    assert shapes(told, "params") == expected_shapes(state)
    assert told.state_dicts[0].parameters == 173_478
    assert told.storages == len(state)
    assert told.storage_bytes == sum(value.nbytes for value in state.values())


@pytest.mark.parametrize(
    "options", [{"pickle_protocol": version} for version in (2, 3, 4, 5)] + [{"old": True}], ids=str
)
def test_checkpoints_of_every_form_are_read(options: dict[str, Any]) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = {f"module.{key}": value for key, value in network.half().state_dict().items()}
    state["flag"] = torch.ones(2, dtype=torch.bool)
    state["view"] = torch.ones(4, 4, dtype=torch.float64)[1:3, 1:3]
    state["tiny"] = torch.ones(3).to(torch.float8_e5m2)
    state["learnt"] = torch.nn.Parameter(torch.ones(2))
    content = {"epoch": 3, "best": 1.5, "state": state, "deep": {7: {"rate": torch.ones(1, dtype=torch.bfloat16)}}}
    content["itself"] = content
    old = options.pop("old", False)
    torch.save(content, "c.pth", _use_new_zipfile_serialization=not old, **options)
    told = read_checkpoint(Path("c.pth"))
    assert told.unread is None
    assert [found.key for found in told.state_dicts] == ["state", "deep.7"]
    assert shapes(told, "state") == expected_shapes(state)
    assert shapes(told, "deep.7") == {"rate": ("bfloat16", (1,))}
    assert told.state_dicts[0].parameters == 3 * 4 * 9 + 4 + 4 + 4 + 2 + 4 + 3 + 2
    assert (told.storages is None) == bool(old)
    assert inspect_file(Path("c.pth")).kind is FileKind.PYTORCH


class Trap:
    """What a hostile checkpoint holds: unpickled, it makes a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("trapped",)


def test_pickled_code_is_not_run() -> None:
    torch.save({"weight": torch.ones(2), "trap": Trap()}, "hostile.pth")
    told = read_checkpoint(Path("hostile.pth"))
    assert shapes(told, "") == {"weight": ("float32", (2,))}
    assert not Path("trapped").exists()
    torch.load("hostile.pth", weights_only=False)
    assert Path("trapped").exists()  # The trap works, so the line above says something.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.nn.Linear(2, 2), "makes torch.nn.modules.linear.Linear, without tensors by name"),
        ([1, 2], "makes list, without tensors by name"),
        ({"names": {"a"}}, "makes dict, without tensors by name"),
        (3, "makes int, without tensors by name"),
    ],
    ids=["module", "list", "no tensors", "number"],
)
def test_what_is_no_state_dict_is_said(content: object, said: str) -> None:
    torch.save(content, "c.pth")
    told = read_checkpoint(Path("c.pth"))
    assert (told.state_dicts, told.unread) == ((), said)
    assert dict(told.sections()[0][1])["tensors"] == f"none told: the pickle {said}"


def test_a_pickle_that_cannot_be_followed_leaves_the_rest_told() -> None:
    with zipfile.ZipFile("c.pth", "w") as archive:
        archive.writestr("c/data.pkl", pickle.dumps({"a": 1}, protocol=0))
        archive.writestr("c/data/0", bytes(12))
    told = read_checkpoint(Path("c.pth"))
    assert (told.storages, told.storage_bytes, told.state_dicts) == (1, 12, ())
    assert told.unread == "holds the instruction DICT, which is not followed here"


def test_a_length_beyond_all_memory_is_found_to_be_broken() -> None:
    torch.save({}, "old.pth", _use_new_zipfile_serialization=False)
    whole = Path("old.pth").read_bytes()
    endless = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62)
    Path("old.pth").write_bytes(whole[: whole.index(b"\x80\x02}q\x00.")] + endless)
    told = read_checkpoint(Path("old.pth"))
    assert told.unread is not None
    assert told.unread.startswith("broken (expected ")


def test_other_forms_are_named() -> None:
    torch.save({}, "old.pth", _use_new_zipfile_serialization=False)
    assert "before PyTorch 1.6" in read_checkpoint(Path("old.pth")).form
    with zipfile.ZipFile("script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"script/{name}", pickle.dumps({}, protocol=2))
    assert "TorchScript" in read_checkpoint(Path("script.pt")).form
