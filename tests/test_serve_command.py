"""`efdn-serve` as a command."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest

from cli.serve import entry, parse_amount, serve, writable
from efdn.errors import OutputError
from engines.options import RunOptions
from engines.serving.options import MAX_PIXELS, MAX_WHOLE_PIXELS, ServeOptions
from tests.serve_pictures import png
from tests.serve_samples import CLIENT, SOON_S, Running, eventually, in_thread, servers

SIGNALS = [signal.SIGINT, signal.SIGTERM]


KNOWN = "a" * 8
IMAGE = {"Content-Type": "image/png"}
ROOT = Path(__file__).parent.parent


shared = pytest.fixture(scope="module")(servers)


@pytest.mark.skipif(sys.platform == "win32", reason="signals to other processes are POSIX")
def test_the_command_says_where_it_is_and_ends_with_0_when_told_to(tmp_path: Path) -> None:
    for number in SIGNALS:
        command = [sys.executable, "-m", "cli.serve", "--port", "0", "--temp", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("efdn-serve: http://127.0.0.1:")
            process.send_signal(number)
            rest = process.stderr.read()
            assert process.wait(SOON_S) == 0
        assert rest == "efdn-serve: ended\n"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals to other processes are POSIX")
def test_a_second_signal_ends_it_at_once_even_while_a_picture_is_encoded(tmp_path: Path) -> None:
    features = pytest.importorskip("PIL.features")
    if "avif" not in features.modules or not features.check_module("avif"):
        pytest.skip("this Pillow writes no AVIF")
    # A busy machine may stall for seconds; a server that waits for the encoder does so every time.
    assert any(seconds_to_end_twice_told(tmp_path) < 5 for _ in range(3))


def seconds_to_end_twice_told(folder: Path) -> float:
    """From the second signal to the end of a server that encodes, its answer and its lines checked."""
    command = [sys.executable, "-m", "cli.serve", "--port", "0", "--temp", str(folder)]
    # 9 megapixels of noise, which take AVIF ten seconds and more.
    target = f"upscale?engine=bicubic&format=avif&scale=3&id={KNOWN}"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[1]
        answer = in_thread(lambda: CLIENT.post(url + target, content=png(1000, 1000), headers=IMAGE).status_code)
        eventually(lambda: CLIENT.get(f"{url}progress/{KNOWN}").json().get("phase") == "writing")
        process.send_signal(signal.SIGTERM)
        assert next(line for line in process.stderr if "/progress/" not in line) == (
            "efdn-serve: finishing 1 picture; Ctrl-C again stops at once\n"
        )
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(6 * SOON_S) == 0
        seconds = time.monotonic() - began
        assert answer() == 503
    lines = [line for line in rest.splitlines() if "/progress/" not in line]
    assert [("503" in line, "ended" in line) for line in lines] == [(True, False), (False, True)], rest
    assert list(folder.iterdir()) == []
    return seconds


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--max-bytes", "many"], 2, "such as 64M"),
        (["--max-pixels", "many"], 2, "--max-pixels takes a number of pixels such as 16M"),
        (["--max-whole-pixels", "0"], 2, "--max-whole-pixels must be at least 1"),
        (["--jobs", "0"], 2, "--jobs must be at least 1"),
        (["--threads", "0"], 2, "--threads must be 1 to "),
        (["--port", "99999"], 2, "--port must be 0 to 65535"),
        (["--timeout", "0"], 2, "--timeout must be above 0"),
        (["--grace", "0"], 2, "--grace must be above 0"),
        (["--temp", "/no/such/folder"], 2, "--temp takes a folder that is there, got "),
        (["--engine", "none"], 2, "no engine 'none'"),
        (["--host", "not.an.address.invalid"], 1, "such as 127.0.0.1"),
        (["--port", "TAKEN"], 1, "choose another --port"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    shared: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    says: str,
) -> None:
    words = [str(shared.port) if word == "TAKEN" else word for word in options]
    monkeypatch.setattr(sys, "argv", ["efdn-serve", *([] if "--port" in options else ["--port", "0"]), *words])
    with pytest.raises(SystemExit) as caught:
        entry()
    err = capsys.readouterr().err
    assert (caught.value.code, len(err.splitlines()), says in err) == (code, 1, True), err
    assert "Errno" not in err


def test_the_engines_have_the_threads_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened(Exception):  # noqa: N818 - the way out of the command
        pass

    def pool(model: object, name: str, *, options: RunOptions) -> None:
        raise Opened(options.threads)

    monkeypatch.setattr("engines.serving.pool.EnginePool", pool)
    with pytest.raises(Opened, match=r"^1$"):
        serve(port=0, threads=1)


def test_the_limits_that_the_help_shows_are_those_of_the_server() -> None:
    shown = parse_amount("--max-pixels", "16M", 1000), parse_amount("--max-whole-pixels", "40M", 1000)
    assert shown == (MAX_PIXELS, MAX_WHOLE_PIXELS)
    assert parse_amount("--max-bytes", "64M", 1024) == ServeOptions().max_bytes
    texts = {name: parameter.default for name, parameter in signature(serve).parameters.items()}
    assert (texts["max_pixels"], texts["max_whole_pixels"], texts["max_bytes"]) == ("16M", "40M", "64M")
    assert texts["timeout"] == ServeOptions().seconds
    assert texts["grace"] == ServeOptions().grace_seconds


def test_a_folder_that_takes_no_files_is_named_by_its_option(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--temp .* takes no files: no space left") as caught, writable(tmp_path):
        raise OSError(28, "No space left", str(tmp_path / "efdn-serve-x"))
    assert "efdn-serve-x" not in str(caught.value)
