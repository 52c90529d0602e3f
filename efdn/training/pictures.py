"""Pictures decoded for training, with their low-resolution versions, kept as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from efdn.bicubic import downscale, modcrop
from efdn.errors import ConfigError, ImageError
from efdn.training.decoded_files import DecodedFiles
from efdn.training.sources import Source

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8]
Pair: TypeAlias = tuple[Pixels, Pixels]

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SCALES = (2, 3, 4)
DECODING_LOCKS = 61


class BadPictureError(ImageError):
    """A picture that cannot be trained on; the message is the reason alone."""


class PictureCache:
    """Pairs of HR and LR pictures, decoded when first asked for; for any number of threads.

    Args:
        sources: the pictures' files.
        scale: of the network; 2, 3 or 4.
        limit_bytes: of decoded pixels kept in memory; beyond it those not asked for longest go.
            A picture that does not fit by itself is decoded every time.
        folder: where decoded pictures are kept as files instead, for later runs as well: for
            collections larger than memory, as a picture takes far longer to decode than to map.

    Raises:
        ConfigError: another scale.
        OutputError: the folder cannot be written.
    """

    def __init__(self, sources: Sequence[Source], *, scale: int, limit_bytes: int, folder: Path | None = None) -> None:
        if scale not in SCALES:
            raise ConfigError(f"scale must be one of {', '.join(map(str, SCALES))}, got {scale}")
        self.sources = tuple(sources)
        self.scale = scale
        self._limit_bytes = limit_bytes
        self._files = None if folder is None else DecodedFiles(folder, scale=scale)
        self._held: OrderedDict[int, Pair] = OrderedDict()
        self._held_bytes = 0
        self._bad: dict[int, str] = {}
        self._lock = Lock()
        self._decoding = [Lock() for _ in range(DECODING_LOCKS)]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def held_bytes(self) -> int:
        """Of pixels in memory now."""
        return self._held_bytes

    def pair(self, index: int) -> Pair:
        """A picture, and the same downscaled as a whole, as benchmarks are made.

        Args:
            index: in `sources`.

        Returns:
            HR (H, W, 3) and LR (H / scale, W / scale, 3), uint8 RGB, not to be written to; rows and
            columns that do not divide by the scale are cut off at the bottom and right.

        Raises:
            BadPictureError: it cannot be read or decoded, or is smaller than the scale.
        """
        found = self._find(index)
        if found is None:
            # Threads that want the same picture wait for one of them to decode it.
            with self._decoding[index % DECODING_LOCKS]:
                found = self._find(index)
                if found is None:
                    found = self._add(index)
        return found

    def _find(self, index: int) -> Pair | None:
        with self._lock:
            if index in self._bad:
                raise BadPictureError(self._bad[index])
            found = self._held.get(index)
            if found is not None:
                self._held.move_to_end(index)
            return found

    def _add(self, index: int) -> Pair:
        source = self.sources[index]
        try:
            if self._files is not None:
                return self._files.pair(source.identity(), lambda: make_pair(source.read(), self.scale))
            made = make_pair(source.read(), self.scale)
        except ImageError as error:
            reason = str(error).removeprefix(f"{source.name} ").removeprefix(f"cannot read {source.name}: ")
            with self._lock:
                self._bad[index] = reason
            raise BadPictureError(reason) from error
        self._keep(index, made)
        return made

    def _keep(self, index: int, pair: Pair) -> None:
        size = _bytes_of(pair)
        if size > self._limit_bytes:
            return
        with self._lock:
            self._held[index] = pair
            self._held_bytes += size
            while self._held_bytes > self._limit_bytes:
                self._held_bytes -= _bytes_of(self._held.popitem(last=False)[1])


def make_pair(content: bytes, scale: int) -> Pair:
    """Decodes a picture file and downscales it: see `PictureCache.pair`.

    Raises:
        BadPictureError: it cannot be decoded, or is smaller than the scale.
    """
    whole = decode_rgb(content)
    height, width = whole.shape[:2]
    if min(height, width) < scale:
        raise BadPictureError(f"{width}x{height} pixels, smaller than the scale of {scale}")
    hr = np.ascontiguousarray(modcrop(whole, scale))
    lr = np.ascontiguousarray(downscale(hr, scale))
    for pixels in (hr, lr):
        pixels.setflags(write=False)
    return hr, lr


def decode_rgb(content: bytes) -> Pixels:
    """Decodes a picture file of any common kind as people see it.

    An orientation tag is applied, transparency shows white behind it, 16 bits are
    rounded to 8, gray, palettes and CMYK become RGB, and of an animation it is the first picture.

    Returns:
        (H, W, 3) uint8.

    Raises:
        BadPictureError: not a picture, broken, truncated, or of a kind without a meaning in 8 bits.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except UnidentifiedImageError as error:
        raise BadPictureError(f"not a picture in {', '.join(FORMATS)}") from error
    except (BadPictureError, MemoryError):
        raise
    # Pillow's decoders raise many kinds on broken data, SyntaxError and struct.error among them.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadPictureError(f"broken or truncated ({reason})") from error


def _to_rgb(image: Image.Image) -> Pixels:
    from PIL import Image

    if image.mode.startswith("I"):
        return _from_16_bits(np.asarray(image))
    if image.mode == "F":
        raise BadPictureError("floating-point pixels, of which only their maker knows what is white")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _from_16_bits(gray: NDArray[np.generic]) -> Pixels:
    """(H, W) in 0..65535 as (H, W, 3) uint8; Pillow would clip at 255 instead."""
    values = gray.astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise BadPictureError(f"gray values of {values.min()} to {values.max()}, expected 16 bits at most")
    rounded = ((values * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)
    return np.repeat(rounded[..., None], 3, axis=2)


def _bytes_of(pair: Pair) -> int:
    return sum(pixels.nbytes for pixels in pair)
