"""Pixel mixing: every expression computes the same function."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efdn.mixing import (
    GROUPS,
    SHIFTS,
    contiguous_groups,
    grouping_permutation,
    interleaved_groups,
    inverse_permutation,
    mix_grouped,
    mix_pixels,
    mix_pixels_published,
    shift,
)

sides = st.integers(1, 8)
channels = st.integers(5, 23)


def numbered(channel_count: int, height: int, width: int) -> torch.Tensor:
    """Every element different, so that any misplacement shows."""
    return torch.arange(2.0 * channel_count * height * width).reshape(2, channel_count, height, width)


@given(channels, sides, sides)
def test_slices_and_published_convolution_are_equal(channel_count: int, height: int, width: int) -> None:
    x = numbered(channel_count, height, width)
    torch.testing.assert_close(mix_pixels(x), mix_pixels_published(x), rtol=0, atol=0)


@given(channels, sides, sides)
def test_grouped_mixing_is_mixing_under_a_permutation(channel_count: int, height: int, width: int) -> None:
    x = numbered(channel_count, height, width)
    order = grouping_permutation(channel_count)
    torch.testing.assert_close(mix_grouped(x[:, order]), mix_pixels(x)[:, order], rtol=0, atol=0)


@given(sides, sides, st.sampled_from(SHIFTS))
def test_shift_is_a_roll_and_its_opposite_undoes_it(height: int, width: int, step: tuple[int, int]) -> None:
    x, (dy, dx) = numbered(3, height, width), step
    torch.testing.assert_close(shift(x, dy, dx), x.roll((-dy, -dx), dims=(-2, -1)), rtol=0, atol=0)
    torch.testing.assert_close(shift(shift(x, dy, dx), -dy, -dx), x, rtol=0, atol=0)


@given(channels)
def test_groupings_cover_every_channel_once(count: int) -> None:
    for groups in (interleaved_groups(count), contiguous_groups(count)):
        assert sorted(c for group in groups for c in range(count)[group]) == list(range(count))
    order = grouping_permutation(count)
    assert [order[position] for position in inverse_permutation(order)] == list(range(count))


@pytest.mark.parametrize("group", range(GROUPS))
def test_groups_move_as_the_paper_says(group: int) -> None:
    # Row by row: from the right, from the left, from below, from above, not at all.
    x = torch.arange(9.0).reshape(1, 1, 3, 3).expand(1, GROUPS, 3, 3)
    expected = [
        [[1, 2, 0], [4, 5, 3], [7, 8, 6]],
        [[2, 0, 1], [5, 3, 4], [8, 6, 7]],
        [[3, 4, 5], [6, 7, 8], [0, 1, 2]],
        [[6, 7, 8], [0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
    ][group]
    assert mix_pixels(x)[0, group].tolist() == expected


def test_published_kernel_made_in_inference_mode_can_still_be_trained_through() -> None:
    with torch.inference_mode():
        mix_pixels_published(torch.rand(1, 7, 3, 3))
    x = torch.rand(1, 7, 3, 3, requires_grad=True)
    torch.autograd.backward(mix_pixels_published(x).sum())
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.ones_like(x))
