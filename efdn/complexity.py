"""Parameters, FLOPs, activations and convolutions, counted as the NTIRE challenge counts them.

Per layer of the network: a convolution costs one multiply-add per weight used,
its bias nothing; BatchNorm in eval mode two per element when affine; a ReLU, leaky or not, or
pooling layer one per input element. Everything that is not such a layer (GELU,
additions, mixing, resizing, sigmoid, pooling called as a function) counts
nothing. Activations are the outputs of all Conv2d layers.

That biases are free is read off the published figure: EFDN's 10.6015 G at
3x256x256 is 10,601,491,320 without them and 10,773,599,172 with them. That leaky
ReLUs count is read off RFDN's 27.10 G: 27,102,622,560 with them, 27,033,809,760
without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efdn.copying import copied

RELU_LAYERS = (nn.ReLU, nn.LeakyReLU)
POOLING_LAYERS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """What the challenge's table lists about a network.

    Attributes:
        parameters: learnable parameters, BatchNorm's included.
        flops: multiply-adds for one input, in the challenge's counting.
        activations: elements that all Conv2d layers put out for one input.
        convolutions: number of Conv2d layers.
    """

    parameters: int
    flops: int
    activations: int
    convolutions: int


def count_complexity(network: nn.Module, height: int = 256, width: int = 256) -> Complexity:
    """Counts one forward pass over a (1, 3, height, width) input, without computing it.

    Args:
        network: any network of RGB images; it is left as it was.
        height: of the input, in pixels.
        width: of the input, in pixels.
    """
    meta = copied(network).to("meta").eval()
    flops = activations = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal flops, activations
        flops += _layer_flops(layer, inputs[0], output)
        if isinstance(layer, nn.Conv2d):
            activations += output.numel()

    for layer in meta.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        meta(torch.empty(1, 3, height, width, device="meta"))
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=flops,
        activations=activations,
        convolutions=sum(isinstance(layer, nn.Conv2d) for layer in network.modules()),
    )


def _layer_flops(layer: nn.Module, x: Tensor, output: Tensor) -> int:
    if isinstance(layer, nn.Conv2d):
        return output.numel() * math.prod(layer.weight.shape[1:])
    if isinstance(layer, nn.BatchNorm2d):
        return 2 * output.numel() if layer.affine else 0
    if isinstance(layer, (*RELU_LAYERS, *POOLING_LAYERS)):
        return x.numel()
    return 0
