"""`efdn-serve` with many clients: waiting, working, leaving, and the end."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from engines.serving.turns import Turns
from tests.inference_samples import FakeEngine
from tests.serve_pictures import png
from tests.serve_samples import SOON_S, GatedEngine, Running, eventually, head, in_thread, running, said

KNOWN = "a" * 8
LARGE = png(1200, 1000)
"""Noise, whose result without compression is more than systems keep for who does not read."""


def state(server: Running, known_as: str = KNOWN) -> dict[str, object]:
    """What /progress says; nothing if the id is not known."""
    answer = server.get(f"/progress/{known_as}")
    return dict(answer.json()) if answer.status_code == 200 else {}


def test_a_full_queue_is_503_and_nothing_accepted_is_lost() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1, queue=2) as server:
        accepted = [in_thread(lambda: server.post(png()))]
        engine.wait_for_run()
        accepted += [in_thread(lambda: server.post(png())) for _ in range(2)]
        eventually(lambda: len(server.service.line.waiting) == 2)
        refused = server.post(png())
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["Retry-After"]) <= 120
        assert "Retry-After" in said(refused)
        assert server.get("/ready").status_code == 503
        assert server.get("/health").status_code == 200
        engine.gate.set()
        assert [result().status_code for result in accepted] == [200] * 3
        eventually(server.is_clean)
        assert server.get("/ready").status_code == 200


def test_at_most_jobs_pictures_are_at_work_at_once() -> None:
    engine = GatedEngine()
    with running(engine, jobs=2, queue=4) as server:
        results = [in_thread(lambda: server.post(png())) for _ in range(5)]
        engine.wait_for_run()
        eventually(lambda: len(server.service.line.waiting) == 3)
        assert server.service.line.working == 2
        # Of those, one is in the engine.
        assert not engine.begun.acquire(timeout=0.1)
        engine.gate.set()
        assert {result().status_code for result in results} == {200}


def test_pictures_at_work_take_turns_tile_by_tile() -> None:
    order: list[str] = []
    turns, done = Turns(), threading.Event()

    def work(name: str, tiles: int) -> bool:
        for _ in range(tiles):
            with turns:
                order.append(name)
                eventually(lambda: turns.waiting > 0 or done.is_set())
        done.set()
        return True

    large = in_thread(lambda: work("large", 20))
    eventually(lambda: bool(order))
    assert in_thread(lambda: work("small", 2))()
    assert large()
    assert order[:5] == ["large", "small", "large", "small", "large"]


def test_progress_tells_position_phase_and_share() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1) as server:
        assert state(server) == {}
        first = in_thread(lambda: server.post(png(), id=KNOWN))
        engine.wait_for_run()
        assert state(server) == {"state": "working", "share": 0.0, "phase": "upscaling"}
        second = in_thread(lambda: server.post(png(), id="b" * 8))
        third = in_thread(lambda: server.post(png(), id="c" * 8))
        eventually(lambda: len(server.service.line.waiting) == 2)
        positions = {str(state(server, letter * 8)["position"]) for letter in "bc"}
        assert positions == {"1", "2"}
        again = server.post(png(), id=KNOWN)
        assert (again.status_code, "choose another" in said(again)) == (409, True)
        engine.gate.set()
        assert [result().status_code for result in (first, second, third)] == [200] * 3
        assert state(server) == {}


def test_a_client_that_leaves_while_it_waits_gives_its_place_back_at_once() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1, queue=1) as server:
        working = in_thread(lambda: server.post(png()))
        engine.wait_for_run()
        content = png()
        waiting = server.send(head(len(content)), content)
        eventually(lambda: len(server.service.line.waiting) == 1)
        waiting.close()
        eventually(lambda: len(server.service.line.places) == 1)
        assert "the client left" in server.wait_for_line(499).said
        engine.gate.set()
        assert working().status_code == 200
        assert engine.runs == 1


def test_a_client_that_leaves_while_its_picture_is_at_work_stops_the_engine() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1) as server:
        # Several tiles: the second is never begun.
        content = png(400, 20)
        connection = server.send(head(len(content), f"/upscale?id={KNOWN}"), content)
        engine.wait_for_run()
        connection.close()
        server.wait_for_line(499)
        assert server.service.line.working == 1
        engine.gate.set()
        eventually(server.is_clean)
        assert engine.runs == 1
        assert server.post(png()).status_code == 200


def test_work_over_the_time_limit_is_504_and_stops() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1, seconds=1.0) as server:
        answers = [in_thread(lambda: server.post(png(400, 20))) for _ in range(2)]
        engine.wait_for_run()
        assert [result().status_code for result in answers] == [504, 504]
        engine.gate.set()
        eventually(server.is_clean)
        assert engine.runs == 1


def test_the_end_waits_for_accepted_work_and_refuses_new() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1) as server:
        accepted = [in_thread(lambda: server.post(png(), id=KNOWN)), in_thread(lambda: server.post(png()))]
        engine.wait_for_run()
        eventually(lambda: len(server.service.line.waiting) == 1)
        server.server.stop()
        refused = server.post(png())
        assert (refused.status_code, "stopping" in said(refused)) == (503, True)
        assert server.get("/ready").status_code == 503
        assert state(server)
        engine.gate.set()
        assert [result().status_code for result in accepted] == [200, 200]
        server.thread.join(SOON_S)
        assert not server.thread.is_alive()


def test_the_end_gives_up_what_takes_too_long() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1, grace_seconds=0.3) as server:
        accepted = [in_thread(lambda: server.post(png(400, 20))) for _ in range(2)]
        engine.wait_for_run()
        eventually(lambda: len(server.service.line.waiting) == 1)
        server.server.stop()
        # Although the engine has not let go of its picture, which nothing can make it do.
        assert [result().status_code for result in accepted] == [503, 503]
        server.thread.join(SOON_S)
        assert not server.thread.is_alive()
        assert not server.service.folder.exists()
        assert engine.runs == 1
        assert {notes.status for notes in server.told} == {503}


def test_asked_to_end_a_second_time_the_server_does_not_wait_for_what_cannot_be_stopped() -> None:
    engine = GatedEngine()
    with running(engine, jobs=1, grace_seconds=60.0) as server:
        accepted = [in_thread(lambda: server.post(png())) for _ in range(2)]
        engine.wait_for_run()
        eventually(lambda: len(server.service.line.waiting) == 1)
        uploading = server.send(head(1000), b"\x89PNG")
        reading = server.send(head(len(LARGE), "/upscale?compression=0&engine=bicubic"), LARGE)
        eventually(lambda: len(server.service.line.places) == 4)
        began = time.monotonic()
        server.server.stop()
        server.server.stop()
        assert [result().status_code for result in accepted] == [503, 503]
        server.thread.join(SOON_S)
        # 0.1 s to see it, 0.5 s for threads, and a busy machine; it would be the grace time, or for ever.
        assert time.monotonic() - began < 5
        assert not server.thread.is_alive()
        assert not server.service.folder.exists()
        assert sorted(notes.status for notes in server.told) == [503] * 4
        uploading.close()
        reading.close()


def test_the_end_cuts_off_who_does_not_read_in_one_line_of_the_log() -> None:
    with running() as server, closing(server.send(head(len(LARGE), "/upscale?compression=0"), LARGE)):
        eventually(lambda: len(server.service.line.sending) == 1)
        server.server.stop()
        server.server.stop()
        server.thread.join(SOON_S)
        assert [(notes.status, notes.path) for notes in server.told] == [(499, "/upscale")]


def test_results_that_nobody_takes_are_bounded() -> None:
    with running(jobs=1, queue=0) as server:
        clients = []
        for count in (1, 2):
            clients.append(server.send(head(len(LARGE), "/upscale?compression=0"), LARGE))
            eventually(lambda count=count: len(server.service.line.sending) == count)  # type: ignore[misc]
        kept = [path.name for path in server.service.folder.rglob("*") if path.is_file()]
        assert kept == ["result.png"] * 2, "uploads are gone"
        refused = server.post(png())
        assert (refused.status_code, "2 results to send" in said(refused)) == (503, True)
        assert server.get("/ready").status_code == 503
        for client in clients:
            client.close()
        eventually(server.is_clean)
        assert server.post(png()).status_code == 200


def test_many_clients_at_once_each_get_their_own_picture() -> None:
    with running(FakeEngine(), jobs=2, queue=40) as server:
        contents = [png(13 + number, 20, seed=number) for number in range(24)]
        expected = [server.post(content).content for content in contents]
        results = [in_thread(lambda content=content: server.post(content).content) for content in contents]  # type: ignore[misc]
        assert [result() for result in results] == expected
        eventually(server.is_clean)
