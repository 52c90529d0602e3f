"""RFDN against the formulas written a second time, the published figures, and reference vectors where there are any."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.complexity import count_complexity
from efdn.deployment import as_trained, deploy_stages, deployed_form
from efdn.errors import ConfigError, ShapeError, UsageError
from efdn.rfdn.folding import DeployRFDN, fold_residuals
from efdn.rfdn.network import RFDN
from efdn.weights import load_network, save_network
from tests.rfdn_samples import make_rfdn, reference

EXACT = 1e-10
"""Relative to the largest output, between two ways of writing the same in float64."""

VECTORS = os.environ.get("EFDN_VECTORS")
needs_vectors = pytest.mark.skipif(
    VECTORS is None, reason="EFDN_VECTORS names no folder with rfdn.pth and rfdn.npz (reference vectors of RFDN)"
)


def picture(height: int, width: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(batch, 3, height, width, dtype=torch.float64, generator=generator) * 255


def assert_same(output: torch.Tensor, expected: torch.Tensor) -> None:
    assert output.shape == expected.shape
    assert float((output - expected).abs().max()) <= EXACT * float(expected.abs().max())


@given(st.integers(15, 40), st.integers(15, 40), st.integers(2, 4), st.integers(1, 3))
@settings(max_examples=12)
def test_computes_the_formulas(height: int, width: int, scale: int, blocks: int) -> None:
    network = make_rfdn(height, scale=scale, nf=10, blocks=blocks).double()
    x = picture(height, width, batch=2)
    with torch.inference_mode():
        assert_same(network(x), reference(network.state_dict(), x, blocks, scale))


def test_computes_the_formulas_in_the_configuration_of_the_challenge() -> None:
    torch.manual_seed(1)
    network, x = RFDN().double().eval(), picture(24, 31)
    with torch.inference_mode():
        assert_same(network(x), reference(network.state_dict(), x, 4, 4))


def test_the_formulas_can_tell_parts_apart() -> None:
    """Every tensor of the network matters to the output: none is left out of both ways of writing it."""
    network, x = make_rfdn(3).double(), picture(20, 20)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        before = network(x)
        for name, value in state.items():
            changed = {**state, name: value + 0.05}
            network.load_state_dict(changed)
            after = network(x)
            assert float((after - before).abs().max()) > 1e-6, name
            assert_same(after, reference(changed, x, 2, 4))


def test_complexity_is_the_published_one() -> None:
    complexity = count_complexity(RFDN())
    assert complexity.parameters == 433_448
    assert complexity.flops == 27_102_622_560
    assert complexity.activations == 112_034_240
    assert complexity.convolutions == 64
    assert f"{complexity.flops / 1e9:.2f} {complexity.activations / 1e6:.4f}" == "27.10 112.0342"


def test_state_dict_has_the_published_keys() -> None:
    keys = list(RFDN().state_dict())
    block = ["c1_d", "c1_r", "c2_d", "c2_r", "c3_d", "c3_r", "c4", "c5"]
    block += [f"esa.{name}" for name in ("conv1", "conv_f", "conv_max", "conv2", "conv3", "conv3_", "conv4")]
    layers = ["fea_conv", *(f"B{number}.{name}" for number in range(1, 5) for name in block)]
    layers += ["c.0", "LR_conv", "upsampler.0"]
    assert keys == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


@pytest.mark.parametrize("shape", [(1, 3, 14, 15), (1, 3, 15, 14), (1, 4, 20, 20), (3, 20, 20)])
def test_inputs_it_cannot_take_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"RFDN takes .* at least 15, got .*: pad smaller pictures"):
        make_rfdn()(torch.zeros(shape))


def test_the_smallest_side_is_the_smallest_that_the_layers_take() -> None:
    attention = make_rfdn().blocks[0].esa
    assert attention(torch.zeros(1, 12, 15, 15)).shape == (1, 12, 15, 15)
    with pytest.raises(RuntimeError):
        attention(torch.zeros(1, 12, 14, 15))


@pytest.mark.parametrize("values", [{"nf": 3}, {"num_modules": 0}, {"upscale": 0}, {"data_range": 0.0}])
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(values))} must be"):
        RFDN(**values)


def test_folding_keeps_the_function_and_the_network() -> None:
    network, x = make_rfdn(4).double(), picture(21, 17)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_residuals(network)
    with torch.inference_mode():
        assert_same(folded(x), network(x))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(block.adds_input for block in folded.blocks)
    assert {value.dtype for value in deployed_form(network.float()).parameters()} == {torch.float32}


def test_the_deploy_form_is_the_fold_and_has_no_passes() -> None:
    network = make_rfdn()
    ((name, deployed),) = deploy_stages(network, ())
    assert (name, type(deployed), type(as_trained(deployed, network))) == ("fold_residuals", DeployRFDN, DeployRFDN)
    with pytest.raises(UsageError, match="RFDN has no passes, got group_channels and 1 more: leave --passes out"):
        deploy_stages(network, ("group_channels", "wrap_once"))


def test_the_deploy_form_is_not_saved_since_it_would_be_read_as_the_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="saved in training form, RFDN, got DeployRFDN"):
        save_network(fold_residuals(make_rfdn()), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


@needs_vectors
@pytest.mark.parametrize("size", ["15x15", "24x24", "32x47"])
@pytest.mark.parametrize("folded", [False, True])
def test_matches_reference_vectors(size: str, folded: bool) -> None:
    assert VECTORS is not None
    network: RFDN = load_network(Path(VECTORS) / "rfdn.pth", RFDN)
    network = fold_residuals(network) if folded else network
    with np.load(Path(VECTORS) / "rfdn.npz") as vectors, torch.inference_mode():
        output = network(torch.tensor(vectors[f"input_{size}"]).float()).numpy()
        # On the 0..255 scale, against a float64 network: 1e-4 measured.
        np.testing.assert_allclose(output, vectors[f"output_{size}"], rtol=0, atol=1e-3)


@needs_vectors
def test_the_published_file_is_read_off_its_shapes() -> None:
    assert VECTORS is not None
    network = load_network(Path(VECTORS) / "rfdn.pth", RFDN)
    assert str(network.config) == "RFDN x4, 50 channels, 4 blocks"
    assert (network.config.data_range, network.training) == (255, False)
    assert sum(parameter.numel() for parameter in network.parameters()) == 433_448
