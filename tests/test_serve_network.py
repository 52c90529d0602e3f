"""`efdn-serve` with clients that are slow, gone or hostile."""

from __future__ import annotations

import socket
import time
from contextlib import closing, suppress

import httpx
import pytest

from tests.serve_pictures import png
from tests.serve_samples import Running, as_json, eventually, head, parsed, read_all, running, servers

shared = pytest.fixture(scope="module")(servers)


def test_a_slow_upload_is_408_and_never_holds_a_worker() -> None:
    with running(jobs=1, queue=1, upload_seconds=0.6) as server, closing(server.send(head(1000), b"\x89PNG")) as slow:
        eventually(lambda: len(server.service.line.places) == 1)
        assert server.post(png()).status_code == 200
        status, headers, body = parsed(read_all(slow))
        assert (status, headers["connection"]) == (408, "close")
        assert "too slow" in as_json(body)["error"]
        assert slow.recv(1) == b""
        eventually(server.is_clean)


def test_an_upload_that_stalls_is_408() -> None:
    with running(stall_seconds=0.3) as server:
        began = time.monotonic()
        status, _, _ = server.ask(head(1000), b"\x89PNG")
        assert (status, time.monotonic() - began < 5) == (408, True)


def test_an_aborted_upload_leaves_nothing(shared: Running) -> None:
    shared.send(head(10_000_000), bytes(3_000_000)).close()
    assert shared.wait_for_line(499).said == "the client left"
    eventually(shared.is_clean)


def test_slow_headers_are_408() -> None:
    with running(header_seconds=0.4) as server:
        silent = server.send()
        status, _, body = server.ask(b"POST /upscale HTTP/1.1\r\nHost: local")
        assert (status, "header" in as_json(body)["error"]) == (408, True)
        # One byte now and then is no progress.
        with closing(server.send(b"GET / HTTP/1.1\r\n")) as connection:
            began = time.monotonic()
            try:
                while time.monotonic() - began < 5 and not server.told[1:]:
                    connection.sendall(b"X")
                    time.sleep(0.05)
            except ConnectionError:
                pass
            assert time.monotonic() - began < 3
        # One that never said a word is closed without one.
        assert read_all(silent) == b""
        silent.close()
        assert len(server.told) == 2
        assert server.get("/health").status_code == 200


def test_slow_headers_of_a_second_request_are_408() -> None:
    with running(header_seconds=0.4) as server, closing(server.send(head("", "/health", "GET"))) as connection:
        assert parsed(read_all(connection))[0] == 200
        connection.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert parsed(read_all(connection))[0] == 408


@pytest.mark.parametrize("whole", [True, False])
def test_a_header_of_100_kb_is_431(shared: Running, whole: bool) -> None:
    before = shared.count_lines()
    start = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000
    status, _, body = shared.ask(start + (b"\r\n\r\n" if whole else b""))
    assert (status, "shorten it" in as_json(body)["error"]) == (431, True)
    eventually(lambda: len(shared.told) == before + 1)
    assert max(map(len, shared.lines)) < 400


@pytest.mark.parametrize("target", ["/upscale", "/health", "/nope", "/"])
@pytest.mark.parametrize("together", [True, False])
def test_a_request_that_turns_out_to_be_none_is_one_line(shared: Running, target: str, together: bool) -> None:
    before = shared.count_lines()
    start = head("", target, "POST" if target == "/upscale" else "GET", Transfer_Encoding="chunked")
    with closing(shared.send(start + b"zz\r\n" if together else start)) as connection:
        if not together:
            eventually(lambda: len(shared.told) > before or bool(shared.service.line.places))
            connection.sendall(b"zz\r\n")
        status, headers, _ = parsed(read_all(connection))
    eventually(lambda: len(shared.told) > before and not shared.server.server_state.tasks)
    (notes,) = shared.told[before:]
    assert (notes.status, notes.path, notes.id) == (status, target, headers["x-request-id"])
    assert status == 400 or not together


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500),
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_in_one_line(shared: Running, content: bytes) -> None:
    before = shared.count_lines()
    with closing(shared.send(content)) as connection:
        answer = read_all(connection)
    assert not answer or parsed(answer)[0] == 400
    eventually(lambda: len(shared.told) == before + 1)
    assert shared.get("/health").status_code == 200


def test_an_answer_before_the_end_of_the_body_is_seen_by_the_client() -> None:
    with running(max_bytes=1000) as server:
        status, _, _ = server.ask(head(5_000_000), bytes(5_000_000))
        assert status == 413


def test_a_client_that_does_not_read_its_result_is_cut_off() -> None:
    with running(send_seconds=0.5) as server:
        noise = png(1200, 1000)
        with closing(socket.socket()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(head(len(noise), "/upscale?compression=0") + noise)
            server.wait_for_line(499)
            eventually(server.is_clean)
        assert server.post(png()).status_code == 200


def test_a_client_that_takes_its_result_bit_by_bit_is_cut_off() -> None:
    with running(send_seconds=30.0, result_seconds=1.0) as server:
        noise = png(1200, 1000)
        with closing(server.send(head(len(noise), "/upscale?compression=0"), noise)) as connection:
            eventually(lambda: not connection.recv(4096) or bool(server.told))
        assert server.wait_for_line(499).said == "the client took its result too slowly"
        eventually(server.is_clean)
        assert len(server.told) == 1


@pytest.mark.parametrize("target", ["/upscale", "/health"])
def test_a_body_in_very_small_pieces_is_refused(shared: Running, target: str) -> None:
    before = shared.count_lines()
    began = time.monotonic()
    start = head("", target, "POST", Transfer_Encoding="chunked")
    with closing(shared.send(start)) as connection:
        ended = False
        with suppress(ConnectionError):
            while time.monotonic() - began < 10:
                connection.sendall(b"1\r\nx\r\n" * 5000)
            ended = True
        assert not ended, "it was read on and on"
    assert time.monotonic() - began < 3, "by far less than what it would linger for another body"
    eventually(lambda: len(shared.told) == before + 1)
    # Where nobody reads the body, its answer may come first.
    assert shared.told[-1].status in ((400,) if target == "/upscale" else (400, 405))


def test_a_body_in_small_pieces_is_taken(shared: Running) -> None:
    content = png(60, 60)
    pieces = [content[start : start + 65] for start in range(0, len(content), 65)]
    answer = httpx.post(f"{shared.url}upscale", content=iter(pieces), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200


def test_connections_beyond_the_limit_are_refused() -> None:
    with running(max_connections=3) as server:
        held = [server.send() for _ in range(3)]
        eventually(lambda: len(server.server.server_state.connections) == 3)
        status, headers, _ = server.ask()
        assert (status, int(headers["retry-after"]) > 0) == (503, True)
        assert headers["x-request-id"] == server.wait_for_line(503).id
        for connection in held:
            connection.close()
        eventually(lambda: not server.server.server_state.connections)
        assert server.get("/health").status_code == 200


def test_a_bad_request_is_one_line_that_cannot_forge_others(shared: Running) -> None:
    shared.get("/a%0Aefdn-serve:%20200%1b[31m")
    eventually(lambda: "efdn-serve: 200" in shared.lines[-1])
    line = shared.lines[-1]
    assert "\n" not in line
    assert "\x1b" not in line
    assert "/a\\nefdn-serve: 200\\x1b[31m" in line
