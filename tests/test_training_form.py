"""The fast training form computes what the published one does: outputs, gradients, running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from efdn.mixing import contiguous_groups, mix_grouped
from efdn.network import EFDN
from efdn.training.fast_form import FastForm
from efdn.training.mixer_chain import difference, scatter_difference
from efdn.training.products import pointwise


def small_network(planes: int = 12, blocks: int = 2, upscale: int = 2) -> EFDN:
    torch.manual_seed(5)
    network = EFDN(upscale, planes, blocks, 2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.normal_()  # negative scales among them
            module.bias.data.normal_()
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.1, 2)
    return network


def set_norms(network: EFDN, mode: str) -> None:
    network.train()
    if mode == "frozen":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def results(network: EFDN, form: nn.Module, x: Tensor) -> dict[str, Tensor]:
    output = form(x)
    (output.sin() * output / 255).mean().backward()
    found = {"output": output.detach()}
    found |= {f"gradient of {name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    found |= {f"buffer {name}": buffer.clone() for name, buffer in network.named_buffers()}
    return found


@pytest.mark.parametrize("mode", ["batch", "frozen"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # float32 needs a test of its own: PyTorch's float32 and float64 kernels are not the same code.
    [(torch.float64, 1e-10), (torch.float32, 5e-3)],
)
@pytest.mark.parametrize("shape", [(2, 3, 24, 31), (8, 3, 32, 32)])
def test_equals_the_published_form(mode: str, dtype: torch.dtype, tolerance: float, shape: tuple[int, ...]) -> None:
    published = small_network().to(dtype)
    fast = copy.deepcopy(published)
    x = 255 * torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    for network in (published, fast):
        set_norms(network, mode)
    expected = results(published, published, x)
    found = results(fast, FastForm(fast), x)
    assert expected.keys() == found.keys()
    assert len(expected) == 1 + len(list(published.parameters())) + len(list(published.buffers()))
    for name, value in expected.items():
        scale = value.abs().max().clamp(min=1e-6) if value.is_floating_point() else 1
        error = ((value - found[name]).abs().max() / scale).item()
        assert error <= tolerance, f"{name}: {error:.1e}"


def test_equals_the_network_in_eval_mode_on_float32() -> None:
    network = small_network().eval()
    x = 255 * torch.rand(1, 3, 20, 26)
    with torch.inference_mode():
        expected, found = network(x), FastForm(network)(x)
    assert (expected - found).abs().max() <= 1e-4 * expected.abs().max()


def test_difference_is_mixing_less_the_map_and_its_transpose_is_right() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(2, 11, 5, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    g = torch.rand(2, 11, 5, 7, dtype=torch.float64, generator=generator)
    expected = mix_grouped(x, contiguous_groups(11)) - x
    assert torch.equal(difference(x.detach()), expected)
    expected.backward(g)  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(scatter_difference(g, torch.zeros_like(g)), x.grad, rtol=0, atol=1e-15)


def test_difference_averages_to_zero() -> None:
    """Why the norms of the mixers need no mean in training."""
    x = torch.randn(2, 10, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert difference(x).mean(dim=(0, 2, 3)).abs().max() < 1e-15


def test_pointwise_is_a_convolution() -> None:
    generator = torch.Generator().manual_seed(4)
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in ((3, 4, 5, 6), (7, 4, 1, 1), (7,))
    )
    torch.autograd.gradcheck(pointwise, (x, weight, bias))
    torch.testing.assert_close(pointwise(x, weight, bias), nn.functional.conv2d(x, weight, bias), rtol=0, atol=1e-12)
    torch.testing.assert_close(pointwise(x, weight, None), nn.functional.conv2d(x, weight), rtol=0, atol=1e-12)
