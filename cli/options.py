"""Option values that more than one command parses."""

from __future__ import annotations

import re

from efdn.errors import UsageError

DEFAULT_MAX_PIXELS = 640_000
"""Of pictures that are upscaled whole, in pixels: 2 to 6 GB of memory on the CPU."""


def parse_shape(text: str, option: str = "--shape") -> tuple[int, int]:
    """ "720x1280" as (720, 1280): height first, as tensors have it.

    Raises:
        UsageError: not two whole numbers.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*[xX]\s*(\d{1,6})\s*", text)
    if match is None:
        raise UsageError(f"{option} takes HEIGHTxWIDTH such as 256x256, got {text!r}")
    return int(match[1]), int(match[2])


def parse_targets(text: str) -> tuple[str, ...]:
    """ "sm86,SM89" as ("sm86", "sm89").

    Raises:
        UsageError: not a list of such names.
    """
    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if not re.fullmatch(r"sm\d{2,3}", name):
            raise UsageError(f"--gpu-arch takes names such as sm86,sm89, got {text!r}")
    return names


def parse_shapes(texts: list[str]) -> list[tuple[int, int]]:
    """Every value of a repeated `--shape`.

    Raises:
        UsageError: not two whole numbers.
    """
    return [parse_shape(text) for text in texts]


def parse_patterns(text: str | None) -> tuple[str, ...]:
    """ "body.0/*,tail" as ("body.0/*", "tail")."""
    return () if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
