"""What a process says of its memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from engines.worker import memory
from engines.worker.memory import clear_peak, peak_resident_bytes, resident_bytes

LARGE = 64 * 2**20


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="this system does not let a peak begin anew")
def test_a_peak_begins_anew() -> None:
    # Not of the heap, which may hold room for it from before.
    with mmap.mmap(-1, LARGE) as block:
        for _ in range(LARGE // mmap.PAGESIZE):
            block.write(b"1" * mmap.PAGESIZE)
    before, resident = peak_resident_bytes(), resident_bytes()
    clear_peak()
    after = peak_resident_bytes()
    assert before is not None
    assert resident is not None
    assert after is not None
    assert before - resident > LARGE // 2 > after - resident


def test_where_a_peak_cannot_be_cleared_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "none" / "clear_refs")
    clear_peak()
