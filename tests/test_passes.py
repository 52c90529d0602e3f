"""Every pass keeps the function, alone and with others, and does what it is there for."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efdn.deploy import DeployEFDN
from efdn.errors import UsageError
from efdn.folding import fold_batch_norms
from efdn.layers import BSConv
from efdn.network import EFDN
from efdn.passes.channels import group_channels
from efdn.passes.head import fold_scale
from efdn.passes.pipeline import (
    PASSES,
    PIPELINES,
    check_passes,
    deploy_network,
    deploy_stages,
    find_passes,
)
from efdn.passes.trunk import carry_scaled_trunk
from tests.conftest import make_network

TOLERANCE = 1e-12
"""Of float64, relative to the largest output."""

NAMES = [item.name for item in PASSES]
NEEDS = {item.name: item.requires for item in PASSES}
EXCLUDES = {item.name: item.excludes for item in PASSES}


def output(network: EFDN | DeployEFDN, size: tuple[int, int]) -> torch.Tensor:
    """Of the same picture for every network, in shares of the network's range."""
    x = torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    data_range = network.data_range if isinstance(network, DeployEFDN) else network.config.data_range
    with torch.inference_mode():
        result: torch.Tensor = network(x * data_range) / data_range
    return result


def assert_same_function(a: EFDN | DeployEFDN, b: EFDN | DeployEFDN, size: tuple[int, int] = (15, 18)) -> None:
    before, after = output(a, size), output(b, size)
    assert float((after - before).abs().max()) <= TOLERANCE * float(before.abs().max())


@st.composite
def choices(draw: st.DrawFn) -> tuple[str, ...]:
    """Any set of passes that goes together."""
    chosen = set(draw(st.sets(st.sampled_from(NAMES))))
    for name in NAMES:
        if chosen & set(EXCLUDES[name]) or any(
            other not in chosen for needed in NEEDS[name] for other in (needed, *NEEDS[needed])
        ):
            chosen.discard(name)
    # What a discarded pass was needed by goes too; twice is as deep as needs go.
    for _ in range(2):
        chosen = {name for name in chosen if set(NEEDS[name]) <= chosen}
    return tuple(name for name in NAMES if name in chosen)


@given(choices(), st.integers(0, 1000), st.booleans(), st.sampled_from([1.0, 255.0]), st.sampled_from([2, 3, 4]))
@settings(max_examples=60)
def test_any_passes_that_go_together_keep_the_function(
    passes: tuple[str, ...], seed: int, awkward: bool, data_range: float, scale: int
) -> None:
    network = make_network(seed, awkward=awkward, data_range=data_range, scale=scale).double()
    assert_same_function(network, deploy_network(network, passes))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("awkward", [False, True], ids=["usual", "tiny and zero gammas"])
@pytest.mark.parametrize("size", [(13, 13), (16, 23)], ids=str)
def test_each_pass_keeps_the_function_and_its_argument(name: str, awkward: bool, size: tuple[int, int]) -> None:
    network = make_network(7, awkward=awkward).double()
    needed = {name, *NEEDS[name], *(other for need in NEEDS[name] for other in NEEDS[need])}
    *_, (_, before), (last, after) = deploy_stages(network, [item for item in NAMES if item in needed])
    assert last == name
    kept = [value.clone() for value in before.state_dict().values()]
    assert_same_function(before, after, size)
    assert all(torch.equal(a, b) for a, b in zip(kept, before.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_each_pass_changes_something(name: str) -> None:
    network = make_network(3, data_range=1.0).double()
    needed = {name, *NEEDS[name], *(other for need in NEEDS[name] for other in NEEDS[need])}
    *_, (_, before), (_, after) = deploy_stages(network, [item for item in NAMES if item in needed])
    assert description(before) != description(after)


def description(network: DeployEFDN) -> str:
    """Modules, shapes, flags and weights of a network."""
    flags = [
        (block.gate.skip_terms, block.gate_reads_branches, block.mixing.wrap_once, block.mixing.convolve, block.add_up)
        for block in network.blocks
    ]
    sums = [float(value.double().sum()) for value in network.state_dict().values()]
    return f"{network} {network.add_up} {flags} {sums}"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline_keeps_the_function_of_the_published_architecture(pipeline: str) -> None:
    from efdn.assets import DEFAULT_WEIGHTS
    from efdn.weights import load_network

    network = load_network(DEFAULT_WEIGHTS, EFDN).double()
    assert_same_function(network, deploy_network(network, PIPELINES[pipeline]))


def test_nothing_of_a_norm_needs_multiplying_once_the_attention_reads_the_branches() -> None:
    network = make_network(2, awkward=True)
    assert any(block.gain is not None for block in deploy_network(network, ()).blocks)
    assert all(block.gain is None for block in deploy_network(network, ("read_branches",)).blocks)


def test_residuals_lose_their_scale_unless_it_comes_near_zero() -> None:
    network = make_network(2)
    for block in network.body:
        assert isinstance(block.norm, torch.nn.BatchNorm2d)
        block.norm.weight.data.fill_(-0.7)
    plain = carry_scaled_trunk(fold_batch_norms(network)).blocks
    assert [block.scale is None for block in plain] == [True, True]
    assert all(block.offset is None and block.gain is None for block in plain)
    norm = network.body[1].norm
    assert isinstance(norm, torch.nn.BatchNorm2d)
    norm.weight.data[0] = 1e-5
    kept = carry_scaled_trunk(fold_batch_norms(network)).blocks
    assert [block.scale is None for block in kept] == [True, False]


@pytest.mark.parametrize(
    ("passes", "left"),
    [(("merge_narrow_bsconvs",), ["refine"]), (("merge_narrow_bsconvs", "merge_refine_bsconv"), [])],
)
def test_separable_convolutions_become_dense(passes: tuple[str, ...], left: list[str]) -> None:
    merged = deploy_network(make_network(), passes)
    assert [name for name, module in merged.named_modules() if isinstance(module, BSConv)] == left


def test_padding_gives_the_published_network_48_24_and_12_channels() -> None:
    from efdn.config import EFDNConfig

    network = deploy_network(EFDN.from_config(EFDNConfig()), find_passes("tensorrt"))
    block = network.blocks[0]
    assert network.trunk_channels == 48
    assert [conv.weight.shape for conv in block.branch_convs] == [(96, 48, 1, 1)]
    assert block.gate.head.weight.shape == (12, 96, 1, 1)
    assert [group.stop - group.start for group in block.mixing.folded[0].groups or ()] == [9, 9, 9, 9, 12]


@pytest.mark.parametrize("planes", [5, 7, 8])
@pytest.mark.parametrize("pipeline", ["group_channels,pad_channels", "tensorrt", "onnxruntime"])
def test_the_narrowest_networks_keep_their_function(planes: int, pipeline: str) -> None:
    from efdn.config import EFDNConfig

    torch.manual_seed(planes)
    network = EFDN.from_config(EFDNConfig(planes=planes, num_modules=2)).double().eval()
    assert_same_function(network, deploy_network(network, find_passes(pipeline)))


def test_folding_the_scale_makes_the_network_one_of_pictures() -> None:
    folded = fold_scale(fold_batch_norms(make_network(data_range=1.0)))
    assert folded.data_range == 255
    assert folded.config.data_range == 1


def test_grouping_twice_is_grouping_once() -> None:
    once = group_channels(fold_batch_norms(make_network()))
    twice = group_channels(once)
    assert all(torch.equal(a, b) for a, b in zip(once.state_dict().values(), twice.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PIPELINES["onnxruntime"]),
        ("none", ()),
        ("tensorrt", PIPELINES["tensorrt"]),
        ("-pad_channels", tuple(name for name in PIPELINES["onnxruntime"] if name != "pad_channels")),
        ("none, +join_branches", ("join_branches",)),
        ("wrap_once,group_channels", ("group_channels", "wrap_once")),
    ],
)
def test_choices_are_read_and_put_in_order(text: str, expected: tuple[str, ...]) -> None:
    assert find_passes(text) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_passes("warp_once"), "no pass or pipeline .warp_once.: expected none, pytorch, onnx.*wrap_once"),
        (lambda: find_passes("-onnxruntime"), r"pipeline onnxruntime takes no sign: .* with \+PASS and -PASS"),
        (lambda: find_passes(" ,"), "names no pass"),
        (lambda: find_passes("pad_channels"), "pass pad_channels needs group_channels: add it, or leave pad_channels"),
        (lambda: find_passes("tensorrt,-lower_tail"), "pass skip_terms needs lower_tail"),
        (lambda: find_passes("tensorrt,join_skip"), "passes join_skip and lower_tail exclude each other"),
        (lambda: find_passes("+fold_scale"), "fold_scale changes the range .* goes with --io uint8 alone"),
        (lambda: check_passes(("nonsense",)), "no pass 'nonsense'"),
        (lambda: check_passes(("group_channels", "sum_head_repeats")), "run in a fixed order, each once"),
        (lambda: check_passes(("group_channels", "group_channels")), "run in a fixed order, each once"),
    ],
)
def test_choices_that_make_no_sense_are_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_pictures_bring_their_pass_unless_it_is_left_out() -> None:
    assert "fold_scale" in find_passes(pictures=True)
    assert "fold_scale" in find_passes("none", pictures=True)
    assert "fold_scale" not in find_passes("-fold_scale", pictures=True)
    assert "fold_scale" not in find_passes()


def test_every_pass_says_what_it_does_in_one_line() -> None:
    for item in PASSES:
        assert item.summary.endswith("."), item.name
        assert len(item.summary) < 120, item.name
