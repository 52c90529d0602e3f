"""The parts of a run on a cluster that can be looked at without one."""

import pickle
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli.infer_options import check_ray, fill_in_ray
from efdn.errors import EngineError, MissingExtraError, UsageError
from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.task import Task
from engines.batch.work import Finished, Progress, Started
from engines.cluster import connect
from engines.cluster.chunks import anywhere, divided, pictures_per_chunk, unpacked
from engines.cluster.connect import connected
from engines.cluster.described import DescribedEngine
from engines.cluster.facts import Facts, facts_of
from engines.cluster.journal import Journal
from engines.cluster.notes import Begins, Begun, Ended, Over
from engines.cluster.options import ClusterOptions
from engines.cluster.probe import Look, Seen, compared, look
from engines.cluster.renaming import as_named
from engines.cluster.rota import CHUNKS_AT_ONCE, MOST_DEATHS, Rota
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, Node, crew_of
from engines.cluster.text import cluster_summary_line, crew_line
from engines.cluster.worker import Reporter
from engines.select import Choice
from tests.batch_samples import source, tasks_in
from tests.fake_engine import NearestNeighbour


def done(task: Task) -> Outcome:
    return Outcome(source=task.source.path, target=task.target, status=Status.DONE)


def node(name: str, cores: int, gpus: int = 0) -> Node:
    return Node(number=name, address=name, cores=cores, gpus=gpus)


def fake_facts() -> Facts:
    return facts_of(Choice(engine=NearestNeighbour()), None)


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        (["-r", "photos", "--ray"], ["-r", "photos", "--ray", "auto"]),
        (["--ray", "photos"], ["--ray", "auto", "photos"]),
        (["--ray", "-r", "photos"], ["--ray", "auto", "-r", "photos"]),
        (["--ray", "local", "photos"], ["--ray", "local", "photos"]),
        (["--ray", "auto", "photos"], ["--ray", "auto", "photos"]),
        (["--ray", "head:6379", "photos"], ["--ray", "head:6379", "photos"]),
        (["--ray", "[::1]:6379", "photos"], ["--ray", "[::1]:6379", "photos"]),
        (["--ray", "ray://head:10001", "photos"], ["--ray", "ray://head:10001", "photos"]),
        (["--ray", "C:\\photos"], ["--ray", "auto", "C:\\photos"]),
        (["--ray", "photos/12:30"], ["--ray", "auto", "photos/12:30"]),
        (["--ray=head:6379", "photos"], ["--ray=head:6379", "photos"]),
        (["a.png", "--", "--ray"], ["a.png", "--", "--ray"]),
        (["a.png"], ["a.png"]),
    ],
)
def test_a_ray_without_an_address_takes_no_picture_for_one(given: list[str], filled: list[str]) -> None:
    assert fill_in_ray(given) == filled


def test_a_file_that_looks_like_an_address_is_a_file() -> None:
    Path("scan:12").touch()
    assert fill_in_ray(["--ray", "scan:12"]) == ["--ray", "auto", "scan:12"]


def test_options_that_do_not_go_with_a_cluster_are_refused() -> None:
    with pytest.raises(UsageError, match="add --ray"):
        check_ray(None, 4, "auto", verify_tiles=False)
    with pytest.raises(UsageError, match="verify-tiles"):
        check_ray("auto", None, "auto", verify_tiles=True)
    with pytest.raises(UsageError, match="engine all"):
        check_ray("auto", None, "all", verify_tiles=False)
    with pytest.raises(UsageError, match="ray-cores must be at least 1, got 0"):
        ClusterOptions(cores=0)
    with pytest.raises(UsageError, match="got ray://head:10001"):
        ClusterOptions(address="ray://head:10001")
    check_ray("auto", 4, "openvino", verify_tiles=False)


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'Running on a cluster needs ray.* pip install "\.\[ray\]"'):
        connected("local").__enter__()


def test_an_address_where_nobody_answers_is_one_line() -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineError, match=f"no Ray cluster answers at {address} .*start one") as caught:
            connected(address).__enter__()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "workers", "most"), [(1_000_000, 100, 8), (64, 2, 8), (24, 2, 3), (3, 2, 1), (0, 1, 1)]
)
def test_chunks_are_small_where_there_is_little_for_each_worker(count: int, workers: int, most: int) -> None:
    assert pictures_per_chunk(count, workers) == most


def test_videos_are_chunks_by_themselves_and_come_last() -> None:
    names = ("a.png", "b.mp4", "c.png", "d.png", "e.mkv")
    tasks = [Task(source=source(Path(name)), target=Path("out", name)) for name in names]
    assert divided(range(5), tasks, 2) == [(0, 2), (3,), (1,), (4,)]
    assert divided([2, 4], tasks, 2) == [(2,), (4,)]


def test_chunks_travel_with_names_that_are_no_text() -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    rota = Rota([Task(source=source(Path(name)), target=Path("out", name))])
    (chunk,) = rota.next_round(1)
    assert unpacked(chunk.packed()) == chunk
    assert chunk.tasks[0].source.path == Path.cwd() / name
    with pytest.raises(TypeError, match="expected a chunk, got int"):
        unpacked(pickle.dumps(1))


def test_outcomes_get_the_names_back_that_the_user_gave() -> None:
    task = Task(source=source(Path("in/a.png")), target=Path("out/a_x4.png"))
    far = anywhere(task)
    outcome = Outcome(
        source=far.source.path,
        target=far.target.with_name("a_x4.partial.mkv"),
        status=Status.FAILED,
        reason=f"{far.source.path} is no picture; {far.target} stays",
        warnings=(f"{far.target} has no room",),
        extra={"compared_in": str(far.target.with_name("a_x4_compare.png")), "frames": 3},
    )
    assert as_named(outcome, task) == Outcome(
        source=Path("in/a.png"),
        target=Path("out/a_x4.partial.mkv"),
        status=Status.FAILED,
        reason="in/a.png is no picture; out/a_x4.png stays",
        warnings=("out/a_x4.png has no room",),
        extra={"compared_in": str(Path("out/a_x4_compare.png")), "frames": 3},
    )
    beside = Task(source=source(Path("a.png")), target=Path("a_x4.png"))
    told = as_named(replace(outcome, target=Path.cwd() / "a_x4.partial.mkv", extra={}), beside)
    assert told.target == Path("a_x4.partial.mkv")


def test_each_task_has_one_outcome_however_often_it_is_told(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 3)
    rota = Rota(tasks)
    (chunk,) = rota.next_round(0)[:1]
    rota.note_begun(Begun(chunk=chunk.number, node="a"))
    assert rota.note_over(Over(index=0, outcome=done(tasks[0]))) is not None
    failed = replace(done(tasks[0]), status=Status.FAILED, reason="late")
    assert rota.note_over(Over(index=0, outcome=failed)) is None
    rota.cancel_rest("interrupted")
    assert [outcome.status for outcome in rota.outcomes()] == [Status.DONE, Status.CANCELLED, Status.CANCELLED]
    assert rota.left == 0
    assert rota.next_round(1) == []


def test_what_a_dead_worker_had_done_is_not_done_again_and_the_rest_alone(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 32)
    rota = Rota(tasks)
    first, second, *_ = rota.next_round(1)
    assert len(first.indexes) == 8
    rota.note_begun(Begun(chunk=first.number, node="a"))
    rota.note_over(Over(index=0, outcome=done(tasks[0])))
    assert rota.round_over() == []
    chunks = rota.next_round(1)
    assert second.number not in {chunk.number for chunk in chunks}
    assert [chunk.indexes for chunk in chunks if len(chunk.indexes) == 1][-7:] == [(index,) for index in range(1, 8)]
    assert sorted(index for chunk in chunks for index in chunk.indexes) == list(range(1, 32))


def test_a_picture_fails_when_its_third_worker_died_and_never_before_it_was_alone(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 8))
    outcomes: list[Outcome] = []
    sizes = []
    for _ in range(MOST_DEATHS):
        chunk = next(chunk for chunk in rota.next_round(0) if 3 in chunk.indexes)
        sizes.append(len(chunk.indexes))
        rota.note_begun(Begun(chunk=chunk.number, node="a"))
        outcomes += rota.round_over()
    assert sizes == [2, 1, 1]
    assert [(outcome.source.stem, outcome.status) for outcome in outcomes] == [("00003", Status.FAILED)]
    assert "its worker died 3 times" in str(outcomes[0].reason)


def test_chunks_that_only_waited_behind_a_death_are_not_blamed(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 8))
    for _ in range(10):
        rota.next_round(1)
        assert rota.round_over() == []
    assert rota.left == 8


def test_workers_without_an_engine_fail_what_they_were_given_three_times(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 1))
    outcomes: list[Outcome] = []
    for _ in range(3):
        (chunk,) = rota.next_round(1)
        rota.note_begun(Begun(chunk=chunk.number, node="a"))
        outcomes += rota.note_ended(Ended(chunk=chunk.number, problem="no engine on node a: out of memory"))
        assert rota.round_over() == []
    assert [outcome.reason for outcome in outcomes] == ["no engine on node a: out of memory"]


def test_a_round_is_bounded_however_many_tasks_there_are(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 8 * CHUNKS_AT_ONCE + 1))
    assert len(rota.next_round(2)) == CHUNKS_AT_ONCE
    assert len(rota.next_round(2 * CHUNKS_AT_ONCE)) > CHUNKS_AT_ONCE


def test_the_journal_lets_nothing_begin_twice_or_after_the_end() -> None:
    journal = Journal()
    assert journal.begin(1, "a")
    assert not journal.begin(1, "b")
    assert not journal.add([Begins(index=0)])
    assert journal.take() == [Begun(chunk=1, node="a"), Begins(index=0)]
    assert journal.take() == []
    journal.stop()
    assert not journal.begin(2, "a")
    assert journal.add([])


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
    broken = Seen(host="B", problem="no engine can run here")
    with pytest.raises(EngineError, match=r"node b \(B\) cannot take part: no engine can run here"):
        compared([same[0], (node("b", 1), broken)])
    assert compared([same[0], (node("b", 1), replace(older, facts=replace(facts, name="openvino")))]).warnings == (
        "node b (B) runs openvino; the others run fake: results may differ in the last bit; --engine names one for all",
    )


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


def test_an_interruption_reaches_a_chunk_once_and_loses_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    class Method:
        def __init__(self, act: object) -> None:
            self.act = act

        def remote(self, *given: object) -> object:
            return self.act(*given) if callable(self.act) else None

    class Handle:
        def __init__(self, journal: Journal) -> None:
            self.add = Method(journal.add)

    ray = type("ray", (), {"get": staticmethod(lambda refs: refs), "wait": staticmethod(lambda refs, **_: (refs, []))})
    monkeypatch.setitem(sys.modules, "ray", ray)
    journal = Journal()
    (chunk,) = Rota([Task(source=source(Path("a.png")), target=Path("b.png"))]).next_round(1)
    reporter = Reporter(chunk, Handle(journal))
    task = chunk.tasks[0]
    reporter(Started(task=task, index=0, count=1))
    journal.stop()
    reporter(Finished(outcome=done(task)))
    with pytest.raises(KeyboardInterrupt):
        reporter(Progress(task=task, index=0, share=0.5))
    reporter(Progress(task=task, index=0, share=0.6))
    assert journal.take() == [Begins(index=0), Over(index=0, outcome=done(task))]


def test_the_summary_speaks_of_workers_rather_than_of_one_engine() -> None:
    stages = Stages(infer_s=6.0)
    outcome = Outcome(source=Path("a.png"), target=Path("b.png"), status=Status.DONE, stages=stages)
    summary = ClusterSummary(outcomes=(outcome,), seconds=4.0, workers=2, nodes=1, rounds=1)
    assert summary.busy_share == pytest.approx(0.75)
    assert not {"idle_share", "overhead_share", "waited_read_s"} & set(summary.to_json())
    assert summary.to_json()["workers"] == 2
    assert cluster_summary_line(summary) == "1 upscaled in 4.0 s (2 workers, their engines busy 75%)"
    crew = Crew(workers=2, cores=1, gpus=0, nodes=(node("a", 2),))
    assert crew_line(crew, own=False) == "cluster: 2 workers of 1 core on 1 node"
    assert (
        crew_line(replace(crew, gpus=1), own=True)
        == "cluster: 2 workers of 1 GPU on this machine, started for this run"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9"), "another Ray or Python"),
        (ConnectionError("Could not read 'session_name'"), "no Ray cluster answers at here:6379"),
        (ValueError("odd"), "cannot use the cluster at here:6379: odd"),
    ],
)
def test_a_cluster_that_does_not_fit_is_one_line(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise error

    ray = type("ray", (), {"init": staticmethod(refuse)})
    monkeypatch.setattr(connect, "_check_reachable", lambda address: None)
    with pytest.raises(EngineError, match=said) as caught:
        connect._connect(ray, "here:6379")
    assert "\n" not in str(caught.value)
