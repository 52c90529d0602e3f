"""Whether rows of one network give the same picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.peers.rows import Row, reference_of
from efdn.errors import ParityError
from engines.profiling.comparison import Difference, compare
from engines.profiling.runner import Starter
from engines.whole import Pixels
from engines.worker.client import Worker
from engines.worker.subject import Opened, Subject

MOST_LEVELS = 1
"""Grey levels by which outputs of one network may differ: rounding to 8 bits can turn on the last bit of a float."""


class OutputKeeper:
    """Starts workers and keeps what they put out; the profiler compares with one reference only.

    Args:
        start: starts a worker.

    Attributes:
        pictures: (N, H, W, 3) uint8, by what was run.
    """

    def __init__(self, start: Starter = Worker) -> None:
        self._start = start
        self.pictures: dict[Subject, Pixels] = {}

    def __call__(self, python: Path | None, environment: Mapping[str, str]) -> Worker:
        worker = self._start(python, environment)
        opening, writing = worker.open, worker.write_output
        opened: list[Subject] = []

        def open_subject(subject: Subject) -> Opened:
            opened.append(subject)
            return opening(subject)

        def write_output(path: Path) -> None:
            writing(path)
            self.pictures[opened[-1]] = np.load(path)

        worker.open, worker.write_output = open_subject, write_output  # type: ignore[method-assign]
        return worker


def differences(rows: Sequence[Row], pictures: Mapping[str, Pixels]) -> dict[str, Difference]:
    """How each row's output differs from its network's reference, by key.

    Args:
        rows: in any order.
        pictures: outputs at one shape, by key; of rows that ran.
    """
    found = {}
    for row in rows:
        reference = reference_of(row, rows)
        if reference is None or row.key not in pictures or reference.key not in pictures:
            continue
        difference = compare(pictures[row.key], pictures[reference.key])
        if difference is not None:
            found[row.key] = difference
    return found


def check_equal(rows: Sequence[Row], found: Mapping[str, Difference], title: str) -> None:
    """Holds all rows to their references.

    Args:
        rows: in any order.
        found: see `differences`.
        title: of the shape, such as "64x64".

    Raises:
        ParityError: a row's output is another picture.
    """
    for row in rows:
        difference = found.get(row.key)
        if difference is not None and difference.grey_levels > MOST_LEVELS:
            raise ParityError(
                f"{row.name} at {title}: expected its network's output within {MOST_LEVELS} grey level, "
                f"got {difference.grey_levels} in {difference.differing_share:.2%} of values: "
                "its times mean nothing before that is mended"
            )
