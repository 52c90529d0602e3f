"""Checks inputs before a library sees them, whose own words differ, and some of which read whatever bytes lie there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from efdn.errors import ShapeError
from engines.protocol import TensorSpec


def check_feeds(model_name: str, inputs: tuple[TensorSpec, ...], feeds: Mapping[str, NDArray[Any]]) -> None:
    """Makes sure that a network takes what it is to be fed.

    Args:
        model_name: for people.
        inputs: what it takes.
        feeds: an array per input.

    Raises:
        ShapeError: an input is missing or unknown, or of another type or shape.
    """
    if set(feeds) == {spec.name for spec in inputs} and all(_fits(spec, feeds[spec.name]) for spec in inputs):
        return
    wanted = ", ".join(f"{spec.name} {spec.dtype} ({', '.join(map(str, spec.dims))})" for spec in inputs)
    got = ", ".join(f"{name} {value.dtype} {tuple(value.shape)}" for name, value in feeds.items())
    raise ShapeError(
        f"{model_name} takes {wanted}, it does not take {got or 'nothing'}: "
        "fit the picture to it, or use a model with dynamic shapes"
    )


def _fits(spec: TensorSpec, value: NDArray[Any]) -> bool:
    return (
        value.dtype == spec.dtype
        and value.ndim == len(spec.dims)
        and all(dim.accepts(size) for dim, size in zip(spec.dims, value.shape, strict=True))
    )
