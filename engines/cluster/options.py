"""How a run is spread over a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from efdn.errors import UsageError
from engines.cluster.facts import Facts
from engines.inference.wanted import Wanted
from engines.select import AUTO

USUAL_CORES = 4
"""Of a worker, where the nodes have them: the network gains little from more, pictures side by side do."""

LOCAL = "local"
AUTOMATIC = "auto"
"""Addresses that are none: a cluster started here for this run; and whatever runs already, else that."""

MOST_PORT = 65535

OPENER = "engines.select:choose_engine"


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """What is asked of a cluster.

    Attributes:
        address: "host:port" of its head, `AUTOMATIC` or `LOCAL`.
        cores: of each worker; `USUAL_CORES`, or what the smallest node has, if None.
        jobs: pictures that a worker reads, and writes, at once.
        model: file that every node reads; the packaged one if None.
        engine: name of the engine, or "auto".
        opener: "module:function" that opens the engine as `choose_engine` does.
    """

    address: str = AUTOMATIC
    cores: int | None = None
    jobs: int = 2
    model: Path | None = None
    engine: str = AUTO
    opener: str = OPENER

    def __post_init__(self) -> None:
        if self.cores is not None and self.cores < 1:
            raise UsageError(f"--ray-cores must be at least 1, got {self.cores}")
        check_address(self.address, "--ray")


def check_address(address: str, name: str) -> None:
    """Raises UsageError for what is no address, naming where it came from."""
    if address in (LOCAL, AUTOMATIC):
        return
    expected = f"{name} takes HOST:PORT, auto or local, got"
    if "://" in address:
        raise UsageError(
            f"{expected} {address}: Ray Data does not run through Ray's client, start this on a node of the cluster"
        )
    found = re.fullmatch(r"[^\s/\\]+:([0-9]{1,5})", address)
    if found is None or not 0 < int(found[1]) <= MOST_PORT:
        raise UsageError(
            f"{expected} {address!r}: give the address that 'ray start --head' told, or a picture or folder that exists"
        )


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What a worker must know before its first picture.

    Attributes:
        cluster: as it was asked for; the model's path is absolute.
        wanted: of the results.
        threads: of an engine on the CPU.
        mark: of this run's temporary files.
        expected: what the engine must be, or results would differ within a run.
    """

    cluster: ClusterOptions
    wanted: Wanted
    threads: int
    mark: str
    expected: Facts
