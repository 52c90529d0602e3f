"""The nodes of a cluster, and how many workers they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from efdn.errors import EngineError, UsageError
from engines.cluster.options import USUAL_CORES


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine, or part of one, as Ray counts it.

    Attributes:
        number: its ID.
        address: for people.
        cores: that tasks may take.
        gpus: likewise.
    """

    number: str
    address: str
    cores: int
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Workers that a cluster takes.

    Attributes:
        workers: how many.
        cores: of each.
        gpus: of each.
        nodes: that have room for one.
    """

    workers: int
    cores: int
    gpus: int
    nodes: tuple[Node, ...]


def survey(ray: Any) -> list[Node]:
    """The nodes that are alive, by address.

    Args:
        ray: the module, connected.
    """
    nodes = [
        Node(
            number=found["NodeID"],
            address=found["NodeManagerAddress"],
            cores=int(found["Resources"].get("CPU", 0)),
            gpus=int(found["Resources"].get("GPU", 0)),
        )
        for found in ray.nodes()
        if found["Alive"]
    ]
    return sorted(nodes, key=lambda node: (node.address, node.number))


def crew_of(nodes: Sequence[Node], cores: int | None, *, on_gpus: bool) -> Crew:
    """One worker for each GPU, or for each so many cores.

    Args:
        nodes: as found.
        cores: of a worker; `USUAL_CORES` at most, if None, and what the smallest node has.
        on_gpus: whether the engine runs on GPUs.

    Raises:
        UsageError: no node has so many cores.
        EngineError: no node has what a worker needs at all.
    """
    fitting = [node for node in nodes if (node.gpus if on_gpus else node.cores) > 0]
    if not fitting:
        need = "GPUs" if on_gpus else "cores"
        raise EngineError(f"none of the cluster's {len(nodes)} nodes has {need}: start a node with 'ray start'")
    most = max(node.cores for node in fitting)
    if cores is not None and cores > most:
        raise UsageError(f"--ray-cores {cores} is more than any node of the cluster has: at most {most}")
    if cores is None:
        cores = min(USUAL_CORES, min(node.cores for node in fitting))
        if on_gpus:
            cores = max(1, min(cores, *(node.cores // node.gpus for node in fitting)))
    room = {node: _room(node, cores, on_gpus=on_gpus) for node in fitting}
    return Crew(
        workers=sum(room.values()),
        cores=cores,
        gpus=1 if on_gpus else 0,
        nodes=tuple(node for node, count in room.items() if count),
    )


def _room(node: Node, cores: int, *, on_gpus: bool) -> int:
    by_cores = node.cores // cores if cores else node.gpus
    return min(by_cores, node.gpus) if on_gpus else by_cores
