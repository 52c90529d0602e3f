"""A look at every node before any work: its engine, its files."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efdn.errors import EngineError
from engines.batch.failures import explain
from engines.cluster.facts import Facts, difference, facts_of, open_as_asked
from engines.cluster.options import ClusterOptions
from engines.cluster.survey import Crew, Node

TIMEOUT_S = 180
"""For the first node to open its engine; engines are built or compiled in that time."""

OTHERS_S = 30
"""For the others once one has answered: they do the same, or have no room at present."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a node is asked.

    Attributes:
        options: of the engine.
        threads: of a worker.
        source: a picture that must be there.
        source_bytes: its size; None where the driver itself does not see it.
        token: a file that the driver has put where results go; None if it could not.
    """

    options: ClusterOptions
    threads: int
    source: Path
    source_bytes: int | None
    token: Path | None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a node answers.

    Attributes:
        host: its name.
        facts: of its engine; None if there is none.
        problem: why it cannot take part; None if it can.
        gone: whether it died before it could be asked, which a cluster notices some seconds late.
    """

    host: str
    facts: Facts | None = None
    problem: str | None = None
    gone: bool = False


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What all nodes answer.

    Attributes:
        facts: of the engine that plans are made with.
        on_device: whether any node's engine runs on a device, such as a GPU.
        warnings: of nodes that differ, or did not answer.
    """

    facts: Facts
    on_device: bool = False
    warnings: tuple[str, ...] = ()


def look(question: Look) -> Seen:
    """Runs on a node."""
    host = socket.gethostname()
    problem = _files_problem(question)
    if problem is not None:
        return Seen(host=host, problem=problem)
    try:
        choice = open_as_asked(question.options, question.threads)
        with choice.engine:
            return Seen(host=host, facts=facts_of(choice, question.options.model))
    except Exception as error:
        return Seen(host=host, problem=explain(error).reason)


def look_everywhere(ray: Any, crew: Crew, question: Look) -> Survey:
    """Asks every node that takes workers, all at once.

    Raises:
        EngineError: a node cannot take part, or would give other results, or none answers.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = ray.remote(num_cpus=crew.cores, num_gpus=crew.gpus, max_retries=0)(look)
    answers = {}
    for node in crew.nodes:
        there_only = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        answers[asked.options(scheduling_strategy=there_only).remote(question)] = node
    first, _ = ray.wait(list(answers), num_returns=1, timeout=TIMEOUT_S)
    there, silent = ray.wait(list(answers), num_returns=len(answers), timeout=OTHERS_S if first else 0)
    for answer in silent:
        ray.cancel(answer, force=True)
    seen = [(answers[answer], _answer(ray, answer, answers[answer])) for answer in there]
    late = [f"node {answers[answer].address} did not answer within" for answer in silent]
    if not seen:
        raise EngineError(f"{late[0]} {TIMEOUT_S} s, and no other did: wait until the cluster has room")
    words = f"{OTHERS_S} s of the first answer: it may be busy, and works once it has room"
    return compared(seen, tuple(f"{silence} {words}" for silence in late))


def compared(seen: Sequence[tuple[Node, Seen]], warnings: tuple[str, ...] = ()) -> Survey:
    """What the answers come to.

    Raises:
        EngineError: see `look_everywhere`.
    """
    facts: Facts | None = None
    first = ""
    others = []
    for node, answer in sorted(seen, key=lambda one: (one[0].address, one[0].node_id)):
        place = f"node {node.address} ({answer.host})"
        if answer.gone:
            warnings += (f"node {node.address} is gone: it is left out",)
        elif answer.facts is None:
            raise EngineError(f"{place} cannot take part: {answer.problem}")
        elif facts is None:
            facts, first = answer.facts, place
        elif (differs := difference(facts, answer.facts)) is not None:
            raise EngineError(f"{place} has {differs} on {first}: install the same on every node")
        elif answer.facts.name != facts.name:
            others.append(f"{place} runs {answer.facts.name}")
    if facts is None:
        raise EngineError("no node of the cluster answered: start one with 'ray start'")
    if others:
        engines = f"{'; '.join(others)}; the others run {facts.name}"
        warnings += (f"{engines}: results may differ in the last bit; --engine names one for all",)
    on_device = any(answer.facts is not None and answer.facts.on_device for _, answer in seen)
    return Survey(facts=facts, on_device=on_device, warnings=warnings)


def question_of(options: ClusterOptions, crew: Crew, source: Path, token: Path | None) -> Look:
    """What to ask, with what the driver sees."""
    try:
        size = os.stat(source).st_size  # noqa: PTH116
    except OSError:
        size = None
    return Look(options=options, threads=crew.cores, source=source, source_bytes=size, token=token)


def _files_problem(question: Look) -> str | None:
    """Why the node's files are not the driver's."""
    remedy = "share the folder with every node at the same path, or name one that is"
    if question.source_bytes is not None:
        try:
            size = question.source.stat().st_size
        except OSError:
            return f"it does not see {question.source}: {remedy}"
        if size != question.source_bytes:
            return f"it sees another file at {question.source}: {remedy}"
    if question.token is not None:
        if not question.token.exists():
            return f"where results go, {question.token.parent} there is another folder: {remedy}"
        if not os.access(question.token.parent, os.W_OK):
            return f"it may not write in {question.token.parent}: run its Ray as a user who may"
    return None


def _answer(ray: Any, answer: Any, node: Node) -> Seen:
    try:
        found = ray.get(answer)
    except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
        return Seen(host=node.address, gone=True)
    except Exception as error:
        words = " ".join(str(error).split())
        if "ModuleNotFoundError" in words or "No module named" in words:
            return Seen(host=node.address, problem="efdn cannot be imported there: install the same version as here")
        return Seen(host=node.address, problem=words[-300:])
    if not isinstance(found, Seen):
        return Seen(host=node.address, problem=f"expected an answer, got {type(found).__name__}")
    return found
