"""What a picture file holds, as readers other than this toolkit's find it: Pillow, imagecodecs and tifffile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAKE, ORIENTATION, X_RESOLUTION, RESOLUTION_UNIT = 271, 274, 282, 296
XMP, EXIF_DIRECTORY, ICC_PROFILE = 700, 34665, 34675
INCH = 2


def found_in(path: Path) -> Iterator[str]:
    """Format, samples, and what else a file carries."""
    if path.suffix == ".tif":
        yield from found_in_tiff(path)
        return
    from PIL import Image

    with Image.open(path) as image:
        yield image.format or "?"
        yield look(*samples_of(path, image))
        if getattr(image, "n_frames", 1) > 1:
            yield f"{image.n_frames} frames"
        exif = image.getexif()
        in_exif = exif.get(X_RESOLUTION) if exif.get(RESOLUTION_UNIT) == INCH else None
        dpi = image.info.get("dpi", (in_exif,))[0]
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        described = exif.get(EXIF_DIRECTORY) or exif.get(MAKE)
        carried = {"ICC": image.info.get("icc_profile"), "EXIF": described, "XMP": xmp}
        yield from carried_in(carried, dpi, exif.get(ORIENTATION, 1))


def found_in_tiff(path: Path) -> Iterator[str]:
    """The same of a TIFF, some of which Pillow does not read."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        color = {0: "gray", 1: "gray", 2: "RGB", 5: "CMYK"}[int(page.photometric)]
        yield "BigTIFF" if tiff.is_bigtiff else "TIFF"
        yield look(color, bool(page.extrasamples), page.bitspersample)
        if len(tiff.pages) > 1:
            yield f"{len(tiff.pages)} pages"
        value = page.tags.valueof
        above, below = value(X_RESOLUTION, (0, 1))
        dpi = above / below if value(RESOLUTION_UNIT, INCH) == INCH else None
        carried = {"ICC": value(ICC_PROFILE), "EXIF": value(EXIF_DIRECTORY) or value(MAKE), "XMP": value(XMP)}
        yield from carried_in(carried, dpi, value(ORIENTATION, 1))


def carried_in(carried: Mapping[str, Any], dpi: Any, orientation: int) -> Iterator[str]:
    """Names of what is there, the resolution as a number, and whether viewers turn the picture."""
    yield from (name for name, value in carried.items() if value)
    if dpi:
        yield f"{float(dpi):.0f} dpi"
    if orientation != 1:
        yield "to be turned"


def look(color: str, alpha: bool, bits: int) -> str:
    """Such as "RGB + alpha 16"."""
    return f"{color}{' + alpha' if alpha else ''} {bits}"


def samples_of(path: Path, image: Any) -> tuple[str, bool, int]:
    """Colour, alpha and bits of a sample; of PNG and AVIF by a reader that keeps 16 bits."""
    import imagecodecs

    if image.format not in ("PNG", "AVIF"):
        color = {"1": "gray", "L": "gray", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}[image.mode]
        # Frames of an opaque WebP may be encoded with holes, for what stays as it was.
        alpha = image.mode == "RGBA" and image.getextrema()[3][0] < 255
        return color, alpha, 1 if image.mode == "1" else 8
    decode = imagecodecs.png_decode if image.format == "PNG" else imagecodecs.avif_decode
    pixels = decode(path.read_bytes())
    channels = pixels.shape[-1] if pixels.shape[-1] < 5 else 1
    return "gray" if channels < 3 else "RGB", channels in (2, 4), 1 if image.mode == "1" else 8 * pixels.itemsize


def durations_of(path: Path) -> list[float]:
    """How long each frame is shown, in milliseconds; empty where the file does not say."""
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        # Some of Pillow's formats tell only with the pixels.
        times = [frame.copy().info.get("duration") for frame in ImageSequence.Iterator(image)]
    return [float(time) for time in times if time]
