"""From a trained network of any architecture to the form that runs and is exported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

from torch import nn

from efdn.architectures import find_architecture, imported
from efdn.config import NetworkConfig
from efdn.copying import copied
from efdn.errors import UsageError
from efdn.upscaler import Upscaler

DEFAULT_PIPELINE = "onnxruntime"
"""Of files that are exported."""

PYTORCH_PIPELINE = "pytorch"
"""Of networks that PyTorch runs itself."""

N = TypeVar("N", bound=nn.Module)


def usual_passes(config: NetworkConfig, pipeline: str, *, pictures: bool = False) -> tuple[str, ...]:
    """The passes that an architecture's networks are given where none are asked for.

    Args:
        config: of the network.
        pipeline: what the graph is for, such as "onnxruntime" or "tensorrt".
        pictures: whether it takes and gives 8-bit pictures.

    Raises:
        UsageError: no such pipeline.
    """
    place = find_architecture(config.architecture).passes
    return () if place is None else cast("tuple[str, ...]", imported(place)(pipeline, pictures=pictures))


def require_passes(config: NetworkConfig, passes: Sequence[str]) -> None:
    """Raises UsageError for passes where the network's architecture has none."""
    if passes and find_architecture(config.architecture).passes is None:
        others = f" and {len(passes) - 1} more" if len(passes) > 1 else ""
        raise UsageError(
            f"{config.architecture} has no passes, got {passes[0]}{others}: leave --passes out, they are EFDN's"
        )


def deploy_stages(network: Upscaler, passes: Sequence[str]) -> Iterator[tuple[str, Upscaler]]:
    """Yields the deploy form after the folding and after each pass, in float64, with the name of what made it.

    Args:
        network: as trained, in whatever mode.
        passes: names, in order.

    Raises:
        UsageError: passes that do not exist, or do not go together.
    """
    require_passes(network.config, passes)
    stages = imported(find_architecture(network.config.architecture).stages)
    return cast("Iterator[tuple[str, Upscaler]]", stages(network, passes))


def as_trained(deployed: N, network: nn.Module) -> N:
    """A deploy form in the dtype and on the device of the network it came from, ready to run."""
    like = next(network.parameters())
    return copied(deployed).to(dtype=like.dtype, device=like.device).eval().requires_grad_(False)


def deployed_form(network: Upscaler) -> Upscaler:
    """The form that runs best in PyTorch, of the dtype and on the device of the network."""
    passes = usual_passes(network.config, PYTORCH_PIPELINE)
    *_, (_, deployed) = deploy_stages(network, passes)
    return as_trained(deployed, network)
