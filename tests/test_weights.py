"""Weights files: every usual form is read, and gives the network that was saved."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import WeightsError
from efdn.network import EFDN
from efdn.rfdn.network import RFDN
from efdn.upscaler import Upscaler
from efdn.weights import load_network, save_network
from tests.conftest import VECTORS, make_network
from tests.rfdn_samples import make_rfdn

State = dict[str, torch.Tensor]


def equal(a: Upscaler, b: Upscaler) -> bool:
    x = torch.rand(1, 3, 15, 15)
    with torch.inference_mode():
        return (type(a), a.config) == (type(b), b.config) and bool(torch.equal(a(x), b(x)))


@pytest.fixture(params=["EFDN", "RFDN"])
def network(request: pytest.FixtureRequest) -> Upscaler:
    """A small one of either architecture."""
    return make_network(1) if request.param == "EFDN" else make_rfdn(1)


def as_safetensors(state: State) -> State:
    return {key: value.contiguous() for key, value in state.items() if value.is_floating_point()}


@pytest.mark.parametrize(("scale", "data_range"), [(2, 1.0), (3, 255.0), (4, 255.0)])
@pytest.mark.parametrize("make", [make_network, make_rfdn])
def test_own_form_round_trips(tmp_path: Path, make: Any, scale: int, data_range: float) -> None:
    network = make(1, scale=scale, data_range=data_range)
    save_network(network, tmp_path / "w.safetensors")
    assert equal(load_network(tmp_path / "w.safetensors"), network)


def test_own_form_says_what_it_holds(tmp_path: Path) -> None:
    from efdn.inspection.safetensors_file import read_safetensors

    save_network(make_rfdn(scale=3), tmp_path / "w.safetensors")
    assert read_safetensors((tmp_path / "w.safetensors").read_bytes()).metadata == {
        "architecture": "RFDN",
        "scale": "3",
        "planes": "12",
        "blocks": "2",
        "data_range": "255",
    }


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"params_ema": state, "params": {"wrong": torch.zeros(1)}},
        lambda state: {"params-ema": state, "params": {"wrong": torch.zeros(1)}},
        lambda state: {"params_ema": {}, "params": state},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"state_dict": state, "optimizer": {"state": {0: {"step": torch.zeros(1)}}}},
        lambda state: {"model": state},
        lambda state: {"net": {"params": state}},
        lambda state: {"model": {"state_dict": {"params_ema": state}}},
        lambda state: {"efdn_training": 1, "params": {"wrong": torch.zeros(1)}, "params_ema": state, "step": 7},
        lambda state: {key: torch.nn.Parameter(value, requires_grad=False) for key, value in state.items()},
    ],
    ids=[
        *("bare", "params", "ema first", "ema with a hyphen", "ema empty", "trainer", "lightning", "model"),
        *("nested", "nested deep", "own training", "parameters"),
    ],
)
def test_published_forms_are_unwrapped(tmp_path: Path, network: Upscaler, wrap: Any) -> None:
    torch.save(wrap(network.state_dict()), tmp_path / "w.pth")
    assert equal(load_network(tmp_path / "w.pth"), network)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "net.", "network.", "_orig_mod.", "module._orig_mod.", "module.module.", "model.net.module."],
)
def test_prefixes_of_training_frameworks_are_taken_off(tmp_path: Path, network: Upscaler, prefix: str) -> None:
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    torch.save({"params": state}, tmp_path / "w.pth")
    assert equal(load_network(tmp_path / "w.pth"), network)
    save_file(as_safetensors(state), tmp_path / "w.safetensors")
    assert equal(load_network(tmp_path / "w.safetensors"), network)


def test_the_count_of_an_average_of_weights_is_in_nobodys_way(tmp_path: Path, network: Upscaler) -> None:
    """As torch.optim.swa_utils.AveragedModel writes it."""
    averaged = {"n_averaged": torch.tensor(5), **{f"module.{k}": v for k, v in network.state_dict().items()}}
    torch.save(averaged, tmp_path / "average.pth")
    assert equal(load_network(tmp_path / "average.pth"), network)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"architecture": "something of another tool"}])
def test_safetensors_of_other_tools_are_taken_as_published(
    tmp_path: Path, network: Upscaler, metadata: dict[str, str] | None
) -> None:
    save_file(as_safetensors(network.state_dict()), tmp_path / "w.safetensors", metadata=metadata)
    loaded = load_network(tmp_path / "w.safetensors")
    assert equal(loaded, network)
    assert loaded.config.data_range == 255


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_weights_of_other_types_are_converted(tmp_path: Path, network: Upscaler, dtype: torch.dtype) -> None:
    rounded = {k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    torch.save(rounded, tmp_path / "w.pth")
    save_file(as_safetensors(rounded), tmp_path / "w.safetensors")
    for path in (tmp_path / "w.pth", tmp_path / "w.safetensors"):
        state = load_network(path).state_dict()
        for key, value in rounded.items():
            if value.is_floating_point():
                assert state[key].dtype == torch.float32
                assert torch.equal(state[key], value.float()), key


def test_files_are_read_by_what_they_are_not_by_their_name(tmp_path: Path, network: Upscaler) -> None:
    save_file(as_safetensors(network.state_dict()), tmp_path / "w.pth")
    torch.save(network.state_dict(), tmp_path / "w.safetensors")
    torch.save(network.state_dict(), tmp_path / "w.pt")
    torch.save(network.state_dict(), tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert equal(load_network(path), network)


def test_hyper_parameters_are_read_off_the_published_checkpoint() -> None:
    config = load_network(VECTORS / "published_layout.pth", EFDN).config
    assert (config.upscale, config.planes, config.num_modules, config.num_times) == (4, 45, 12, 4)
    assert config.data_range == 255


def test_default_weights_are_a_full_network(tmp_path: Path) -> None:
    network = load_network(DEFAULT_WEIGHTS)
    assert not network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 173_478
    save_network(network, tmp_path / "again.safetensors")
    again, before = load_file(tmp_path / "again.safetensors"), load_file(DEFAULT_WEIGHTS)
    assert again.keys() == before.keys()
    assert all(torch.equal(again[key], value) for key, value in before.items())


def test_a_loaded_network_can_be_trained_on(tmp_path: Path) -> None:
    save_network(make_network(), tmp_path / "w.safetensors")
    network = load_network(tmp_path / "w.safetensors").train()
    network(torch.rand(2, 3, 13, 13)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(int(n) == 1 for key, n in network.state_dict().items() if key.endswith("num_batches_tracked"))


def test_tensors_that_share_memory_in_the_file_do_not_in_the_network(tmp_path: Path) -> None:
    state = make_rfdn().state_dict()
    state["B1.c1_r.weight"] = state["B2.c1_r.weight"] = state["B1.c1_r.weight"].to(memory_format=torch.channels_last)
    torch.save(state, tmp_path / "w.pth")
    first, second = (block.c1_r.weight for block in load_network(tmp_path / "w.pth", RFDN).blocks)
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()
    assert first.is_contiguous()


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path, network: Upscaler) -> None:
    save_network(network, tmp_path / "w.safetensors")
    before = torch.get_rng_state()
    load_network(tmp_path / "w.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_architecture_can_be_asked_for(tmp_path: Path) -> None:
    save_network(make_rfdn(), tmp_path / "w.safetensors")
    assert isinstance(load_network(tmp_path / "w.safetensors", RFDN), RFDN)
    said = r"w\.safetensors holds RFDN x4, 12 channels, 2 blocks: expected weights of EFDN$"
    with pytest.raises(WeightsError, match=said):
        load_network(tmp_path / "w.safetensors", EFDN)
