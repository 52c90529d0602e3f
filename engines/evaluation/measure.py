"""Upscales every picture of every set with every engine, and measures the results.

Results are 8-bit pictures, as they would be saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from efdn import bicubic
from efdn.shapes import Side
from engines.evaluation.conventions import Score, score
from engines.evaluation.pairs import Pair, PictureSet
from engines.evaluation.pictures import Checks, check_pair, read_pair
from engines.evaluation.result import BICUBIC, PictureScores, SetScores, Settings
from engines.protocol import Engine
from engines.whole import Pixels, upscale

Report = Callable[[float, str], None]
"""Takes the share done, 0..1, and what is at work."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A picture that has just been measured, for whoever wants to look at it.

    Attributes:
        set_name: its set.
        name: its own.
        index: its place in the set.
        count: pictures of the set.
        hr: the original, (H, W, 3) uint8.
        results: by method, bicubic first; same shape.
        scores: by method.
    """

    set_name: str
    name: str
    index: int
    count: int
    hr: Pixels
    results: Mapping[str, Pixels]
    scores: Mapping[str, Score]


def check_sets(sets: Sequence[PictureSet], checks: Checks) -> dict[Pair, Side]:
    """Holds all pictures to the checks, by the headers of their files.

    Returns:
        Height and width of each LR picture.

    Raises:
        ImageError: see `check_pair`.
    """
    return {pair: check_pair(pair, checks) for entry in sets for pair in entry.pairs}


def measure_sets(
    sets: Sequence[PictureSet],
    engines: Mapping[str, Engine],
    settings: Settings,
    *,
    report: Report = lambda share, phase: None,
    look: Callable[[Seen], None] = lambda seen: None,
) -> tuple[SetScores, ...]:
    """Measures all sets.

    Args:
        sets: whose pictures have been checked.
        engines: open, by name, all of one scale.
        settings: how.
        report: takes the progress.
        look: is shown every picture.

    Raises:
        ImageError: a picture cannot be read.
        ShapeError: an engine does not take a picture's size.
        EngineError: an engine failed.
    """
    total, done = sum(len(entry.pairs) for entry in sets), 0
    found = []
    for entry in sets:
        pictures = []
        for index, pair in enumerate(entry.pairs):
            report((done + index) / total, f"{entry.name} {pair.name}")
            seen, lr_shape = _measured(entry, index, engines, settings)
            look(seen)
            pictures.append(PictureScores(name=pair.name, lr_shape=lr_shape, scores=seen.scores))
        done += len(pictures)
        found.append(
            SetScores(name=entry.name, lr_made=entry.lr_folder is None, found=entry.found, pictures=tuple(pictures))
        )
    return tuple(found)


def _measured(entry: PictureSet, index: int, engines: Mapping[str, Engine], settings: Settings) -> tuple[Seen, Side]:
    scale, pair = next(iter(engines.values())).model.scale, entry.pairs[index]
    hr, lr = read_pair(pair, scale)
    results = {BICUBIC: bicubic.upscale(lr, scale)}
    results.update((name, upscale(engine, lr, pad=settings.pad)) for name, engine in engines.items())
    seen = Seen(
        set_name=entry.name,
        name=pair.name,
        index=index,
        count=len(entry.pairs),
        hr=hr,
        results=results,
        scores={name: score(hr, result, settings.convention, settings.border) for name, result in results.items()},
    )
    return seen, (lr.shape[0], lr.shape[1])
