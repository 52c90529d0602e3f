"""RFDN written a second time, as plain formulas over a state dict, and small networks to hold against it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from efdn.rfdn.network import RFDN

State = dict[str, Tensor]


def make_rfdn(seed: int = 0, *, scale: int = 4, nf: int = 12, blocks: int = 2, data_range: float = 255.0) -> RFDN:
    """A small network whose attentions move enough for a wrong one to be noticed."""
    torch.manual_seed(seed)
    network = RFDN(nf, blocks, scale, data_range=data_range)
    for name, parameter in network.named_parameters():
        if ".esa." in name:
            parameter.data.mul_(2)
    return network.eval()


def reference(state: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    """(N, 3, H, W) to (N, 3, scale H, scale W), straight from the formulas, in the dtype of the state."""
    head = _conv(state, "fea_conv", x, padding=1)
    outputs = [head]
    for number in range(1, blocks + 1):
        outputs.append(_block(state, f"B{number}", outputs[-1]))
    fused = _act(_conv(state, "c.0", torch.cat(outputs[1:], dim=1)))
    sub_pixels = _conv(state, "upsampler.0", _conv(state, "LR_conv", fused, padding=1) + head, padding=1)
    batch, _, height, width = sub_pixels.shape
    # Pixel shuffle: sub-pixel (i, j) of colour c comes from channel c * scale^2 + i * scale + j.
    grid = sub_pixels.reshape(batch, 3, scale, scale, height, width).permute(0, 1, 4, 2, 5, 3)
    return grid.reshape(batch, 3, scale * height, scale * width)


def _conv(state: State, name: str, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, padding)


def _act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.05 * x)


def _block(state: State, name: str, x: Tensor) -> Tensor:
    d1 = _act(_conv(state, f"{name}.c1_d", x))
    r1 = _act(_conv(state, f"{name}.c1_r", x, padding=1) + x)
    d2 = _act(_conv(state, f"{name}.c2_d", r1))
    r2 = _act(_conv(state, f"{name}.c2_r", r1, padding=1) + r1)
    d3 = _act(_conv(state, f"{name}.c3_d", r2))
    r3 = _act(_conv(state, f"{name}.c3_r", r2, padding=1) + r2)
    r4 = _act(_conv(state, f"{name}.c4", r3, padding=1))
    out = _conv(state, f"{name}.c5", torch.cat((d1, d2, d3, r4), dim=1))
    return out * _gate(state, f"{name}.esa", out)


def _gate(state: State, name: str, x: Tensor) -> Tensor:
    head = _conv(state, f"{name}.conv1", x)
    coarse = F.max_pool2d(_conv(state, f"{name}.conv2", head, stride=2), 7, 3)
    coarse = _conv(state, f"{name}.conv_max", coarse, padding=1).clamp(min=0)
    coarse = _conv(state, f"{name}.conv3", coarse, padding=1).clamp(min=0)
    coarse = _conv(state, f"{name}.conv3_", coarse, padding=1)
    height, width = x.shape[2:]
    rows, columns = _bilinear(coarse.shape[2], height, x), _bilinear(coarse.shape[3], width, x)
    resized = torch.einsum("yh,nchw,xw->ncyx", rows, coarse, columns)
    return 1 / (1 + torch.exp(-_conv(state, f"{name}.conv4", resized + _conv(state, f"{name}.conv_f", head))))


def _bilinear(source: int, target: int, like: Tensor) -> Tensor:
    """(target, source) weights of linear resizing between centres of pixels (align_corners=False)."""
    weights = torch.zeros(target, source, dtype=like.dtype)
    for index in range(target):
        position = max((index + 0.5) * source / target - 0.5, 0.0)
        lower = min(int(position), source - 1)
        share = position - lower
        weights[index, lower] += 1 - share
        weights[index, min(lower + 1, source - 1)] += share
    return weights
