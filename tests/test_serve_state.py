"""`efdn-serve`: its engines, its health, its metrics, its log."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from cli.serve_text import Voice
from efdn.errors import EngineError, ImageError, OutOfMemoryError
from engines.options import RunOptions
from engines.select import Choice
from engines.serving.journal import Notes
from engines.serving.pool import EnginePool
from engines.serving.server import address_of, listen
from tests.inference_samples import FakeEngine
from tests.serve_pictures import pixels_of, png
from tests.serve_samples import SOON_S, Running, eventually, head, in_thread, running, said, servers

server = pytest.fixture(scope="module")(servers)


def test_engines_lists_what_can_be_asked_for(server: Running) -> None:
    content = server.get("/engines").json()
    states = {entry["name"]: entry for entry in content["engines"]}
    assert content["default"] == "fake"
    assert states["fake"]["state"] == states["bicubic"]["state"] == "open"
    assert states["tensorrt"]["state"] == "unavailable"
    assert "efdn-export trt" in states["tensorrt"]["reason"]
    assert content["limits"] == {"bytes": 64 << 20, "pixels": 16_000_000, "seconds": 1800.0}
    assert {"ending": "png", "name": "PNG", "type": "image/png", "lossy": False, "qualities": None} in content[
        "formats"
    ]
    assert "WebP" in [known["name"] for known in content["formats"]]


def test_bicubic_is_always_there(server: Running) -> None:
    answer = server.post(png(), engine="bicubic")
    assert (answer.headers["X-Efdn-Engine"], pixels_of(answer.content).shape) == ("bicubic", (26, 34, 3))


def test_an_engine_is_opened_when_it_is_first_asked_for() -> None:
    other = FakeEngine()
    other.name = "openvino"
    with running(others={"openvino": other}) as server:
        states = {entry["name"]: entry["state"] for entry in server.get("/engines").json()["engines"]}
        assert states["openvino"] == "closed"
        assert server.post(png(), engine="openvino").headers["X-Efdn-Engine"] == "openvino"
        states = {entry["name"]: entry["state"] for entry in server.get("/engines").json()["engines"]}
        assert states["openvino"] == "open"
    assert other.closed


def test_an_engine_that_does_not_open_is_remembered_with_its_reason() -> None:
    opened: list[str] = []

    def open_engine(model: object, name: str, options: object) -> Choice:
        opened.append(name)
        if name == "openvino":
            raise EngineError("no library: install it")
        if name == "pytorch":
            raise OutOfMemoryError("no memory")
        return Choice(engine=FakeEngine(), passed_over=("onnxruntime-cuda (no GPU)",))

    pool = EnginePool(None, "auto", open_engine, lambda package: True)
    for _ in range(2):
        with pytest.raises(Exception, match="openvino does not run on this server: no library: install it"):
            pool.get("openvino")
        with pytest.raises(OutOfMemoryError):
            pool.get("pytorch")
    assert opened == ["auto", "openvino", "pytorch", "pytorch"]
    states = {state.name: state for state in pool.states()}
    assert (states["onnxruntime-cuda"].state, states["onnxruntime-cuda"].reason) == ("unavailable", "no GPU")
    assert states["pytorch"].state == "closed"


def test_opening_an_engine_keeps_nobody_from_the_others() -> None:
    opens, begun = threading.Event(), threading.Event()

    def open_engine(model: object, name: str, options: object) -> Choice:
        if name == "openvino":
            begun.set()
            assert opens.wait(SOON_S)
        return Choice(engine=FakeEngine())

    pool = EnginePool(None, "auto", open_engine, lambda package: True)
    late = [in_thread(lambda: pool.get("openvino")) for _ in range(2)]
    assert begun.wait(SOON_S)
    assert in_thread(lambda: pool.get("fake"))() is pool.default
    assert in_thread(lambda: pool.get("pytorch"))()
    assert in_thread(lambda: pool.turns_of("fake"))()
    opens.set()
    assert late[0]() is late[1](), "opened once"
    pool.close()
    assert pool.default.closed
    with pytest.raises(EngineError, match="the server is ending"):
        pool.get("pytorch")


def test_engines_whose_packages_are_missing_are_unavailable_without_a_try() -> None:
    pool = EnginePool(None, "auto", lambda *_: Choice(engine=FakeEngine()), lambda package: package != "torch")
    states = {state.name: state for state in pool.states()}
    assert (states["pytorch"].state, states["openvino"].state) == ("unavailable", "closed")
    assert str(states["pytorch"].reason).startswith("it needs torch")
    assert 'pip install ".[export]"' in str(states["pytorch"].reason)


def test_engines_of_pytorch_take_turns_with_each_other_and_bicubic_with_nobody() -> None:
    pool = EnginePool(None, "auto", lambda *_: Choice(engine=FakeEngine()), lambda package: True)
    assert pool.turns_of("pytorch") is pool.turns_of("pytorch-published")
    assert pool.turns_of("openvino") is not pool.turns_of("pytorch")
    assert pool.turns_of("bicubic") is None


def test_all_engines_run_as_the_server_was_told() -> None:
    seen: list[tuple[str, int | None]] = []

    def open_engine(model: object, name: str, options: RunOptions) -> Choice:
        seen.append((name, options.threads))
        return Choice(engine=FakeEngine())

    EnginePool(None, "auto", open_engine, lambda package: True, RunOptions(threads=1)).get("openvino")
    assert seen == [("auto", 1), ("openvino", 1)]


def test_too_little_memory_is_507() -> None:
    with running(FakeEngine(most_pixels=1)) as server:
        answer = server.post(png())
        assert (answer.status_code, "out of memory" in said(answer)) == (507, True)


def test_what_nobody_foresaw_is_500_with_one_line_and_no_traceback() -> None:
    engine = FakeEngine()

    def fail(values: object) -> object:
        raise ZeroDivisionError("secret\nplace")

    engine.corrupt = fail  # type: ignore[assignment]
    with running(engine) as server:
        answer = server.post(png())
        assert answer.status_code == 500
        assert "secret" not in said(answer)
        notes = server.wait_for_line(500)
        assert len(server.told) == 1
        assert notes.said == "ZeroDivisionError: secret place"
        assert server.post(png(), engine="bicubic").status_code == 200


def test_health_readiness_and_metrics(server: Running) -> None:
    assert server.get("/health").json() == {"status": "alive"}
    assert server.get("/ready").json()["status"] == "ready"

    def value(name: str) -> float:
        lines = server.get("/metrics").text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)

    done, pixels = 'efdn_pictures_total{engine="fake",status="200"}', "efdn_source_pixels_total"
    before = value(done), value(pixels), value('efdn_stage_seconds_count{stage="infer"}')
    assert server.post(png(13, 17)).status_code == 200
    eventually(lambda: value(done) == before[0] + 1)
    assert value(pixels) == before[1] + 13 * 17
    assert value('efdn_stage_seconds_count{stage="infer"}') == before[2] + 1
    assert value("efdn_working ") == 0
    for number in range(5):
        server.get(f"/made-up-{number}")
    assert "made-up" not in server.get("/metrics").text


@pytest.mark.parametrize("path", ["/", "/health"])
def test_monitors_may_ask_for_the_header_alone(server: Running, path: str) -> None:
    status, headers, body = server.ask(head("", path, "HEAD", Connection="close"))
    assert (status, body) == (200, b"")
    assert headers["x-content-type-options"] == "nosniff"
    eventually(lambda: server.told[-1].method == "HEAD")
    assert server.told[-1].sent_bytes == 0


def test_the_page_is_sent_again_only_if_it_has_changed(server: Running) -> None:
    first = server.get("/")
    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    again = server.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert server.get("/", headers={"If-None-Match": '"another"'}).content == first.content


def test_the_log_is_one_line_or_one_object_for_each_request(capsys: pytest.CaptureFixture[str]) -> None:
    notes = Notes(client="127.0.0.1", method="GET", path="/nope\n\x1b", status=404, said="no page\n")
    notes.end()
    Voice(json_lines=False, quiet=False)(notes)
    Voice(json_lines=True, quiet=False)(notes)
    Voice(json_lines=True, quiet=True)(notes)
    Voice(json_lines=False, quiet=False)(Notes(method="M" * 30_000, path="/" * 30_000, status=404))
    plain, as_object, long = capsys.readouterr().err.splitlines()
    assert plain.startswith("efdn-serve: 2")
    assert " 404 127.0.0.1 GET /nope\\n\\x1b " in plain
    assert json.loads(as_object)["error"] == "no page\n"
    assert len(long) < 300


def test_times_in_the_log_have_six_digits() -> None:
    content = Notes(upload_s=0.1234567891, wait_s=1 / 3).to_json()
    assert (content["upload_s"], content["wait_s"]) == (0.123457, 0.333333)


@pytest.mark.parametrize("json_lines", [False, True])
def test_the_end_is_told_in_lines_or_objects(capsys: pytest.CaptureFixture[str], json_lines: bool) -> None:
    voice = Voice(json_lines=json_lines, quiet=False)
    voice.finishing(1)
    voice.finishing(2)
    voice.ended()
    one, two, end = capsys.readouterr().err.splitlines()
    if json_lines:
        assert [json.loads(line) for line in (one, two, end)] == [{"finishing": 1}, {"finishing": 2}, {"ended": True}]
    else:
        assert one == "efdn-serve: finishing 1 picture; Ctrl-C again stops at once"
        assert two == "efdn-serve: finishing 2 pictures; Ctrl-C again stops at once"
        assert end == "efdn-serve: ended"


@pytest.mark.parametrize(("path", "status", "told"), [("/health", 200, False), ("/ready", 503, True), ("/", 200, True)])
def test_polling_is_told_only_where_it_fails(
    capsys: pytest.CaptureFixture[str], path: str, status: int, told: bool
) -> None:
    Voice(json_lines=False, quiet=False)(Notes(path=path, status=status))
    assert bool(capsys.readouterr().err) is told


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_server_for_others_warns_that_nobody_is_asked_who_they_are(
    capsys: pytest.CaptureFixture[str], host: str, warned: bool
) -> None:
    with listen(host, 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")
        for json_lines in (False, True):
            Voice(json_lines=json_lines, quiet=False).warn_of_others(listener)
    lines = capsys.readouterr().err.splitlines()
    assert [("no authentication" in line, line.startswith('{"warning": ')) for line in lines] == (
        [(True, False), (True, True)] if warned else []
    )


def test_a_temporary_folder_that_was_removed_is_made_again() -> None:
    with running() as server:
        before = server.service.folder
        before.rmdir()
        assert server.post(png()).status_code == 200
        assert server.service.folder != before
        eventually(server.is_clean)


def test_files_stay_until_the_look_at_them_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on, there = threading.Event(), threading.Event(), []

    def slow_look(path: Path, *given: object) -> object:
        begun.set()
        assert goes_on.wait(SOON_S)
        there.append(path.exists())
        raise ImageError("no picture")

    monkeypatch.setattr("engines.serving.upscaling.look", slow_look)
    with running() as server:
        content = png()
        connection = server.send(head(len(content)), content)
        assert begun.wait(SOON_S)
        connection.close()
        server.wait_for_line(499)
        assert not server.service.idle
        goes_on.set()
        eventually(server.is_clean)
    assert there == [True]
