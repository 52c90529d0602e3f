"""What is found out of a cluster before any work: its nodes, their engines and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from efdn.errors import EngineError, UsageError
from engines.batch.sources import Sources
from engines.batch.targets import Existing
from engines.cluster import probe, upscaling
from engines.cluster.described import DescribedEngine
from engines.cluster.facts import Facts, difference, facts_of
from engines.cluster.line import LostError, safely
from engines.cluster.options import ClusterOptions
from engines.cluster.probe import Look, Seen, Survey, compared, look, look_everywhere
from engines.cluster.survey import Crew, Node, crew_of
from engines.cluster.upscaling import Ready, Request
from engines.inference.wanted import Wanted
from engines.protocol import StagedEngine
from engines.select import Choice
from tests.batch_samples import source
from tests.fake_engine import NearestNeighbour


def node(name: str, cores: int, gpus: int = 0) -> Node:
    return Node(node_id=name, address=name, cores=cores, gpus=gpus)


def fake_facts() -> Facts:
    return facts_of(Choice(engine=NearestNeighbour()), None)


def test_workers_are_as_many_as_fit() -> None:
    nodes = [node("a", 8), node("b", 6), node("c", 0)]
    assert crew_of(nodes, None, on_gpus=False) == Crew(workers=3, cores=4, gpus=0, nodes=(nodes[0], nodes[1]))
    assert crew_of(nodes, 8, on_gpus=False) == Crew(workers=1, cores=8, gpus=0, nodes=(nodes[0],))
    assert crew_of([node("a", 2), node("b", 64)], None, on_gpus=False).cores == 2
    with pytest.raises(UsageError, match="--ray-cores 9 is more than any node of the cluster has: at most 8"):
        crew_of(nodes, 9, on_gpus=False)
    with pytest.raises(EngineError, match="none of the cluster's 1 nodes has cores"):
        crew_of([node("c", 0)], None, on_gpus=False)


def test_a_gpu_is_a_worker_and_nodes_without_one_stand_by() -> None:
    nodes = [node("a", 16, gpus=2), node("b", 4, gpus=4), node("c", 64)]
    assert crew_of(nodes, None, on_gpus=True) == Crew(workers=6, cores=1, gpus=1, nodes=(nodes[0], nodes[1]))
    assert crew_of(nodes[:1], None, on_gpus=True).cores == 4


def test_nodes_with_gpus_and_no_cores_are_no_places_for_workers() -> None:
    bare, gpu, cpu = node("a", 0, gpus=2), node("b", 2, gpus=2), node("c", 64)
    with pytest.raises(EngineError, match="none of the cluster's 2 nodes has GPUs and cores"):
        crew_of([bare, cpu], None, on_gpus=True)
    assert crew_of([bare, gpu], None, on_gpus=True) == Crew(workers=2, cores=1, gpus=1, nodes=(gpu,))
    assert crew_of([bare, cpu], None, on_gpus=False).cores == 4
    with pytest.raises(UsageError, match=r"--ray-cores 8 is more than any node with a GPU has: at most 2; .* --engine"):
        crew_of([gpu, cpu], 8, on_gpus=True)


def test_workers_that_are_bound_to_nodes_take_turns_on_them() -> None:
    crew = crew_of([node("a", 3), node("b", 1)], 1, on_gpus=False)
    assert [place.node_id for place in crew.places] == ["a", "b", "a", "a"]
    assert len(crew.places) == crew.workers


def test_nodes_that_would_give_other_results_are_refused() -> None:
    facts = fake_facts()
    same = [(node("a", 1), Seen(host="A", facts=facts)), (node("b", 1), Seen(host="B", facts=facts))]
    assert compared(same).facts == facts
    older = Seen(host="B", facts=replace(facts, version="0.0.1"))
    with pytest.raises(EngineError, match=r"node b \(B\) has efdn 0\.0\.1 rather than .* install the same"):
        compared([same[0], (node("b", 1), older)])
    other = Seen(host="B", facts=replace(facts, digest="0" * 64))
    with pytest.raises(EngineError, match="another model file under the same name"):
        compared([same[0], (node("b", 1), other)])
    scaled = Seen(host="B", facts=replace(facts, model=replace(facts.model, scale=3)))
    with pytest.raises(EngineError, match=rf"has the model {facts.model.name} with a scale of 3 rather than \d on"):
        compared([same[0], (node("b", 1), scaled)])
    gone = compared([same[0], (node("b", 1), Seen(host="b", gone=True))])
    assert (gone.facts, gone.warnings) == (facts, (f"node {node('b', 1).address} is gone: it is left out",))
    with pytest.raises(EngineError, match="no node of the cluster answered"):
        compared([(node("b", 1), Seen(host="b", gone=True))])
    broken = Seen(host="B", problem="no engine can run here")
    with pytest.raises(EngineError, match=r"node b \(B\) cannot take part: no engine can run here"):
        compared([same[0], (node("b", 1), broken)])
    assert compared([same[0], (node("b", 1), replace(older, facts=replace(facts, name="openvino")))]).warnings == (
        "node b (B) runs openvino; the others run fake: results may differ in the last bit; --engine names one for all",
    )


def test_engines_that_read_the_same_kind_of_file_must_read_the_same_file() -> None:
    facts = replace(fake_facts(), name="onnxruntime-cpu", digest="0" * 64)
    other = replace(facts, name="openvino", digest="1" * 64)
    assert difference(facts, other) == "another model file under the same name"
    assert difference(facts, replace(other, digest=facts.digest)) is None
    assert difference(facts, replace(other, name="pytorch")) is None


def test_a_node_with_other_folders_says_so(tmp_path: Path) -> None:
    picture, token = tmp_path / "a.png", tmp_path / "token"
    question = Look(options=ClusterOptions(), threads=1, source=picture, source_bytes=3, token=token)
    assert "does not see" in str(look(question).problem)
    picture.write_bytes(b"four")
    assert "another file" in str(look(question).problem)
    picture.write_bytes(b"abc")
    assert "is another folder" in str(look(question).problem)
    token.touch()
    opened = replace(question, options=ClusterOptions(opener="tests.cluster_samples:open_slow"))
    facts = look(opened).facts
    assert facts is not None
    engine = DescribedEngine(facts)
    assert (engine.name, engine.model, engine.shapes) == ("fake", facts.model, facts.shapes)
    with pytest.raises(EngineError, match="does not run here"):
        engine.infer({})


class OnDevice(NearestNeighbour, StagedEngine):
    """Says that it is on a device."""

    guard = Lock()
    infer = NearestNeighbour.infer
    bind = upload = enqueue = download = wait = collect = mark = device_memory = None  # type: ignore[assignment]


def test_engines_tell_whether_they_are_on_a_device() -> None:
    assert not fake_facts().on_device
    assert facts_of(Choice(engine=OnDevice()), None).on_device


@pytest.fixture
def look_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ready]:
    """Looks at nodes whose engine is on a device or not."""
    picture = tmp_path / "a.png"
    picture.touch()
    found = Sources(found=(source(picture),))
    request = Request(sources=found, wanted=Wanted(), output=None, suffix=str, existing=Existing.REFUSE)

    def act(nodes: Sequence[Node], engine: str = "pytorch", *, on_device: bool = True) -> Ready:
        def answer(ray: object, crew: Crew, question: object) -> Survey:
            return Survey(facts=fake_facts(), on_device=on_device and crew.gpus > 0)

        monkeypatch.setattr(upscaling, "alive_nodes", lambda ray: list(nodes))
        monkeypatch.setattr(upscaling, "look_everywhere", answer)
        return upscaling._look(None, request, ClusterOptions(engine=engine), "feed")

    return act


def test_whether_work_is_on_gpus_is_for_the_engines_to_tell(look_at: Callable[..., Ready]) -> None:
    nodes = [node("a", 4, gpus=1), node("b", 4)]
    assert look_at(nodes).crew.gpus == 1
    # PyTorch without CUDA, on a node that has GPUs.
    assert look_at(nodes, on_device=False).crew == Crew(workers=2, cores=4, gpus=0, nodes=tuple(nodes))
    assert look_at(nodes, "openvino").crew.gpus == 0


def test_gpus_of_nodes_without_cores_are_left_idle_and_said_to_be(look_at: Callable[..., Ready]) -> None:
    ready = look_at([node("a", 0, gpus=1), node("b", 4)])
    assert (ready.crew.workers, ready.crew.gpus) == (1, 0)
    assert ready.survey.warnings[0].startswith(
        "the cluster's GPUs are left idle: none of the cluster's 2 nodes has GPUs"
    )
    with pytest.raises(EngineError, match="has cores"):
        look_at([node("a", 0, gpus=1)])


def test_what_ray_raises_is_one_line_and_what_is_said_on_purpose_stays() -> None:
    def raises(error: Exception) -> None:
        raise error

    with pytest.raises(LostError, match=r"^lost the cluster \(RuntimeError\): see whether its head is alive$"):
        safely(lambda: raises(RuntimeError("two\nlines")))
    with pytest.raises(UsageError, match="said"):
        safely(lambda: raises(UsageError("said")))


class Answers:
    """Stands for the module `ray`: some nodes answer at once, the others never.

    Args:
        prompt: IDs of nodes that answer.
    """

    def __init__(self, *prompt: str) -> None:
        self.prompt = prompt
        self.waits: list[float] = []
        self.cancelled: list[str] = []

    def remote(self, **_: object) -> Callable[[object], Any]:
        def options(scheduling_strategy: Any) -> Any:
            return SimpleNamespace(remote=lambda question: scheduling_strategy.node_id)

        return lambda function: SimpleNamespace(options=options)

    def wait(self, answers: Sequence[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        self.waits.append(timeout)
        there = [answer for answer in answers if answer in self.prompt][:num_returns]
        return there, [answer for answer in answers if answer not in there]

    def get(self, answer: str) -> Seen:
        return Seen(host=answer.upper(), facts=fake_facts())

    def cancel(self, answer: str, force: bool) -> None:
        self.cancelled.append(answer)


def test_nodes_that_are_busy_are_not_waited_for_once_another_has_answered() -> None:
    pytest.importorskip("ray")
    silent, prompt = (replace(node(name, 1), node_id=name * 56) for name in "ab")
    crew = crew_of([silent, prompt], 1, on_gpus=False)
    question = Look(options=ClusterOptions(), threads=1, source=Path("a.png"), source_bytes=None, token=None)
    ray = Answers(prompt.node_id)
    assert look_everywhere(ray, crew, question).warnings == (
        "node a did not answer within 30 s of the first answer: it may be busy, and works once it has room",
    )
    assert (ray.waits, ray.cancelled) == ([probe.TIMEOUT_S, probe.OTHERS_S], [silent.node_id])
    with pytest.raises(EngineError, match="node a did not answer within 180 s, and no other did"):
        look_everywhere(Answers(), crew, question)
