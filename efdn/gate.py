"""The spatial attention of a block in deploy form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.layers import SpatialAttention

POOL_SIZE, POOL_STRIDE = 7, 3


class Gate(nn.Module):
    """Yields the factor, 0..1, that a block's output is multiplied by.

    With head = `head(x)` and coarse = `group(pool(stride(head)))`, resized to the
    size of x, three forms of one function, told apart by what is there:

    - skip and tail: `sigmoid(tail(coarse + skip(head)))`, as published;
    - no skip: `sigmoid(tail(concat(coarse, head)))`;
    - no tail: `sigmoid(coarse + skip(head))`, with all channels on the coarse map already.

    Args:
        attention: the published form; its parts are taken over.

    Attributes:
        head: 1x1, narrows to a few channels.
        stride: 3x3 of stride 2.
        group: three convolutions of 3x3 with ReLU in between, on the pooled map.
        skip: 1x1 from head, or None; without a bias where there is no tail.
        tail: 1x1 to the block's channels, or None.
        skip_terms: whether the skip is a sum of channels times weights, rather than a convolution.
    """

    skip: nn.Conv2d | None
    tail: nn.Conv2d | None

    def __init__(self, attention: SpatialAttention) -> None:
        super().__init__()
        self.head = attention.head_conv
        self.stride = attention.stride_conv
        self.group = attention.group_conv
        self.skip = attention.useless_conv
        self.tail = attention.tail_conv
        self.skip_terms = False

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        coarse = self.group(F.max_pool2d(self.stride(head), kernel_size=POOL_SIZE, stride=POOL_STRIDE))
        coarse = F.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        if self.tail is None:
            return torch.sigmoid(coarse + self._skipped(head))
        if self.skip is None:
            return torch.sigmoid(self.tail(torch.cat((coarse, head), dim=1)))
        return torch.sigmoid(self.tail(coarse + self._skipped(head)))

    def _skipped(self, head: Tensor) -> Tensor:
        assert self.skip is not None
        return self.skip(head)  # type: ignore[no-any-return]
