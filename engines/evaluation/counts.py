"""Parameters, FLOPs, activations and convolutions of what a model file was made of."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ArtefactError, EfdnError
from efdn.files import sha256_of_file
from efdn.sidecar import read_sidecar
from engines.evaluation.published import Counts
from engines.registry import ModelKind, model_kind


def count_model(model: Path | None) -> tuple[Counts | None, str | None]:
    """Counts of the network as trained, for a 3x256x256 LR picture.

    Args:
        model: weights, ONNX file or engine; the packaged model if None.

    Returns:
        The counts and None, or None and why they are not known.
    """
    weights = weights_behind(model)
    if weights is None:
        assert model is not None
        kind = model_kind(model)
        article = "an" if kind is ModelKind.ONNX else "a"
        return None, (
            f"not known from {article} {kind.value} file: they are the network's as trained; "
            "keep the weights and the sidecar beside it, or give the weights"
        )
    if find_spec("torch") is None:
        return None, 'not known without PyTorch: pip install ".[export]" in efdn\'s source folder'
    from efdn.complexity import count_complexity
    from efdn.weights import load_network

    try:
        counted = count_complexity(load_network(weights))
    except EfdnError as error:
        return None, f"not known: {error}"
    return Counts(**vars(counted)), None


def weights_behind(model: Path | None) -> Path | None:
    """The weights that a model is or was exported from, if they are at hand: its sidecar tells their hash."""
    if model is None:
        return DEFAULT_WEIGHTS
    if model_kind(model) is ModelKind.WEIGHTS:
        return model
    try:
        sidecar = read_sidecar(model)
    except ArtefactError:
        return None
    candidates = (DEFAULT_WEIGHTS, model.with_name(Path(sidecar.weights).name))
    return next(
        (path for path in candidates if path.is_file() and sha256_of_file(path) == sidecar.weights_sha256), None
    )
