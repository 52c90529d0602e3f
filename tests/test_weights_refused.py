"""Files that are no weights, or of another network: one line says what is wrong, and nothing of them is run."""

import argparse
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from efdn.errors import WeightsError
from efdn.network import EFDN
from efdn.weights import load_network
from tests.conftest import VECTORS, bias
from tests.rfdn_samples import make_rfdn

State = dict[str, torch.Tensor]


class Harmful:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> Any:
        return (Path("harmed").touch, ())


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path)) or f" {path}" in message
    return message


def refused_state(state: Any) -> str:
    torch.save(state, "w.pth")
    return refused(Path("w.pth"))


@pytest.mark.parametrize("old", [False, True])
def test_pickled_code_is_refused_and_not_run(old: bool) -> None:
    torch.save({"params": Harmful()}, "w.pth", _use_new_zipfile_serialization=not old)
    assert "pickled code is never run" in refused(Path("w.pth"))
    assert not Path("harmed").exists()
    torch.load("w.pth", weights_only=False)
    assert Path("harmed").exists()  # The trap works, so the lines above say something.


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"state_dict": {}, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        ({"state_dict": {}, "best": np.float64(30.5)}, "numpy"),
    ],
    ids=["a whole module", "arguments", "a number of NumPy's"],
)
def test_what_is_in_the_way_is_named(content: Any, name: str) -> None:
    message = refused_state(content)
    assert f"besides tensors it holds {name}" in message
    assert "save the network's state_dict() alone" in message


def test_a_torchscript_archive_is_named() -> None:
    with zipfile.ZipFile("w.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"w/{name}", pickle.dumps({}, protocol=2))
        archive.writestr("w/version", "3")
    assert "it is a TorchScript archive, whose code is never run: save" in refused(Path("w.pt"))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w"])
def test_files_that_are_no_weights_are_refused(name: str) -> None:
    path = Path(name)
    assert "no weights at" in refused(path)
    path.write_text("not weights")
    assert "not a readable weights file: it is broken or cut off" in refused(path)
    path.unlink()
    path.mkdir()
    assert "is a folder" in refused(path)


def test_a_truncated_file_is_refused() -> None:
    content = (VECTORS / "published_layout.pth").read_bytes()
    Path("w.pth").write_bytes(content[: len(content) // 2])
    assert "not a readable weights file" in refused(Path("w.pth"))
    save_file({"a": torch.zeros(100)}, "w.safetensors")
    Path("w.safetensors").write_bytes(Path("w.safetensors").read_bytes()[:-1])
    assert "not a readable weights file" in refused(Path("w.safetensors"))


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ([torch.zeros(1)], "got list"),
        ({}, "got a dict of $"),
        ({"generator": {"a": torch.zeros(1)}, "epoch": 3}, "got a dict of generator, epoch"),
        ({"params": {"a": torch.zeros(1), "b": 3}}, "got a dict of a, b"),
        (torch.zeros(2), "got Tensor"),
    ],
)
def test_what_is_no_state_dict_is_said(content: Any, got: str) -> None:
    message = refused_state(content)
    assert "expected tensors by name, bare or under one of model_state_dict, state_dict, params_ema" in message
    assert message.endswith(got.removesuffix("$"))


def test_a_checkpoint_that_holds_itself_is_refused() -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    assert "holds no state dict" in refused_state(content)


def test_an_unknown_network_is_told_by_its_first_keys() -> None:
    state = {f"conv_first{index}.weight": torch.zeros(3, 3) for index in range(6)}
    message = refused_state(state)
    assert message == (
        "w.pth is of no network known here: expected head.pw.weight and tail.0.weight (EFDN) "
        "or fea_conv.weight and upsampler.0.weight (RFDN), got 6 other tensors, first "
        "conv_first0.weight, conv_first1.weight, conv_first2.weight, conv_first3.weight, ..."
    )


def changed(network: torch.nn.Module, change: Callable[[State], None]) -> State:
    state = dict(network.state_dict())
    change(state)
    return state


def test_missing_left_over_and_misshapen_keys_are_named(small_network: EFDN) -> None:
    def change(state: State) -> None:
        del state["body.0.c5.bias"]
        state["body.1.c5.extra"] = torch.zeros(1)
        state["body.0.c1_d.weight"] = torch.zeros(6, 11, 1, 1)

    message = refused_state(changed(small_network, change))
    assert message == (
        "w.pth was taken for EFDN x4, 12 channels, 2 blocks, by head.pw.weight and tail.0.weight, and does not fit: "
        "1 missing key (body.0.c5.bias); 1 unexpected key (body.1.c5.extra); "
        "1 wrong shape (body.0.c1_d.weight (6, 11, 1, 1) instead of (6, 12, 1, 1))"
    )


def test_many_misfits_are_counted_and_the_first_named() -> None:
    def change(state: State) -> None:
        for name in [name for name in state if name.startswith("B2.esa")]:
            state[f"{name}.renamed"] = state.pop(name)

    message = refused_state(changed(make_rfdn(), change))
    assert message.startswith("w.pth was taken for RFDN x4, 12 channels, 2 blocks")
    assert "14 missing keys (B2.esa.conv1.weight, B2.esa.conv1.bias, B2.esa.conv_f.weight, " in message
    assert "14 unexpected keys (B2.esa.conv1.weight.renamed, " in message
    assert message.count("...") == 2


def test_another_width_is_said() -> None:
    """A trunk of 16 channels behind a head of 12: what the head says is told, and what contradicts it."""
    state = {**EFDN(4, 16, 1, 1).state_dict(), "head.pw.weight": EFDN(4, 12, 1, 1).state_dict()["head.pw.weight"]}
    message = refused_state(state)
    assert "was taken for EFDN x4, 12 channels, 1 block" in message
    assert "head.dw.weight (16, 1, 3, 3) instead of (12, 1, 3, 3)" in message


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("tail.0.weight", (20, 12, 3, 3), "looks like EFDN, but it has no whole scale: tail.0.weight has 20 outputs"),
        ("tail.0.weight", (0, 12, 3, 3), "no whole scale"),
        ("head.pw.weight", (4, 6, 1, 1), "looks like EFDN, but planes must be at least 5, got 4"),
        ("head.pw.weight", (12, 2, 1, 1), "num_times must be at least 1, got 0"),
    ],
)
def test_shapes_that_no_network_has_are_refused(
    small_network: EFDN, name: str, shape: tuple[int, ...], said: str
) -> None:
    assert said in refused_state({**small_network.state_dict(), name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"scale": "2"}, "metadata says scale 2, its tensors say 4"),
        ({"architecture": "RFDN"}, "metadata says architecture RFDN, its tensors say EFDN"),
        ({"data_range": "wide"}, "looks like EFDN, but could not convert string to float"),
        ({"data_range": "-1"}, "data_range must be a positive number, got -1"),
    ],
)
def test_metadata_that_contradicts_is_refused(small_network: EFDN, metadata: dict[str, str], said: str) -> None:
    state = {key: value for key, value in small_network.state_dict().items() if "num_batches" not in key}
    save_file(state, "w.safetensors", metadata=metadata)
    assert said in refused(Path("w.safetensors"))


def test_values_that_are_not_finite_are_refused(small_network: EFDN) -> None:
    bias(small_network)[0] = float("nan")
    assert "not finite in 1 tensor (tail.0.bias)" in refused_state(small_network.state_dict())


@pytest.mark.parametrize(
    "value",
    [torch.zeros(48, dtype=torch.int64), torch.zeros(48).to_sparse(), torch.zeros(48, device="meta")],
    ids=["whole numbers", "sparse", "no values"],
)
def test_tensors_that_are_no_plain_floats_are_refused(small_network: EFDN, value: torch.Tensor) -> None:
    message = refused_state({**small_network.state_dict(), "tail.0.bias": value})
    assert "1 tensor without plain float values (tail.0.bias): expected float32, float16 or bfloat16" in message


def test_a_tensor_that_only_claims_to_be_huge_costs_nothing(small_network: EFDN) -> None:
    huge = torch.zeros(1, dtype=torch.float16).expand(1 << 40, 6, 1, 1)
    torch.save({**small_network.state_dict(), "head.pw.weight": huge}, "w.pth")
    tracemalloc.start()
    try:
        assert "without plain float values (head.pw.weight)" in refused(Path("w.pth"))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_a_name_that_stands_twice_is_refused(small_network: EFDN) -> None:
    state = {**small_network.state_dict(), "module.tail.0.bias": torch.zeros(48)}
    assert "has tail.0.bias twice, once as module.tail.0.bias" in refused_state(state)


def test_names_cannot_steer_the_terminal() -> None:
    assert "\\x1b[31m" in refused_state({"\x1b[31m": torch.zeros(1)})
