"""`efdn-serve` with clients that are slow, gone or hostile."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.serve_pictures import png
from tests.serve_samples import Running, as_json, eventually, head, parsed, read_all, running


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """For tests that need no limits of their own."""
    with running() as server:
        yield server
        eventually(server.is_clean)
        assert not [line for line in server.lines if "Traceback" in line]


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


def test_connections_beyond_the_limit_are_refused() -> None:
    with running(max_connections=3) as server:
        held = [server.send() for _ in range(3)]
        eventually(lambda: len(server.server.server_state.connections) == 3)
        assert server.ask()[0] == 503
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
