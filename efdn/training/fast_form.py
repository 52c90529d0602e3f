"""The training form of EFDN, computed faster: the same function, parameters, gradients and running statistics.

The network itself stays as published (`efdn.network.EFDN`), so that optimisers,
averages and checkpoints know nothing of this. In each step its parameters are
rearranged: channels permuted so that the mixing groups are contiguous, the repeated
input summed into the head, and the four branches of a block computed as one batched
product over the stages of its mixers.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efdn.layers import BSConv, SpatialAttention
from efdn.mixing import grouping_permutation
from efdn.network import EFDN, Block, check_input
from efdn.training.mixer_chain import mixer_chain
from efdn.training.products import grouped_pointwise, pointwise


class FastForm(nn.Module):
    """Runs a network's forward pass in the fast form.

    Args:
        network: whose parameters are read, and whose running statistics are updated in training mode.
    """

    def __init__(self, network: EFDN) -> None:
        super().__init__()
        self.network = network
        order = torch.tensor(grouping_permutation(network.config.planes))
        self.register_buffer("order", order, persistent=False)
        self.order: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """As `EFDN.forward`."""
        check_input(x)
        network, order = self.network, self.order
        config = network.config
        head_weight = network.head.pw.weight.view(-1, config.num_times, 3).sum(1)[order]
        head = _depthwise(network.head.dw, pointwise(x, head_weight, None), order)
        features, outputs = head, []
        for block in network.body:
            features = self._block(cast(Block, block), features)
            outputs.append(features)
        fusion, refine = cast(nn.Conv2d, network.body_tail[0]), cast(BSConv, network.body_tail[2])
        stacked = torch.stack(outputs, dim=1).flatten(1, 2)
        weight = fusion.weight.view(-1, config.num_modules, config.planes)[:, :, order].flatten(1)
        fused = F.gelu(pointwise(stacked, weight, fusion.bias))
        refined = _depthwise(refine.dw, pointwise(fused, refine.pw.weight[order], None), order)
        tail = cast(nn.Conv2d, network.tail[0])
        pixels = F.conv2d(refined + head, tail.weight[:, order], tail.bias, padding=1)
        return F.pixel_shuffle(pixels, config.upscale)

    def _block(self, block: Block, x: Tensor) -> Tensor:
        order = self.order
        norms = [block.c1_r.norm, block.c2_r.norm, block.c3_r.norm]
        stages = self._stages(norms, x)
        branches = [block.c1_d, block.c2_d, block.c3_d, block.c4_r]
        weight = torch.stack([branch.weight.flatten(1) for branch in branches])[:, :, order]
        bias = torch.stack([cast(Tensor, branch.bias) for branch in branches])
        n, _, _, height, width = stages.shape
        mixed = grouped_pointwise(stages.flatten(3), weight, bias)
        activated = F.gelu(mixed).view(n, -1, height, width)
        out = pointwise(activated, block.c5.weight[order], cast(Tensor, block.c5.bias)[order])
        total = torch.addcmul(x, out, self._gate(block.esa, out))
        return self._norm(block.norm, total)

    def _stages(self, norms: list[nn.BatchNorm2d], x: Tensor) -> Tensor:
        order = self.order
        measure = norms[0].training
        gamma, beta = (torch.stack([getattr(norm, name) for norm in norms])[:, order] for name in ("weight", "bias"))
        mean, var = (
            torch.stack([getattr(norm, name) for norm in norms])[:, order] for name in ("running_mean", "running_var")
        )
        stages, used = mixer_chain(x, gamma, beta, mean, var, norms[0].eps, measure=measure)
        if measure:
            count = x.numel() // x.shape[1]
            unbiased = torch.empty_like(used)
            unbiased[:, order] = used * (count / (count - 1))
            for norm, value in zip(norms, unbiased, strict=True):
                _track(norm, torch.zeros_like(value), value)
        return stages

    def _gate(self, esa: SpatialAttention, out: Tensor) -> Tensor:
        order = self.order
        head = pointwise(out, esa.head_conv.weight[:, order], esa.head_conv.bias)
        pooled = F.max_pool2d(esa.stride_conv(head), kernel_size=7, stride=3)
        coarse = F.interpolate(esa.group_conv(pooled), size=out.shape[-2:], mode="bilinear", align_corners=False)
        skip = pointwise(head, esa.useless_conv.weight, esa.useless_conv.bias)
        tail = esa.tail_conv
        return torch.sigmoid(pointwise(coarse + skip, tail.weight[order], cast(Tensor, tail.bias)[order]))

    def _norm(self, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
        order = self.order
        weight, bias = norm.weight[order], norm.bias[order]
        mean, var = cast(Tensor, norm.running_mean)[order], cast(Tensor, norm.running_var)[order]
        if not norm.training:
            return F.batch_norm(x, mean, var, weight, bias, training=False, eps=norm.eps)
        # A momentum of one leaves the batch's own statistics in mean and var.
        normed = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0, eps=norm.eps)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        _track(norm, mean[back], var[back])
        return normed


def _depthwise(conv: nn.Conv2d, x: Tensor, order: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight[order], cast(Tensor, conv.bias)[order], conv.stride, conv.padding, groups=len(order))


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    """Moves the running statistics towards those of a batch."""
    momentum = cast(float, norm.momentum)
    cast(Tensor, norm.num_batches_tracked).add_(1)
    cast(Tensor, norm.running_mean).lerp_(mean, momentum)
    cast(Tensor, norm.running_var).lerp_(var, momentum)
