"""Folding the norms keeps the function, in every network and every precision."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.config import EFDNConfig
from efdn.deploy import DeployEFDN
from efdn.folding import fold_batch_norms
from efdn.mixers import LARGEST_EXPANDED_SLOPE, FoldedMixer
from efdn.mixing import contiguous_groups, mix_grouped
from efdn.network import EFDN, TokenMixer
from efdn.passes.pipeline import deploy_network
from tests.conftest import make_network, randomize

Transform = Callable[[EFDN], DeployEFDN]


def relative_error(network: EFDN, transform: Transform, size: tuple[int, int] = (15, 18)) -> float:
    like = network.head.pw.weight
    x = torch.rand(2, 3, *size, dtype=like.dtype, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        before, after = network(x), transform(network)(x)
    return float((after - before).abs().max() / before.abs().max())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("transform", [fold_batch_norms, deploy_network])
@pytest.mark.parametrize("awkward", [False, True], ids=["usual", "tiny and zero gammas"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=6)
def test_folding_keeps_the_function(
    dtype: torch.dtype, tolerance: float, transform: Transform, awkward: bool, seed: int
) -> None:
    assert relative_error(make_network(seed, awkward=awkward).to(dtype), transform) <= tolerance


@pytest.mark.parametrize("seed", range(3))
def test_folding_keeps_the_function_at_full_size(seed: int) -> None:
    torch.manual_seed(seed)
    network = randomize(EFDN.from_config(EFDNConfig()), seed)
    assert relative_error(network, deploy_network, (13, 21)) <= 1e-4
    assert relative_error(network.double(), deploy_network, (13, 21)) <= 1e-9


def test_folded_float32_is_as_close_to_float64_as_the_training_form() -> None:
    torch.manual_seed(0)
    # 12 mixers with norms of wild statistics amplify any rounding, folded or not; with 36 it is chaos.
    network = randomize(EFDN.from_config(EFDNConfig(num_modules=4)), 0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.mul_(0.1)
    x = torch.rand(1, 3, 13, 21) * 255
    with torch.inference_mode():
        exact = copy.deepcopy(network).double()(x.double())
        # Not the largest: where a rounding tips a max pool, one spot is far off in any form.
        unfolded, folded = (float((form(x) - exact).abs().quantile(0.9)) for form in (network, deploy_network(network)))
    assert unfolded > 1e-5  # Or the statistics are too tame to tell.
    assert folded < 2 * unfolded


def test_a_norm_that_saw_no_variance_keeps_the_function() -> None:
    # Channels of the group that does not move: their difference, hence its variance, is zero in training.
    network = make_network()
    for mixer in [module for module in network.modules() if isinstance(module, TokenMixer)]:
        assert mixer.norm.running_var is not None
        assert mixer.norm.running_mean is not None
        mixer.norm.running_var[4::5] = 0
        mixer.norm.running_mean[4::5] = 0
        mixer.norm.weight.data[4::5] = 3.0
    folded = deploy_network(network)
    assert relative_error(network, deploy_network) <= 1e-4
    for folded_mixer in folded.modules():
        if isinstance(folded_mixer, FoldedMixer):
            assert float((folded_mixer.slope / folded_mixer.total).abs().max()) < 60  # 3 / sqrt(eps) would be 949.


@pytest.mark.parametrize("largest", [LARGEST_EXPANDED_SLOPE, LARGEST_EXPANDED_SLOPE * 2])
def test_a_mixer_computes_the_same_in_either_form(largest: float) -> None:
    slope = torch.linspace(-largest, largest, 10, dtype=torch.float64)
    offset = torch.linspace(3, 4, 10, dtype=torch.float64)
    mixer = FoldedMixer(slope, offset, groups=contiguous_groups(10))
    assert mixer.expanded == (largest <= LARGEST_EXPANDED_SLOPE)
    x = torch.rand(1, 10, 5, 5, dtype=torch.float64)
    s, t = slope.view(1, 10, 1, 1), offset.view(1, 10, 1, 1)
    torch.testing.assert_close(mixer(x), x + s * (mix_grouped(x) - x) + t, rtol=0, atol=1e-12)


def test_nothing_of_a_norm_is_left_and_the_training_form_is_untouched() -> None:
    network = make_network()
    before = copy.deepcopy(network.state_dict())
    network.train()
    folded = deploy_network(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    folded_memory = {value.data_ptr() for value in folded.state_dict().values()}
    assert folded_memory.isdisjoint(value.data_ptr() for value in network.state_dict().values())


def test_the_multiply_that_tiny_scales_need_is_there_only_for_them() -> None:
    assert all(block.gain is None for block in fold_batch_norms(make_network(2)).blocks)
    assert all(block.gain is not None for block in fold_batch_norms(make_network(2, awkward=True)).blocks)
