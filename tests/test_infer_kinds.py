"""Every kind of picture through `efdn-infer` into every format: what the formats' table says of each cell is so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from efdn.errors import OutputError
from efdn.pictures.format_table import FORMATS, Format
from efdn.pictures.formats import check_fits, default_ending, held, unheld
from efdn.pictures.metadata import enlarged
from efdn.pictures.picture import Color, Metadata, Picture
from efdn.pictures.reading import read_picture
from engines.pictures.options import EnlargeOptions
from engines.pictures.target import enlarged_layout
from tests.inference_samples import LIMIT, Infer, Said, no_parts_in, repeated
from tests.picture_parts import Sample
from tests.picture_samples import KINDS, SAMPLES

SCALE = 2
TARGETS = [known.endings[0] for known in FORMATS]

ONE_OF_EACH = [
    *("png-gray1", "png-gray8", "png-gray16", "png-gray-alpha8", "png-gray-alpha16", "png-rgb8", "png-rgb16-dark"),
    *(
        "png-rgba8",
        "png-rgba16",
        "png-palette-transparent",
        "png-rgb16-transparent-colour",
        "tiff-cmyk8",
        "tiff-cmyk16",
    ),
    *("jpeg-exif-xmp-icc-dpi", "tiff-exif-xmp-icc-dpi", "avif-rotated-exif-xmp-icc", "apng"),
]
"""Kinds that are different pictures, rather than different files of the same."""

CELLS = [
    *((kind, target) for kind in sorted(KINDS) for target in ("default", "same")),
    *((kind, target) for kind in ONE_OF_EACH for target in TARGETS),
]


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


def ending_of(kind: str, target: str, picture: Picture) -> str:
    """What the result's name is to end in."""
    if target == "default":
        return default_ending(picture.layout)
    if target == "same":
        return {".gif": ".webp"}.get(SAMPLES[kind].ending, SAMPLES[kind].ending)
    return target


def by_name(ending: str) -> Format:
    """The format of an ending."""
    return next(known for known in FORMATS if ending in known.endings)


@pytest.mark.parametrize(("kind", "target"), CELLS)
def test_every_kind_in_every_format(infer: Infer, tmp_path: Path, kind: str, target: str) -> None:
    source = KINDS[kind](tmp_path)
    picture = read_picture(source, max_pixels=LIMIT)
    ending = ending_of(kind, target, picture)
    result = tmp_path / f"{kind}_x2{ending}"
    arguments = () if target == "default" else ("--ext", target.removeprefix("."))
    layout = enlarged_layout(picture.layout, SCALE, EnlargeOptions())
    said = infer(source, *arguments)
    assert no_parts_in(tmp_path)
    try:
        chosen = check_fits(result, layout)
    except OutputError as error:
        assert_refused(infer, said, str(error), result)
        return
    assert said.code == 0, said.err
    made = read_picture(result, max_pixels=LIMIT)
    color = layout.color if layout.color in chosen.colors else Color.RGB
    # WebP and AVIF leave out an alpha that is opaque throughout.
    needed = chosen.name not in ("WEBP", "AVIF") or picture.alpha is None or bool((picture.alpha < 255).any())
    assert made.layout == replace(layout, color=color, alpha=layout.alpha and needed)
    assert_pixels(SAMPLES[kind], picture, made, chosen)
    assert_metadata(said, picture, made, chosen)


def assert_refused(infer: Infer, said: Said, reason: str, result: Path) -> None:
    """It is said before any work, with the alternative."""
    assert said.code == 1
    assert reason in said.err
    assert "choose ." in reason
    assert infer.engine.sides == []
    assert not result.exists()


def assert_pixels(sample: Sample, picture: Picture, made: Picture, chosen: Format) -> None:
    """Repeated pixels, exactly where the format loses nothing."""
    if sample.pixels is not None:
        np.testing.assert_array_equal(picture.pixels, sample.pixels)
    expected, result = repeated(picture.pixels), made.pixels
    if expected.shape[2] == 1 and result.shape[2] == 3:
        expected = expected.repeat(3, axis=2)
    largest = np.iinfo(expected.dtype).max
    if picture.alpha is not None:
        alpha = repeated(picture.alpha)
        opacity = np.full_like(alpha, largest) if made.alpha is None else made.alpha
        assert np.abs(opacity.astype(int) - alpha).max() <= (0 if chosen.lossless else 0.1 * largest)
        # What nobody sees has the colours of its neighbours.
        result, expected = result[alpha > 0], expected[alpha > 0]
    if chosen.lossless:
        np.testing.assert_array_equal(result, expected)
    else:
        # Noise of small pictures is what lossy formats are worst at: a twentieth of white on average.
        assert np.abs(result.astype(float) - expected).mean() < 0.05 * largest


def assert_metadata(said: Said, picture: Picture, made: Picture, chosen: Format) -> None:
    """All that the format holds is there, and what it does not is named."""
    scaled = enlarged(picture.metadata, factors=(SCALE, SCALE), width=made.layout.width, height=made.layout.height)
    kept = held(chosen, scaled)
    assert made.metadata.icc_profile == kept.icc_profile
    assert (made.metadata.xmp is None) == (kept.xmp is None)
    if kept.exif is not None:
        assert made.metadata.exif is not None
    if kept.dpi is not None:
        assert made.metadata.dpi == pytest.approx(kept.dpi, rel=0.01)
    for lost in unheld(chosen, scaled):
        assert lost in said.err
    warned = [line for line in said.err.splitlines() if "warning: " in line]
    assert bool(unheld(chosen, scaled)) == any("cannot hold everything" in line for line in warned)
    if picture.header is not None and picture.header.frames > 1:
        assert any("--frames all takes them all" in line for line in warned)


def test_nothing_that_can_be_carried_is_missing_from_the_table() -> None:
    fields = set(Metadata.__dataclass_fields__)
    assert fields == {name for known in FORMATS for name in known.metadata}
