"""Cores that a process may use: its own limits, and those of its container."""

import os
from pathlib import Path

import pytest

from engines.cores import usable_cores
from engines.graphs import threads_of
from engines.options import RunOptions


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


def put(root: Path, files: dict[str, str]) -> Path:
    """Files of `/proc` and `/sys`, by their paths."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", 16), ("3200000 100000", 16)],
)
def test_a_container_has_the_cores_that_its_quota_pays_for(tmp_path: Path, limit: str, cores: int) -> None:
    assert usable_cores(put(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": limit})) == cores


def test_limits_of_the_groups_above_bind_too(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/job:7",
        "sys/fs/cgroup/user.slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/user.slice/job:7/cpu.max": "800000 100000",
        "sys/fs/cgroup/another/cpu.max": "100000 100000",
    }
    assert usable_cores(put(tmp_path, files)) == 3


@pytest.mark.parametrize("group", ["/docker/0123", "/"])
@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize(("quota", "cores"), [("400000", 4), ("-1", 16)])
def test_the_first_kind_of_groups_is_read_too(
    tmp_path: Path, controllers: str, group: str, quota: str, cores: int
) -> None:
    """Within a container the group is named as outside of it, and mounted as the root; names may be in any order."""
    files = {
        "proc/self/cgroup": f"12:cpuset:/small\n4:{controllers}:{group}\n0::/",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": quota,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpuset/small/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/cpuset/small/cpu.cfs_period_us": "100000",
    }
    root = put(tmp_path, files)
    (root / "sys/fs/cgroup/cpu").symlink_to("cpu,cpuacct")
    assert usable_cores(root) == cores


@pytest.mark.parametrize("content", ["", "max", "many 100000", "100000 0", "0 100000", "-5 100000", "\u00b2 100000"])
def test_what_cannot_be_understood_is_no_limit(tmp_path: Path, content: str) -> None:
    assert usable_cores(put(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": content})) == 16
    limited = {"proc/self/cgroup": content, "sys/fs/cgroup/cpu.max": "100000 100000"}
    assert usable_cores(put(tmp_path, limited)) == 16
    assert usable_cores(tmp_path / "none") == 16


def test_as_many_threads_as_asked_for_or_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.graphs.usable_cores", lambda: 5)
    assert (threads_of(RunOptions()), threads_of(RunOptions(threads=1))) == (5, 1)
