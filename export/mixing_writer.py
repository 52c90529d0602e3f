"""The nodes of a block's three token mixers, in each of the forms of `efdn.mixers.MixerChain`."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from efdn.mixers import FoldedMixer, MixerChain
from efdn.mixing import (
    SHIFTS,
    contiguous_groups,
    grouping_permutation,
    inverse_permutation,
)
from export.graph_writer import END, GraphWriter

AXES = {"height": 2, "width": 3}


class MixingWriter:
    """Writes mixer chains."""

    def __init__(self, writer: GraphWriter) -> None:
        self.writer = writer

    def write(self, x: str, chain: MixerChain) -> list[str]:
        """From the name of x to those of x, r1, r2 and r3."""
        writer, stages = self.writer, [x]
        margin = len(chain.mixers) if chain.wrap_once else 0
        last = self._wrap(x, margin) if margin else x
        for index, mixer in enumerate(chain.folded):
            with writer.scope(f"mixer.{index}"):
                if chain.convolve:
                    last = self._convolved(last if margin else self._wrap(last, 1), mixer)
                else:
                    last = self._sliced(last, mixer, wrapped=bool(margin))
                last = writer.gelu(last)
            margin = max(0, margin - 1)
            stages.append(last if chain.keep_margins else self.crop(last, margin))
        return stages

    def _convolved(self, x: str, mixer: FoldedMixer) -> str:
        kernel, offset = array(mixer.taps), array(mixer.offset)
        return self.writer.conv(x, "shift", kernel, offset, padding=0, groups=len(offset))

    def _sliced(self, x: str, mixer: FoldedMixer, *, wrapped: bool) -> str:
        """Either form of `efdn.mixers.FoldedMixer.combine`."""
        writer = self.writer
        mixed = self._mix_wrapped(x, mixer) if wrapped else self._mix(x, mixer)
        x = self.crop(x, 1) if wrapped else x
        slope = self._per_channel("slope", mixer.slope)
        if mixer.expanded:
            kept = writer.op("Mul", x, self._per_channel("keep", mixer.total.double() - mixer.slope.double()))
            moved = writer.op("Mul", mixed, slope)
        else:
            plain = bool((mixer.total == 1).all())
            kept = x if plain else writer.op("Mul", x, self._per_channel("total", mixer.total))
            moved = writer.op("Mul", writer.op("Sub", mixed, x), slope)
        return writer.op("Add", writer.op("Add", kept, moved), self._per_channel("offset", mixer.offset))

    def _mix(self, x: str, mixer: FoldedMixer) -> str:
        """`efdn.mixing.mix_grouped`, or `mix_pixels` where the groups are still interleaved."""
        writer, channels = self.writer, len(mixer.slope)
        if mixer.groups is None:
            x = writer.op("Gather", x, writer.integers(grouping_permutation(channels)), axis=1)
        groups = contiguous_groups(channels) if mixer.groups is None else mixer.groups
        shifted = [self._shift(x, group, *step) for group, step in zip(groups, SHIFTS, strict=True)]
        mixed = writer.op("Concat", *shifted, axis=1)
        if mixer.groups is not None:
            return mixed
        back = inverse_permutation(grouping_permutation(channels))
        return writer.op("Gather", mixed, writer.integers(back), axis=1)

    def _shift(self, x: str, group: slice, dy: int, dx: int) -> str:
        """The channels of one group, moved around the border: two slices and a concatenation."""
        writer, channels = self.writer, (group.start, group.stop)
        if dy == dx == 0:
            return writer.slice(x, channels=channels)
        axis, step = ("height", dy) if dy else ("width", dx)
        cut = 1 if step > 0 else -1
        rest = writer.slice(x, channels=channels, **{axis: (cut, END)})
        first = writer.slice(x, channels=channels, **{axis: (0, cut)})
        return writer.op("Concat", rest, first, axis=AXES[axis])

    def _mix_wrapped(self, x: str, mixer: FoldedMixer) -> str:
        """`efdn.mixing.mix_wrapped`: every group is one slice."""
        assert mixer.groups is not None
        slices = [
            self.writer.slice(x, channels=(group.start, group.stop), height=_window(dy), width=_window(dx))
            for group, (dy, dx) in zip(mixer.groups, SHIFTS, strict=True)
        ]
        return self.writer.op("Concat", *slices, axis=1)

    def _wrap(self, x: str, width: int) -> str:
        """`efdn.mixing.wrap`: rows, then columns, continued from the opposite side."""
        for axis, position in AXES.items():
            before = self.writer.slice(x, **{axis: (-width, END)})
            after = self.writer.slice(x, **{axis: (0, width)})
            x = self.writer.op("Concat", before, x, after, axis=position)
        return x

    def crop(self, x: str, width: int) -> str:
        """`efdn.mixing.crop`."""
        return self.writer.slice(x, height=(width, -width), width=(width, -width)) if width else x

    def _per_channel(self, name: str, values: Tensor) -> str:
        return self.writer.weights(name, array(values).reshape(1, -1, 1, 1))


def _window(step: int) -> tuple[int, int]:
    """Of a side wrapped by one, the (start, end) that lies `step` off the middle."""
    return 1 + step, END if step == 1 else step - 1


def array(values: Tensor | None) -> NDArray[np.floating]:
    """A weight as float64, so that rounding happens once, in the writer."""
    assert values is not None
    return cast("NDArray[np.floating]", values.detach().double().cpu().numpy())
