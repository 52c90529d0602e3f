"""How large tiles may be: by what is free, as systems and containers tell it."""

import os
from pathlib import Path

import pytest

from engines.protocol import StagedEngine
from engines.tiling import memory
from engines.tiling.memory import DEVICE_SIDES, HOST_BYTES_A_PIXEL, HOST_SIDES, free_bytes, sides_to_try
from tests.inference_samples import FakeEngine


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 1000 kB available, in no container."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 5 kB\nMemAvailable:    1000 kB\n")
    return tmp_path


def test_free_is_what_the_machine_has_available(told: Path) -> None:
    assert free_bytes() == 1000 * 1024


@pytest.mark.parametrize(
    ("limit", "usage", "free"), [("500000", "200000", 300000), ("max", "200000", 1024000), ("100", "200", 0)]
)
def test_a_containers_limit_counts(told: Path, limit: str, usage: str, free: int) -> None:
    (told / "memory.max").write_text(f"{limit}\n")
    (told / "memory.current").write_text(f"{usage}\n")
    assert free_bytes() == free


def test_a_container_of_more_than_the_machine_has_changes_nothing(told: Path) -> None:
    (told / "memory.max").write_text("9" * 15)
    (told / "memory.current").write_text("1")
    assert free_bytes() == 1000 * 1024


def test_files_that_a_container_holds_in_memory_can_be_given_back(told: Path) -> None:
    (told / "memory.max").write_text("500000\n")
    (told / "memory.current").write_text("450000\n")
    (told / "memory.stat").write_text("anon 100000\ninactive_file 300000\nactive_file 50000\n")
    assert free_bytes() == 350000


def test_systems_that_do_not_tell_what_is_free_are_asked_what_they_have(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told / "meminfo").unlink()
    installed = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}
    monkeypatch.setattr(os, "sysconf", installed.__getitem__, raising=False)
    assert free_bytes() == 1024000


def test_systems_that_tell_nothing_are_taken_to_have_enough(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (told / "meminfo").unlink()
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert free_bytes() is None
    assert tuple(sides_to_try(FakeEngine())) == HOST_SIDES


def test_sides_are_tried_from_the_largest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def sides(free: int) -> tuple[int, ...]:
        monkeypatch.setattr(memory, "free_bytes", lambda: free)
        return tuple(sides_to_try(FakeEngine()))

    assert sides(1 << 40) == HOST_SIDES
    assert sides(2 * HOST_BYTES_A_PIXEL * 200 * 200) == tuple(side for side in HOST_SIDES if side <= 200)
    # With next to nothing the smallest is tried all the same.
    assert sides(0) == HOST_SIDES[-1:]


class Staged(FakeEngine):
    """Looks like an engine on a device, of which only that matters here."""

    guard = bind = upload = enqueue = download = wait = collect = mark = device_memory = len


def test_on_devices_all_sides_are_tried_from_the_largest() -> None:
    engine = Staged()
    assert isinstance(engine, StagedEngine)
    assert tuple(sides_to_try(engine)) == DEVICE_SIDES == tuple(sorted(DEVICE_SIDES, reverse=True))
