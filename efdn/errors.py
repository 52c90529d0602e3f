"""The one error tree.

A message says what was expected, what came instead and what to do next, in one
line. Commands print it and exit with `exit_code`; libraries let it propagate.
"""

from __future__ import annotations


class EfdnError(Exception):
    """Base of everything this toolkit raises on purpose."""

    exit_code = 1


class UsageError(EfdnError):
    """An option or argument that cannot be understood, or does not go with another."""

    exit_code = 2


class ConfigError(EfdnError, ValueError):
    """A configuration value outside its allowed range."""


class MissingExtraError(EfdnError, ImportError):
    """A package of an optional extra is not installed.

    Args:
        package: import name of what is missing.
        extra: the extra of the `efdn` distribution that brings it.
        purpose: what needs it, as the subject of a sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: "
            f'add the extra {extra} with pip install ".[{extra}]" in efdn\'s source folder'
        )
        self.package = package
        self.extra = extra


class ImageError(EfdnError):
    """A picture that cannot be read, or holds what would be lost."""


class TooLargeError(ImageError):
    """A picture of more pixels than may be read.

    Args:
        message: for people.
        width: of the picture, in pixels.
        height: likewise.
        max_pixels: what was allowed.
    """

    def __init__(self, message: str, *, width: int, height: int, max_pixels: int) -> None:
        super().__init__(message)
        self.width, self.height, self.max_pixels = width, height, max_pixels


class VideoError(EfdnError):
    """A video that cannot be read, or upscaled as asked."""


class WeightsError(EfdnError):
    """A weights file that cannot be read or belongs to another network."""


class TrainingError(EfdnError):
    """A training run that cannot start, go on or be resumed."""


class OutputError(EfdnError):
    """A target that cannot be written, or must not be overwritten."""


class ShapeError(EfdnError):
    """An input whose shape the network, graph or engine does not accept."""


class EngineError(EfdnError):
    """An engine that cannot be opened or run here."""


class WorkerError(EngineError):
    """The process of an engine that died, or does not answer."""


class OutOfMemoryError(EngineError):
    """Too little memory for a run; a smaller picture, or smaller tiles, may do."""


class DeviceMemoryError(OutOfMemoryError):
    """Too little memory on the device.

    Args:
        message: for people.
        needed_bytes: what was asked for.
        free_bytes: what there was.
    """

    def __init__(self, message: str, *, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(message)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class ArtefactError(EfdnError):
    """A sidecar that is missing, broken, or does not belong to its artefact."""


class ModelFileError(EngineError):
    """A model file that no engine could open: it is the file that is at fault."""


class ExportError(EfdnError):
    """An ONNX graph or engine that could not be made."""


class ParityError(ExportError):
    """An exported artefact whose output differs too much from PyTorch's."""
