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
        node_id: as Ray has it.
        address: for people.
        cores: that tasks may take.
        gpus: likewise.
    """

    node_id: str
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
        bound: whether workers are to start on these nodes, where they can, rather than anywhere.
    """

    workers: int
    cores: int
    gpus: int
    nodes: tuple[Node, ...]
    bound: bool = False

    @property
    def places(self) -> tuple[Node, ...]:
        """Each node as often as it has room, in turns."""
        room = {node: _room(node, self.cores, on_gpus=bool(self.gpus)) for node in self.nodes}
        return tuple(node for turn in range(max(room.values(), default=0)) for node in self.nodes if turn < room[node])


def alive_nodes(ray: Any) -> list[Node]:
    """The nodes that are alive, by address.

    Args:
        ray: the module, connected.
    """
    nodes = [
        Node(
            node_id=found["NodeID"],
            address=found["NodeManagerAddress"],
            cores=int(found["Resources"].get("CPU", 0)),
            gpus=int(found["Resources"].get("GPU", 0)),
        )
        for found in ray.nodes()
        if found["Alive"]
    ]
    return sorted(nodes, key=lambda node: (node.address, node.node_id))


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
    fitting = [node for node in nodes if node.cores > 0 and (node.gpus > 0 or not on_gpus)]
    if not fitting:
        need = "GPUs and cores" if on_gpus else "cores"
        raise EngineError(f"none of the cluster's {len(nodes)} nodes has {need}: start a node with 'ray start'")
    most = max(node.cores for node in fitting)
    if cores is not None and cores > most:
        kind = "any node with a GPU" if on_gpus else "any node of the cluster"
        remedy = "; leave it out, or name an engine of the CPU with --engine" if on_gpus else ""
        raise UsageError(f"--ray-cores {cores} is more than {kind} has: at most {most}{remedy}")
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
    by_cores = node.cores // cores
    return min(by_cores, node.gpus) if on_gpus else by_cores
