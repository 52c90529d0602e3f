"""The network against an independent implementation and the published figures."""

import numpy as np
import pytest
import torch

from efdn.complexity import count_complexity
from efdn.errors import ConfigError, ShapeError
from efdn.mixing import mix_pixels, mix_pixels_published
from efdn.network import EFDN, Mixing
from efdn.weights import load_network
from tests.conftest import VECTORS


@pytest.mark.parametrize("size", ["13x13", "24x24", "32x47"])
@pytest.mark.parametrize("mix", [mix_pixels, mix_pixels_published])
def test_matches_reference_vectors(size: str, mix: Mixing) -> None:
    loaded = load_network(VECTORS / "published_layout.pth", EFDN)
    network = EFDN.from_config(loaded.config, mix=mix).eval()
    network.load_state_dict(loaded.state_dict())
    with np.load(VECTORS / "published_layout.npz") as vectors, torch.inference_mode():
        output = network(torch.tensor(vectors[f"input_{size}"]).float()).numpy()
        # On the 0..255 scale, against a float64 network: 5e-5 measured.
        np.testing.assert_allclose(output, vectors[f"output_{size}"], rtol=0, atol=1e-3)


def test_complexity_is_the_published_one() -> None:
    complexity = count_complexity(EFDN())
    assert complexity.parameters == 173_478
    assert complexity.flops == 10_601_491_320
    assert complexity.activations == 187_322_520
    assert complexity.convolutions == 198
    assert f"{complexity.flops / 1e9:.4f} {complexity.activations / 1e6:.4f}" == "10.6015 187.3225"


def test_state_dict_has_the_published_keys() -> None:
    published = torch.load(VECTORS / "published_layout.pth", weights_only=True)["params"]
    own = EFDN().state_dict()
    assert list(own) == list(published)
    assert {key: value.shape for key, value in own.items()} == {key: value.shape for key, value in published.items()}


def test_constructor_takes_the_published_arguments_in_order() -> None:
    network = EFDN(2, 10, 1, 3, "bsconv_u")
    assert (network.config.upscale, network.config.planes) == (2, 10)
    assert (network.config.num_modules, network.config.num_times) == (1, 3)
    assert network(torch.rand(1, 3, 14, 13)).shape == (1, 3, 28, 26)


def test_unknown_convolution_type_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"bsconv_u.*'bsconv_s'"):
        EFDN(conv_type="bsconv_s")


@pytest.mark.parametrize("shape", [(1, 3, 12, 13), (1, 3, 13, 12), (1, 4, 20, 20), (3, 20, 20)])
def test_inputs_it_cannot_take_are_refused(small_network: EFDN, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="at least 13"):
        small_network(torch.zeros(shape))
