"""Weights files: every usual form is read, everything else is explained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import WeightsError
from efdn.network import EFDN
from efdn.weights import load_network, save_network
from tests.conftest import VECTORS, bias, make_network


def equal(a: EFDN, b: EFDN) -> bool:
    x = torch.rand(1, 3, 13, 13)
    with torch.inference_mode():
        return a.config == b.config and bool(torch.equal(a(x), b(x)))


@pytest.mark.parametrize(("scale", "data_range"), [(2, 1.0), (3, 255.0), (4, 255.0)])
def test_own_form_round_trips(tmp_path: Path, scale: int, data_range: float) -> None:
    network = make_network(1, scale=scale, data_range=data_range)
    save_network(network, tmp_path / "w.safetensors")
    assert equal(load_network(tmp_path / "w.safetensors"), network)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"params_ema": state, "params": {"wrong": torch.zeros(1)}},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"net": {"params": state}},
    ],
    ids=["bare", "params", "ema first", "trainer", "data parallel", "nested"],
)
def test_published_forms_are_unwrapped(tmp_path: Path, small_network: EFDN, wrap: Any) -> None:
    torch.save(wrap(small_network.state_dict()), tmp_path / "w.pth")
    assert equal(load_network(tmp_path / "w.pth"), small_network)


def test_hyper_parameters_are_read_off_the_published_checkpoint() -> None:
    config = load_network(VECTORS / "published_layout.pth").config
    assert (config.upscale, config.planes, config.num_modules, config.num_times) == (4, 45, 12, 4)
    assert config.data_range == 255


def test_default_weights_are_a_full_network() -> None:
    network = load_network(DEFAULT_WEIGHTS)
    assert not network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 173_478


class Harmful:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> Any:
        return (Path("harmed").touch, ())


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"params": Harmful()}, tmp_path / "w.pth")
    assert "never run" in refused(tmp_path / "w.pth")
    assert not Path("harmed").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, name: str, small_network: EFDN) -> None:
    path = tmp_path / name
    assert "no weights at" in refused(path)
    path.write_text("not weights")
    assert "not a readable weights file" in refused(path)
    path.unlink()
    path.mkdir()
    assert "is a folder" in refused(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    content = (VECTORS / "published_layout.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(content[: len(content) // 2])
    assert "not a readable weights file" in refused(tmp_path / "w.pth")


def test_another_network_is_told_by_its_keys(tmp_path: Path) -> None:
    torch.save({"fea_conv.weight": torch.zeros(50, 3, 3, 3), "c.0.weight": torch.zeros(1)}, tmp_path / "rfdn.pth")
    message = refused(tmp_path / "rfdn.pth")
    assert "fea_conv.weight" in message
    assert "head.pw.weight" in message


def test_missing_left_over_and_misshapen_keys_are_named(tmp_path: Path, small_network: EFDN) -> None:
    state = dict(small_network.state_dict())
    del state["body.0.c5.bias"]
    state["body.1.c5.extra"] = torch.zeros(1)
    state["body.0.c1_d.weight"] = torch.zeros(6, 11, 1, 1)
    torch.save(state, tmp_path / "w.pth")
    message = refused(tmp_path / "w.pth")
    for part in ("1 missing keys (body.0.c5.bias)", "1 unexpected keys (body.1.c5.extra)", "(6, 11, 1, 1) instead of"):
        assert part in message


def test_a_tail_of_no_whole_scale_is_refused(tmp_path: Path, small_network: EFDN) -> None:
    state = dict(small_network.state_dict())
    state["tail.0.weight"] = torch.zeros(20, 12, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    assert "has no whole scale" in refused(tmp_path / "w.pth")


def test_metadata_of_another_scale_is_refused(tmp_path: Path, small_network: EFDN) -> None:
    state = {key: value for key, value in small_network.state_dict().items() if "num_batches" not in key}
    save_file(state, tmp_path / "w.safetensors", metadata={"scale": "2"})
    assert "metadata says scale 2, its tensors say 4" in refused(tmp_path / "w.safetensors")


def test_values_that_are_not_finite_are_refused(tmp_path: Path, small_network: EFDN) -> None:
    bias(small_network)[0] = float("nan")
    torch.save(small_network.state_dict(), tmp_path / "w.pth")
    assert "not finite in 1 tensors (tail.0.bias)" in refused(tmp_path / "w.pth")
