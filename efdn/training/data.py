"""The pictures of a run: what is trained on, and what is kept for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from efdn.errors import TrainingError
from efdn.training.config import TrainingConfig
from efdn.training.distributed import Team
from efdn.training.job import TrainingJob
from efdn.training.patches import PatchSource
from efdn.training.pictures import BadPictureError, PictureCache
from efdn.training.sources import Source, find_pictures
from efdn.training.validation import Pair

VALIDATION_CACHE_BYTES = 1 << 28
MOST_HELD_OUT = 0.1
"""Share of the pictures that may be held out of a small collection."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        patches: makes batches.
        validation: pictures with their small versions.
        held_out: names of the pictures among the training data that are not trained on.
    """

    patches: PatchSource
    validation: tuple[Pair, ...]
    held_out: tuple[str, ...]


def open_data(job: TrainingJob, team: Team, held_out: Sequence[str] | None = None) -> TrainingData:
    """Finds the pictures of a run.

    Args:
        job: the run.
        team: the processes that share the batches.
        held_out: as chosen when the run began; None to choose now.

    Raises:
        TrainingError: the batch cannot be shared equally, or no picture is left to train on.
    """
    config = job.config
    if config.batch % team.size:
        raise TrainingError(
            f"a batch of {config.batch} cannot be shared equally by {team.size} processes: choose a multiple of them"
        )
    found = find_pictures(job.data)
    names = set(_held_out(found, job) if held_out is None else held_out)
    kept = [source for source in found if source.name in names]
    learnt = [source for source in found if source.name not in names]
    if not learnt:
        raise TrainingError(f"no picture left to train on: {len(found)} found, all of them kept for validation")
    patches = PatchSource(
        PictureCache(learnt, scale=config.scale, limit_bytes=job.cache_bytes // team.size, folder=job.cache_folder),
        patch=config.phases[0].patch,
        batch=config.batch // team.size,
        seed=config.seed,
        rank=team.rank,
        world=team.size,
        augment=config.augment,
    )
    judged = find_pictures(job.validation) if job.validation else kept
    pairs = _pairs(judged, config) if team.leads else ()
    return TrainingData(patches=patches, validation=pairs, held_out=tuple(sorted(names)))


def _held_out(sources: Sequence[Source], job: TrainingJob) -> list[str]:
    """Names of pictures spread evenly over the collection; none where other pictures validate."""
    count = 0 if job.validation else min(job.config.holdout, int(MOST_HELD_OUT * len(sources)))
    return [sources[(2 * i + 1) * len(sources) // (2 * count)].name for i in range(count)]


def _pairs(sources: Sequence[Source], config: TrainingConfig) -> tuple[Pair, ...]:
    cache = PictureCache(sources, scale=config.scale, limit_bytes=VALIDATION_CACHE_BYTES)
    pairs = []
    for index in range(len(sources)):
        try:
            hr, lr = cache.pair(index)
        except BadPictureError:
            continue
        pair = Pair(hr=hr, lr=lr).middle(config.scale)
        if min(pair.lr.shape[:2]) >= SMALLEST_SIDE:
            pairs.append(Pair(hr=pair.hr.copy(), lr=pair.lr.copy()))
    return tuple(pairs)


SMALLEST_SIDE = 16
"""LR pixels; the network takes no fewer than 13."""
