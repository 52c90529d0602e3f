"""The pictures of a run: what is trained on, and what is kept for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from efdn.config import MIN_SIDE
from efdn.errors import TrainingError
from efdn.training.checkpoint import Checkpoint
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
        pictures: how many are trained on.
        unusable: pictures that were to validate but cannot, and why.
    """

    patches: PatchSource
    validation: tuple[Pair, ...]
    held_out: tuple[str, ...]
    pictures: int
    unusable: dict[str, str]


def open_data(job: TrainingJob, team: Team, before: Checkpoint | None = None) -> TrainingData:
    """Finds the pictures of a run.

    Args:
        job: the run.
        team: the processes that share the batches.
        before: the checkpoint that the run goes on from, which tells the pictures held out.

    Raises:
        TrainingError: the batch cannot be shared equally, no picture is left to train on, none can validate although
            some were given, or the pictures are not those that the run began with.
    """
    config = job.config
    if config.batch % team.size:
        raise TrainingError(
            f"a batch of {config.batch} cannot be shared equally by {team.size} processes: choose a multiple of them"
        )
    found = find_pictures(job.data)
    names = set(_held_out(found, job) if before is None else before.held_out)
    kept = [source for source in found if source.name in names]
    learnt = [source for source in found if source.name not in names]
    if not learnt:
        raise TrainingError(f"no picture left to train on: {len(found)} found, all of them kept for validation")
    if before is not None:
        _check_same(before, job, len(kept), len(learnt))
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
    pairs, unusable = _pairs(judged, config)
    if job.validation and not pairs:
        raise TrainingError(f"none of the {len(judged)} pictures of --val can be used, such as {_first(unusable)}")
    return TrainingData(
        patches=patches,
        validation=pairs,
        held_out=tuple(sorted(names)),
        pictures=len(learnt),
        unusable=unusable,
    )


def _check_same(before: Checkpoint, job: TrainingJob, kept: int, learnt: int) -> None:
    """Raises TrainingError unless a run goes on with the pictures that it began with."""
    if kept != len(before.held_out) or learnt != before.pictures:
        raise TrainingError(
            f"the run began with {before.pictures} pictures and {len(before.held_out)} held out, of which {learnt} and "
            f"{kept} are in DATA now: give the same DATA, spelled as then, from the same folder"
        )
    if bool(job.validation) != before.validated_elsewhere:
        given = "with" if before.validated_elsewhere else "without"
        raise TrainingError(f"the run began {given} --val: resume it {given} --val, or its best would be of two kinds")


def _held_out(sources: Sequence[Source], job: TrainingJob) -> list[str]:
    """Names of pictures spread evenly over the collection; none where other pictures validate."""
    count = 0 if job.validation else min(job.config.holdout, int(MOST_HELD_OUT * len(sources)))
    return [sources[(2 * i + 1) * len(sources) // (2 * count)].name for i in range(count)]


def _pairs(sources: Sequence[Source], config: TrainingConfig) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """Pictures that can validate, and the names of those that cannot, with the reason."""
    cache = PictureCache(sources, scale=config.scale, limit_bytes=VALIDATION_CACHE_BYTES)
    pairs, unusable = [], {}
    for index, source in enumerate(sources):
        try:
            hr, lr = cache.pair(index)
        except BadPictureError as error:
            unusable[source.name] = str(error)
            continue
        if min(lr.shape[:2]) < MIN_SIDE:
            unusable[source.name] = f"smaller than {MIN_SIDE} pixels a side once downscaled"
            continue
        pair = Pair(hr=hr, lr=lr).middle(config.scale)
        pairs.append(Pair(hr=pair.hr.copy(), lr=pair.lr.copy()))
    return tuple(pairs), unusable


def _first(unusable: dict[str, str]) -> str:
    return next((f"{name} ({reason})" for name, reason in unusable.items()), "none")
