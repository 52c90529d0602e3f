"""How many threads PyTorch's engines take; the number is the process's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from efdn.assets import DEFAULT_WEIGHTS
from engines.options import RunOptions
from engines.pytorch import open as opening
from engines.select import choose_engine


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("own", "cores", "threads"), [(4, 2, 2), (2, 4, 2), (3, 3, 3)])
def test_no_more_threads_than_cores_and_the_last_choice_does_not_stay(
    monkeypatch: pytest.MonkeyPatch, own: int, cores: int, threads: int
) -> None:
    monkeypatch.setattr(opening, "_usual_threads", lambda: own)
    monkeypatch.setattr(opening, "usable_cores", lambda: cores)
    with choose_engine(DEFAULT_WEIGHTS, options=RunOptions(threads=1)).engine as engine:
        assert torch.get_num_threads() == 1
        assert torch.cuda.is_available() or ", 1 thread, " in engine.detail
    choose_engine(DEFAULT_WEIGHTS).engine.close()
    assert torch.get_num_threads() == threads
