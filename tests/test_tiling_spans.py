"""Axes cut into spans: what every cut must hold to, whatever is asked for."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from efdn.errors import UsageError
from engines.tiling.spans import GRID, Axis, Span, cut

OVERLAPS = st.one_of(st.sampled_from([0, 1, 2, 8, 12, 16, 24, 32]), st.integers(0, 512))
PADS = st.one_of(st.sampled_from([0, 1, 8]), st.integers(0, 512))


@st.composite
def axes(draw: st.DrawFn, static: bool = False) -> Axis:
    """Whatever may be asked of an axis; the longest span is usually shorter than the picture."""
    least = draw(st.integers(13, 300))
    most = least if static else draw(st.integers(least, 600))
    length = draw(st.one_of(st.integers(1, 40), st.integers(1, 2000)))
    return Axis(length=length, pad=draw(PADS), overlap=draw(OVERLAPS), least=least, most=most)


@st.composite
def long_axes(draw: st.DrawFn) -> Axis:
    """Axes of pictures that are cut, by engines that take more than one length."""
    overlap, pad = draw(OVERLAPS), draw(PADS)
    most = max(2 * overlap, overlap + pad) + 2 * GRID + draw(st.integers(13, 300))
    length = most + draw(st.integers(1, 1500))
    return Axis(length=length, pad=pad, overlap=overlap, least=draw(st.integers(13, most - GRID)), most=most)


def cut_or_pass(axis: Axis) -> tuple[Span, ...]:
    """The spans; examples that are refused say nothing here."""
    try:
        return cut(axis)
    except UsageError:
        assume(False)
        raise


def check(axis: Axis, spans: tuple[Span, ...]) -> None:
    """All that a cut promises."""
    begin, end = axis.pad, axis.pad + axis.length
    assert spans[0].first == begin
    assert spans[-1].last == end
    assert spans[0].ramp == 0
    for span in spans:
        assert span.start % GRID == 0
        assert axis.least <= span.length <= axis.most
        assert span.start <= span.first < span.last <= span.stop
        assert begin <= span.first
        assert span.last <= end
    assert len({span.stop - span.start for span in spans}) == 1
    ramps = [*(span.ramp for span in spans[1:]), 0]
    for earlier, later in pairwise(spans):
        assert earlier.start < later.start
        # Kept once, but for the ramp, which both keep.
        assert earlier.last - later.first == later.ramp
        assert 0 <= later.ramp <= axis.overlap // 2
    for span, below in zip(spans, ramps, strict=True):
        assert span.last - span.first >= span.ramp + below, "three spans meet in a pixel"


@settings(max_examples=200)
@given(axes())
def test_a_cut_covers_the_picture_once_with_ramps_that_fit(axis: Axis) -> None:
    check(axis, cut_or_pass(axis))


@settings(max_examples=200)
@given(axes(static=True))
def test_fixed_shapes_are_met_exactly_however_far_beyond_the_picture_they_reach(axis: Axis) -> None:
    spans = cut_or_pass(axis)
    check(axis, spans)
    assert {span.length for span in spans} == {axis.most}


@settings(max_examples=200)
@given(long_axes())
def test_inner_sides_have_the_overlap_less_half_a_ramp_as_context(axis: Axis) -> None:
    spans = cut(axis)
    check(axis, spans)
    for earlier, later in pairwise(spans):
        needed = axis.overlap - (axis.overlap // 2 + 1) // 2
        assert earlier.stop - earlier.last >= needed
        assert later.first - later.start >= needed


@settings(max_examples=120)
@given(axes())
def test_no_more_is_computed_than_twice_the_grid_beyond_the_padding(axis: Axis) -> None:
    spans = cut_or_pass(axis)
    assert spans[-1].stop <= max(axis.length + 2 * axis.pad + 2 * (GRID - 1), axis.least)


@settings(max_examples=120)
@given(axes())
def test_what_fits_with_its_padding_is_one_span(axis: Axis) -> None:
    assume(axis.length + 2 * axis.pad <= axis.most)
    (span,) = cut(axis)
    assert (span.start, span.first, span.last) == (0, axis.pad, axis.pad + axis.length)
    if not axis.pad:
        # The network sees the picture alone, unless it takes no picture so small.
        assert span.stop == max(axis.length, axis.least)


@settings(max_examples=120)
@given(axes())
def test_only_tiles_without_room_are_refused(axis: Axis) -> None:
    smallest = max(2 * axis.overlap, axis.overlap + axis.pad) + 2 * GRID
    if axis.length + 2 * axis.pad <= axis.most or axis.most >= smallest:
        cut(axis)
        return
    with pytest.raises(
        UsageError, match=rf"expected at least {smallest}; use larger tiles, or a smaller --tile-overlap and --pad"
    ):
        cut(axis)


def test_without_padding_the_outer_context_is_the_other_end() -> None:
    first, *middle, last = cut(Axis(length=500, pad=0, overlap=16, least=13, most=128))
    assert (first.start, first.before, last.after) == (0, 0, 0)
    assert first.after >= 16
    assert last.before >= 16
    assert last.stop >= 500
    assert all((span.before, span.after) == (0, 0) for span in middle)


@pytest.mark.parametrize(
    "axis",
    [
        # Narrow steps of wide overlaps; padding wider than the picture; least length just below the most.
        Axis(length=70, pad=8, overlap=24, least=64, most=64),
        Axis(length=6, pad=34, overlap=0, least=64, most=64),
        Axis(length=1, pad=344, overlap=1, least=256, most=450),
        Axis(length=444, pad=0, overlap=32, least=256, most=288),
        Axis(length=212, pad=8, overlap=100, least=13, most=212),
    ],
    ids=str,
)
def test_awkward_axes(axis: Axis) -> None:
    check(axis, cut(axis))


@settings(max_examples=120)
@given(long_axes())
def test_lengths_are_equal_to_the_pictures_modulo_the_grid(axis: Axis) -> None:
    # With padding, the picture is taken to be as long as lets attention be stretched least.
    wanted = 1 if axis.pad else axis.length % GRID
    assert {span.length % GRID for span in cut(axis)} == {wanted}
