"""Pictures of every kind through the whole of what `efdn-infer` does with a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import features

from benchmarks.kinds import Tables, make_sources, tables_of, upscaled
from efdn.pictures.reading import read_picture
from engines.batch.outcome import Outcome
from engines.inference.wanted import MAX_PIXELS, Wanted
from tests.fake_engine import NearestNeighbour
from tests.picture_samples import SAMPLES

DOCUMENT = Path(__file__).parent.parent / "docs" / "pictures.md"
EXACT = [name for name, sample in SAMPLES.items() if sample.pixels is not None]

pytestmark = pytest.mark.skipif("avif" not in features.modules, reason="this Pillow has no AVIF")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables_of(NearestNeighbour(), tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    folder = tmp_path_factory.mktemp("exact")
    return upscaled(NearestNeighbour(), make_sources(folder / "sources"), folder / "results", Wanted())


@pytest.mark.parametrize("name", ["kinds", "frames"])
def test_the_table_in_the_docs_is_what_the_script_prints(tables: Tables, name: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: python -m benchmarks.kinds -->\n", f"\n<!-- end of {name} -->"
    assert text.count(begin) == text.count(end) == 1
    committed = text.partition(begin)[2].partition(end)[0]
    assert committed == getattr(tables, name), "run python -m benchmarks.kinds and put its tables into docs/pictures.md"


@pytest.mark.parametrize("kind", EXACT)
def test_every_pixel_arrives_at_its_depth(outcomes: Mapping[str, Outcome], kind: str) -> None:
    sample, target = SAMPLES[kind], outcomes[kind].target
    assert target is not None
    assert outcomes[kind].reason is None
    result = read_picture(target, max_pixels=MAX_PIXELS)
    assert sample.pixels is not None
    seen = np.full(sample.pixels.shape[:2], True)
    if sample.alpha is not None:
        assert result.alpha is not None
        np.testing.assert_array_equal(result.alpha, sample.alpha.repeat(4, axis=0).repeat(4, axis=1))
        # Colours under full transparency are replaced before the network sees them.
        seen = sample.alpha > 0
    expected = sample.pixels.repeat(4, axis=0).repeat(4, axis=1)
    assert result.pixels.dtype == expected.dtype
    everywhere = seen.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(result.pixels[everywhere], expected[everywhere])
