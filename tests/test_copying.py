"""Copies of networks share nothing that can be changed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from efdn.copying import copied
from efdn.folding import fold_batch_norms
from tests.conftest import make_network


@pytest.mark.parametrize("folded", [False, True])
def test_a_copy_is_what_deepcopy_gives(folded: bool) -> None:
    network: nn.Module = fold_batch_norms(make_network()) if folded else make_network()
    mine, expected = copied(network), copy.deepcopy(network)
    assert str(mine) == str(expected)
    assert mine.state_dict().keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(mine.state_dict()[name], value, rtol=0, atol=0)
    assert [p.requires_grad for p in mine.parameters()] == [p.requires_grad for p in expected.parameters()]
    assert [m.training for m in mine.modules()] == [m.training for m in expected.modules()]


def test_what_is_done_to_a_copy_stays_with_it() -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    mine = copied(network).double().train()
    for value in (*mine.parameters(), *mine.buffers()):
        value.data.zero_()
    mine.register_forward_hook(lambda *_: None)
    del mine.tail
    assert not network.training
    assert not network._forward_hooks
    assert network.state_dict().keys() == before.keys()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_what_is_shared_within_a_network_is_shared_within_its_copy() -> None:
    one = nn.Conv2d(2, 2, 1)
    other = nn.Conv2d(2, 2, 1)
    other.weight = one.weight
    mine = copied(nn.Sequential(one, other, one))
    assert mine[0] is mine[2]
    assert mine[0].weight is mine[1].weight
    assert mine[0].weight is not one.weight
