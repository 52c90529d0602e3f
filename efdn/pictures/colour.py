"""Colours as people write them."""

from __future__ import annotations

from efdn.errors import UsageError


def parse_colour(text: str) -> tuple[int, int, int]:
    """A colour's name or "#ffee00" as red, green and blue of 0..255.

    Raises:
        UsageError: no colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UsageError(f"a background is a colour such as white or #ffee00, got {text!r}") from None
    return red, green, blue
