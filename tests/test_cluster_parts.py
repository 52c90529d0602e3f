"""The parts of a run on a cluster that can be looked at without one."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.batch.outcome import Outcome, Stages, Status
from engines.batch.task import Task
from engines.batch.work import Finished, Progress, Started
from engines.cluster.chunks import absolute, anywhere, divided, pictures_per_chunk, unpacked
from engines.cluster.facts import Facts, facts_of
from engines.cluster.journal import Journal, Turn
from engines.cluster.notes import ChunkBegun, ChunkEnded, NodeRefused, PictureBegun, PictureOver
from engines.cluster.renaming import as_named
from engines.cluster.rota import CHUNKS_AT_ONCE, MOST_DEATHS, Rota
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew, Node
from engines.cluster.text import cluster_summary_line, crew_line
from engines.cluster.worker import Reporter
from engines.select import Choice
from tests.batch_samples import source, tasks_in
from tests.fake_engine import NearestNeighbour


def done(task: Task) -> Outcome:
    return Outcome(source=task.source.path, target=task.target, status=Status.DONE)


def node(name: str, cores: int, gpus: int = 0) -> Node:
    return Node(node_id=name, address=name, cores=cores, gpus=gpus)


def fake_facts() -> Facts:
    return facts_of(Choice(engine=NearestNeighbour()), None)


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
        reason=f"{task.source.path} is no picture; {task.target} stays",
        warnings=(f"{task.target} has no room",),
        extra={"compared_in": str(Path("out/a_x4_compare.png")), "frames": 3},
    )
    beside = Task(source=source(Path("a.png")), target=Path("a_x4.png"))
    told = as_named(replace(outcome, target=Path.cwd() / "a_x4.partial.mkv", extra={}), beside)
    assert told.target == Path("a_x4.partial.mkv")


def test_names_with_dots_are_neither_resolved_nor_garbled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far" / "inner")
    (tmp_path / "far" / "a.png").touch()
    monkeypatch.chdir(tmp_path / "here")
    through = absolute(Path("link/../a.png"))
    assert through.is_absolute()
    assert through.samefile(tmp_path / "far" / "a.png")
    target = tmp_path / "here" / ".." / "out" / "a_x4.png"
    task = Task(source=source(Path("a.png")), target=target)
    told = as_named(replace(done(anywhere(task)), reason=f"{target} stays; {Path.cwd() / 'a.png'}: odd"), task)
    assert told.target == target
    assert told.reason == f"{target} stays; a.png: odd"
    elsewhere = f"/else{Path.cwd() / 'a.png'}"
    assert as_named(replace(done(anywhere(task)), reason=elsewhere), task).reason == elsewhere


def test_each_task_has_one_outcome_however_often_it_is_told(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 3)
    rota = Rota(tasks)
    (chunk,) = rota.next_round(0)[:1]
    rota.note_begun(ChunkBegun(chunk=chunk.number, worker="w", node="a"))
    assert rota.note_over(PictureOver(index=0, outcome=done(tasks[0]))) is not None
    failed = replace(done(tasks[0]), status=Status.FAILED, reason="late")
    assert rota.note_over(PictureOver(index=0, outcome=failed)) is None
    rota.cancel_rest("interrupted")
    assert [outcome.status for outcome in rota.outcomes()] == [Status.DONE, Status.CANCELLED, Status.CANCELLED]
    assert rota.left == 0
    assert rota.next_round(1) == []


def test_what_a_dead_worker_had_done_is_not_done_again_and_the_rest_alone(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 32)
    rota = Rota(tasks)
    first, second, *_ = rota.next_round(1)
    assert len(first.indexes) == 8
    rota.note_begun(ChunkBegun(chunk=first.number, worker="w", node="a"))
    rota.note_over(PictureOver(index=0, outcome=done(tasks[0])))
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
        rota.note_begun(ChunkBegun(chunk=chunk.number, worker="w", node="a"))
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


def test_a_worker_without_an_engine_costs_its_pictures_nothing(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 1))
    for _ in range(2 * MOST_DEATHS):
        (chunk,) = rota.next_round(1)
        rota.note_begun(ChunkBegun(chunk=chunk.number, worker="w", node="a"))
        rota.note_refused(NodeRefused(chunk=chunk.number, node="a", problem="no engine on node a"))
        assert not rota.got_on
        assert rota.round_over() == []
    assert (rota.left, rota.refusing) == (1, {"a": "no engine on node a"})
    (chunk,) = rota.next_round(1)
    rota.note_begun(ChunkBegun(chunk=chunk.number, worker="w", node="a"))
    assert rota.got_on
    rota.note_ended(ChunkEnded(chunk=chunk.number))
    assert rota.refusing == {}


def test_a_worker_that_begins_again_died_of_what_it_had(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 32))
    first, second, *_ = rota.next_round(1)
    rota.note_begun(ChunkBegun(chunk=first.number, worker="w", node="a"))
    rota.note_begun(ChunkBegun(chunk=second.number, worker="w", node="a"))
    rota.note_ended(ChunkEnded(chunk=second.number))
    assert rota.under_way == {}
    rota.round_over()
    alone = [chunk.indexes for chunk in rota.next_round(1) if len(chunk.indexes) == 1]
    assert alone[-8:] == [(index,) for index in range(8)]


def test_a_round_is_bounded_however_many_tasks_there_are(tmp_path: Path) -> None:
    rota = Rota(tasks_in(tmp_path, 8 * CHUNKS_AT_ONCE + 1))
    assert len(rota.next_round(2)) == CHUNKS_AT_ONCE
    assert len(rota.next_round(2 * CHUNKS_AT_ONCE)) > CHUNKS_AT_ONCE


def test_the_journal_lets_nothing_begin_twice_or_after_the_end() -> None:
    journal = Journal()
    assert journal.begin(1, "w", "a") is Turn.DO
    assert journal.begin(1, "v", "b") is Turn.LEAVE
    assert not journal.add([PictureBegun(index=0)])
    assert journal.take() == [ChunkBegun(chunk=1, worker="w", node="a"), PictureBegun(index=0)]
    assert journal.take() == []
    journal.stop()
    assert journal.begin(2, "w", "a") is Turn.LEAVE
    assert journal.add([])


def test_the_journal_keeps_chunks_from_a_node_that_refused_until_the_next_round() -> None:
    journal = Journal()
    journal.begin_round(1)
    assert journal.begin(1, "w", "a") is Turn.DO
    journal.refuse(1, "a", "no engine")
    assert journal.begin(2, "v", "a") is Turn.KEEP
    assert journal.begin(2, "u", "b") is Turn.DO
    assert journal.take()[1:] == [
        NodeRefused(chunk=1, node="a", problem="no engine"),
        ChunkBegun(chunk=2, worker="u", node="b"),
    ]
    journal.begin_round(2)
    assert journal.begin(3, "v", "a") is Turn.DO


def test_the_journal_hands_out_the_workers_of_a_round_and_none_that_came_too_late() -> None:
    journal = Journal()
    journal.begin_round(1)
    journal.join(1, "first")
    assert journal.dismiss() == ["first"]
    journal.join(1, "late")
    journal.begin_round(2)
    journal.join(1, "later")
    journal.join(2, "second")
    assert journal.dismiss() == ["second"]


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
    assert journal.take() == [PictureBegun(index=0), PictureOver(index=0, outcome=done(task))]


def test_the_summary_speaks_of_workers_rather_than_of_one_engine() -> None:
    stages = Stages(infer_s=6.0)
    outcome = Outcome(source=Path("a.png"), target=Path("b.png"), status=Status.DONE, stages=stages)
    summary = ClusterSummary(outcomes=(outcome,), seconds=4.0, workers=2, nodes=1, rounds=1)
    assert summary.busy_share == pytest.approx(0.75)
    assert not {"idle_share", "overhead_share", "waited_read_s"} & set(summary.to_json())
    assert summary.to_json()["workers"] == 2
    assert cluster_summary_line(summary) == "1 upscaled in 4.0 s (2 workers, their engines busy 75%)"
    crew = Crew(workers=2, cores=1, gpus=0, nodes=(node("a", 2),))
    assert crew_line(crew, "10.0.0.1:6379") == "cluster at 10.0.0.1:6379: 2 workers of 1 core on 1 node"
    assert crew_line(replace(crew, gpus=1), None) == "cluster started here for this run: 2 workers of 1 GPU on 1 node"
