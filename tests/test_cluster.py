"""`efdn-infer --ray` on a real cluster of two nodes: the same results, whatever dies."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_samples import (
    Command,
    SmallCluster,
    deadly_picture,
    pictures,
    small_cluster,
    start,
)
from tests.inference_samples import FakeEngine, Infer, no_parts_in, run_infer

pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BESIDES = (
    "looking for a cluster (",
    "engine: ",
    "cluster at ",
    "efdn-infer: ",
)
"""What lines on stderr begin with; all others would be Ray's."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCluster]:
    with small_cluster(tmp_path_factory.mktemp("traces")) as started:
        yield started


@pytest.fixture(autouse=True)
def _both_nodes(cluster: SmallCluster) -> None:
    cluster.add_second()
    cluster.begin_traces()


def files(folder: str) -> dict[str, bytes]:
    """All files below a folder, with what is in them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


def check_once_each(command: Command, sources: list[Path]) -> None:
    """Each picture has one outcome, and nothing half-written is left."""
    assert Counter(outcome["source"] for outcome in command.outcomes) == Counter(map(str, sources))
    assert no_parts_in(Path.cwd())


def check_quiet(command: Command) -> None:
    """Ray says nothing, on neither stream: on stdout is JSON."""
    assert command.lines
    strange = [line for line in command.err.read_text().splitlines() if not line.startswith(BESIDES)]
    assert strange == []


def wait_for_the_end_of(processes: list[int]) -> None:
    """Of each."""
    deadline = time.monotonic() + 30
    while any(Path("/proc", str(process)).exists() for process in processes):
        assert time.monotonic() < deadline, f"processes {processes} have not ended"
        time.sleep(0.05)


def test_results_and_words_are_those_of_one_process(
    cluster: SmallCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = pictures("in", 5) + pictures("in/deep", 4)
    sources.append(Path("in/bad.png"))
    sources[-1].write_text("no picture")
    there = start("in", "-r", "-o", "there", "--json", "--ray", cluster.address)
    here = run_infer(monkeypatch, capsys, "in", "-r", "-o", "here", "--json")
    assert (here.code, there.wait()) == (1, 1), there.err.read_text()
    assert files("there") == files("here")
    check_once_each(there, sources)
    check_quiet(there)
    told = [
        {line["source"]: (line["status"], line["reason"], line["width"]) for line in command.lines if "source" in line}
        for command in (here, there)
    ]
    assert told[0] == told[1]
    summaries = [command.lines[-1]["summary"] for command in (here, there)]
    assert [(summary["done"], summary["failed"]) for summary in summaries] == [(9, 1), (9, 1)]
    assert summaries[1]["workers"] == summaries[1]["nodes"] == 2
    failed = [line for line in here.err.splitlines() if "bad.png" in line]
    assert failed == [line for line in there.err.read_text().splitlines() if "bad.png" in line]


def test_a_node_that_dies_takes_no_picture_with_it(cluster: SmallCluster) -> None:
    sources = pictures("in", 40)
    command = start("in", "-o", "out", "--json", "--ray", cluster.address, opener="open_slow")
    second = cluster.second.node_id
    command.wait_until(lambda: len(command.outcomes) >= 5 and bool(cluster.at_work_on(second)))
    cluster.kill_second()
    before = len(command.outcomes)
    assert command.wait() == 0, command.err.read_text()
    assert before < len(sources)
    check_once_each(command, sources)
    check_quiet(command)
    assert len(files("out")) == len(sources)


def test_a_killed_worker_is_replaced_and_a_picture_that_kills_its_workers_fails_alone(cluster: SmallCluster) -> None:
    sources = pictures("in", 24)
    deadly = deadly_picture(Path("in/zz_deadly.png"))
    line = ("in", "-o", "out", "--tile", 64, "--json", "--ray", cluster.address)
    command = start(*line, opener="open_deadly")
    second = cluster.second.node_id
    command.wait_until(lambda: len(command.outcomes) >= 3 and bool(cluster.at_work_on(second)))
    (killed,) = cluster.at_work_on(second)
    os.kill(killed, signal.SIGKILL)
    assert len(command.outcomes) < len(sources)
    command.wait_until(lambda: len(command.outcomes) == len(sources) and not no_parts_in(Path("out")))
    assert command.wait() == 1, command.err.read_text()
    check_once_each(command, [*sources, deadly])
    check_quiet(command)
    failed = [outcome for outcome in command.outcomes if outcome["status"] != "done"]
    assert [(outcome["source"], outcome["status"]) for outcome in failed] == [(str(deadly), "failed")]
    assert failed[0]["reason"].startswith("its worker died 3 times")
    assert set(cluster.at_work_on(second)) - {killed}
    assert len(files("out")) == len(sources)


def test_a_node_whose_workers_have_no_engine_leaves_the_work_to_the_other(cluster: SmallCluster) -> None:
    sources = pictures("in", 24)
    cluster.refusing.write_text(cluster.second.node_id)
    command = start("in", "-o", "out", "--json", "--ray", cluster.address, opener="open_on_some")
    assert command.wait() == 0, command.err.read_text()
    check_once_each(command, sources)
    check_quiet(command)
    assert command.lines[-1]["summary"]["rounds"] == 2
    assert cluster.at_work_on(cluster.second.node_id) == []


def test_after_a_killed_driver_the_rest_is_done(
    cluster: SmallCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    infer = Infer(patch=monkeypatch, capture=capsys, engine=FakeEngine(4))
    sources = pictures("in", 24)
    killed = start("in", "-o", "out", "--json", "--ray", cluster.address, opener="open_slow")
    killed.wait_until(lambda: len(killed.outcomes) >= 4)
    workers = cluster.at_work_on(cluster.head.node_id, cluster.second.node_id)
    assert workers
    killed.process.kill()
    killed.wait()
    wait_for_the_end_of(workers)
    again = infer("in", "-o", "out", "--json", "--skip-existing")
    assert again.code == 0, again.err
    done, skipped = (again.lines[-1]["summary"][key] for key in ("done", "skipped"))
    assert done + skipped == len(sources)
    assert skipped >= 4
    assert len([name for name in files("out") if name.endswith("_x4.png")]) == len(sources)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_done(cluster: SmallCluster, number: signal.Signals) -> None:
    sources = pictures("in", 60)
    command = start("in", "-o", "out", "--json", "--ray", cluster.address, opener="open_slow")
    command.wait_until(lambda: len(command.outcomes) >= 4)
    command.process.send_signal(number)
    assert command.wait() == 130, command.err.read_text()
    check_once_each(command, sources)
    check_quiet(command)
    statuses = Counter(outcome["status"] for outcome in command.outcomes)
    assert set(statuses) == {"done", "cancelled"}
    assert statuses["done"] == len(files("out")) >= 4
    assert {outcome["reason"] for outcome in command.outcomes} == {None, "interrupted"}
    wait_for_the_end_of(cluster.at_work_on(cluster.head.node_id, cluster.second.node_id))
