"""Batches are made ahead of time, and come in order."""

import threading
import time

import pytest

from efdn.errors import ConfigError
from efdn.training.prefetch import Prefetcher


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("efdn-data")]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_batches_come_in_order_however_long_each_takes(workers: int) -> None:
    def make(iteration: int) -> int:
        time.sleep(0.004 if iteration % 3 == 0 else 0)
        return iteration**2

    with Prefetcher(make, start=5, stop=30, workers=workers) as batches:
        assert list(batches) == [(i, i**2) for i in range(5, 30)]
        assert batches.made == 25
        assert list(batches) == []
    assert own_threads() == []


def test_no_more_are_made_than_asked_for() -> None:
    asked: list[int] = []
    with Prefetcher(lambda i: asked.append(i) or i, start=0, ahead=3, workers=2) as batches:  # type: ignore[func-returns-value]
        for _ in range(4):
            next(batches)
        deadline = time.monotonic() + 5
        while len(asked) < 7 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert sorted(asked) == list(range(7))


def test_waiting_is_measured_and_work_in_the_background_is_not() -> None:
    def make(iteration: int) -> None:
        time.sleep(0.02)

    with Prefetcher(make, start=0, stop=5, workers=0) as batches:
        list(batches)
        assert batches.waited_s >= 5 * 0.02
    with Prefetcher(make, start=0, stop=5, workers=5, ahead=5) as batches:
        time.sleep(0.5)
        list(batches)
        assert batches.waited_s < 0.05


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_batch_would_and_ends_it(workers: int) -> None:
    def make(iteration: int) -> int:
        return 12 // (3 - iteration)

    batches = Prefetcher(make, start=0, workers=workers)
    assert [next(batches) for _ in range(3)] == [(0, 4), (1, 6), (2, 12)]
    with pytest.raises(ZeroDivisionError):
        next(batches)
    assert own_threads() == []
    with pytest.raises(StopIteration):
        next(batches)


def test_closing_leaves_no_threads_even_in_the_middle() -> None:
    batches = Prefetcher(lambda i: time.sleep(0.01), start=0, workers=3)
    next(batches)
    assert own_threads()
    batches.close()
    batches.close()
    assert own_threads() == []
    assert list(batches) == []


def test_closing_drops_what_nobody_began_to_make() -> None:
    asked: list[int] = []

    def make(iteration: int) -> None:
        asked.append(iteration)
        time.sleep(0.01)

    with Prefetcher(make, start=0, ahead=40, workers=1) as batches:
        next(batches)
    assert len(asked) < 20


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="got -1 and 3"):
        Prefetcher(int, start=0, workers=-1)
    with pytest.raises(ConfigError, match="got 2 and 0"):
        Prefetcher(int, start=0, ahead=0)
