"""The pixels of AVIF files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

from efdn.errors import ImageError
from efdn.pictures.avif.boxes import Box
from efdn.pictures.picture import Layout
from efdn.pictures.pillow_frames import pillow_frames, raise_pillows_limit
from efdn.pictures.stored import Raster, Shown, Source, split_alpha, widened

MOST_DEEP_PIXELS = 1 << 28
"""Of all frames together where they can only be decoded at once."""


def still(source: Source, boxes: Mapping[bytes, Box], bits: int, layout: Layout) -> Raster:
    """Decodes a still picture.

    Raises:
        ValueError: it is not what its boxes say; the codec raises other kinds too.
    """
    import imagecodecs

    # Without tracks there is one picture in it, however the codec reads it.
    content = _renamed(source.content(layout.width * layout.height), boxes, b"moov")
    # With the number of a frame, imagecodecs writes beyond its buffer where there are others behind that.
    samples = imagecodecs.avif_decode(content, numthreads=1)
    whole = samples[..., None] if samples.ndim == 2 else samples
    if whole.shape != (layout.height, layout.width, layout.channels):
        raise ValueError(f"it announces {layout} and holds {whole.shape}")
    return split_alpha(widened(whole, bits), layout.alpha)


def shown_frames(
    source: Source, boxes: Mapping[bytes, Box], bits: int, layout: Layout, durations_ms: Sequence[float]
) -> Iterator[Shown]:
    """Decodes the frames of an animation, of 8 bits one at a time.

    Raises:
        ImageError: Pillow has no AVIF, or there are too many frames of 10 or 12 bits.
        ValueError: they are not what the boxes say; the codecs raise other kinds too.
    """
    try:
        from PIL.AvifImagePlugin import AvifImageFile
    except ImportError as error:
        raise ImageError(f"{source.path} is a moving AVIF, which needs Pillow 11.3 or newer: update it") from error
    raise_pillows_limit(layout.width * layout.height)
    # Pillow warns of damaged EXIF data; those that are sound were read before.
    content = _renamed(source.content(layout.width * layout.height * len(durations_ms)), boxes, b"Exif")
    image = AvifImageFile(BytesIO(content))
    frames = image.n_frames
    if image.size != (layout.width, layout.height) or frames != len(durations_ms):
        raise ValueError(f"it announces {layout} and holds {frames} frames of {image.size}")
    if bits == 8:
        yield from _of_8_bits(pillow_frames(image, frames, alpha=layout.alpha, durations_ms=durations_ms), layout)
        return
    if layout.width * layout.height * frames > MOST_DEEP_PIXELS:
        raise source.refused(
            f"a moving AVIF of {bits} bits and {frames} frames, too many", "convert it to 8 bits, or split it"
        )
    import imagecodecs

    samples = imagecodecs.avif_decode(content, numthreads=1)
    samples = samples if frames > 1 else samples[None]
    if samples.shape[:3] != (frames, layout.height, layout.width):
        raise ValueError(f"it announces {layout} and holds {samples.shape}")
    for frame, duration in zip(samples, durations_ms, strict=True):
        yield split_alpha(widened(frame, bits), layout.alpha), duration


def _of_8_bits(frames: Iterator[Shown], layout: Layout) -> Iterator[Shown]:
    """Pillow's frames are always RGB; of gray ones a channel is enough."""
    for raster, duration in frames:
        pixels = raster.pixels[..., : layout.color.channels]
        yield Raster(pixels=pixels, alpha=raster.alpha), duration


def _renamed(content: bytes, boxes: Mapping[bytes, Box], name: bytes) -> bytes:
    """The file with boxes of a name, or items of that kind, made such that no program reads them."""
    changed = bytearray(content)
    for box in boxes.values():
        if box.kind == name:
            at = box.at - 4 if content[box.at - 4 : box.at] == name else box.at - 12
            changed[at : at + 4] = b"free"
        elif box.kind in (b"meta", b"moov"):
            inside = box.content.replace(name, b"free")
            changed[box.at : box.at + len(inside)] = inside
    return bytes(changed)
