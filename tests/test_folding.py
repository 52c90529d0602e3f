"""Folding and the transforms after it keep the function."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.config import EFDNConfig
from efdn.deploy import LARGEST_EXPANDED_SLOPE, DeployBlock, DeployEFDN, FoldedMixer
from efdn.folding import fold_batch_norms
from efdn.layers import BSConv
from efdn.mixing import mix_grouped
from efdn.network import EFDN, TokenMixer
from efdn.passes.pipeline import (
    carry_scaled_trunk,
    deploy_network,
    group_channels,
    merge_narrow_bsconvs,
    sum_head_repeats,
)
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
    # 36 mixers with norms of wild statistics amplify any rounding, folded or not.
    network = randomize(EFDN.from_config(EFDNConfig()), 0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.mul_(0.1)
    x = torch.rand(1, 3, 13, 21) * 255
    with torch.inference_mode():
        exact = copy.deepcopy(network).double()(x.double())
        unfolded, folded = (float((form(x) - exact).abs().max()) for form in (network, deploy_network(network)))
    assert unfolded > 1e-3  # Or the statistics are too tame to tell.
    assert folded < 3 * unfolded


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
    mixer = FoldedMixer(slope, offset, grouped=True)
    assert mixer.expanded == (largest <= LARGEST_EXPANDED_SLOPE)
    x = torch.rand(1, 10, 5, 5, dtype=torch.float64)
    s, t = slope.view(1, 10, 1, 1), offset.view(1, 10, 1, 1)
    torch.testing.assert_close(mixer(x), x + s * (mix_grouped(x) - x) + t, rtol=0, atol=1e-12)


@pytest.mark.parametrize("transform", [sum_head_repeats, merge_narrow_bsconvs, carry_scaled_trunk, group_channels])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_transform_keeps_the_function(transform: Callable[[DeployEFDN], DeployEFDN], scale: int) -> None:
    network = make_network(7, awkward=True, scale=scale).double()
    assert relative_error(network, lambda n: transform(fold_batch_norms(n))) <= 1e-12


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


def blocks(network: DeployEFDN) -> list[DeployBlock]:
    return [block for block in network.body if isinstance(block, DeployBlock)]


def test_the_multiply_that_tiny_scales_need_is_there_only_for_them() -> None:
    assert all(block.gain is None for block in blocks(fold_batch_norms(make_network(2))))
    assert all(block.gain is not None for block in blocks(fold_batch_norms(make_network(2, awkward=True))))


def test_residuals_lose_their_scale_unless_it_comes_near_zero() -> None:
    network = make_network(2)
    norm = network.body[1].norm
    assert isinstance(norm, torch.nn.BatchNorm2d)
    for block in network.body:
        assert isinstance(block.norm, torch.nn.BatchNorm2d)
        block.norm.weight.data.fill_(-0.7)
    plain = blocks(carry_scaled_trunk(fold_batch_norms(network)))
    assert [block.scale is None for block in plain] == [True, True]
    assert all(block.offset is None and block.gain is None for block in plain)
    norm.weight.data[0] = 1e-5
    kept = blocks(carry_scaled_trunk(fold_batch_norms(network)))
    assert [block.scale is None for block in kept] == [True, False]


def test_narrow_separable_convolutions_become_dense_and_wide_ones_stay() -> None:
    merged = merge_narrow_bsconvs(fold_batch_norms(make_network()))
    assert [name for name, module in merged.named_modules() if isinstance(module, BSConv)] == ["refine"]


def test_grouping_twice_is_grouping_once() -> None:
    once = group_channels(fold_batch_norms(make_network()))
    twice = group_channels(once)
    assert all(torch.equal(a, b) for a, b in zip(once.state_dict().values(), twice.state_dict().values(), strict=True))
