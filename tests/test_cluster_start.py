"""From the command line to a cluster: options, addresses, and what is said where there is none."""

import json
import signal
import socket
import sys
from pathlib import Path

import pytest
from PIL import Image

from cli.infer_options import ANY_CLUSTER, OWN_CLUSTER, fill_in_ray
from efdn.errors import EngineError, MissingExtraError, UsageError
from engines.cluster import connect
from engines.cluster.connect import connected
from engines.cluster.options import AUTOMATIC, LOCAL, ClusterOptions
from tests.conftest import noise
from tests.inference_samples import Infer


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `connected` sets for Ray does not outlast a test."""
    for name, value in connect.QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Infer:
    """`efdn-infer` on an engine that repeats pixels twice."""
    return Infer(patch=monkeypatch, capture=capsys)


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
        (["--ray", "*.png"], ["--ray", "auto", "*.png"]),
        (["--ray", "misspelt", "photos"], ["--ray", "misspelt", "photos"]),
        (["--ray", "-"], ["--ray", "auto", "-"]),
        (["--ray=head:6379", "photos"], ["--ray=head:6379", "photos"]),
        (["a.png", "--", "--ray"], ["a.png", "--", "--ray"]),
        (["a.png"], ["a.png"]),
    ],
)
def test_a_ray_without_an_address_takes_no_picture_for_one(given: list[str], filled: list[str]) -> None:
    for name in ("photos", "photos/12:30", "C:\\photos"):
        Path(name).mkdir()
    assert fill_in_ray(given) == filled


def test_a_file_that_looks_like_an_address_is_a_file() -> None:
    Path("scan:12").touch()
    assert fill_in_ray(["--ray", "scan:12"]) == ["--ray", "auto", "scan:12"]


def test_options_that_do_not_go_with_a_cluster_are_refused(infer: Infer) -> None:
    Image.fromarray(noise(14, 17)).save("a.png")
    for line, words in (
        (["--ray-cores", 4], "add --ray"),
        (["--ray", "auto", "--verify-tiles"], "--verify-tiles measures the engine of this machine"),
        (["--ray", "auto", "--threads", 1], "with --ray, give --ray-cores"),
        (["--ray", "auto", "--engine", "all"], "--engine all compares the engines of this machine"),
        (["--ray", "head:65536"], "--ray takes HOST:PORT, auto or local, got 'head:65536'"),
        (["--ray", "misspelt"], "--ray takes HOST:PORT, auto or local, got 'misspelt'"),
    ):
        said = infer("a.png", *line)
        assert said.code == 2
        assert words in said.err
    with pytest.raises(UsageError, match="ray-cores must be at least 1, got 0"):
        ClusterOptions(cores=0)


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "head", ":6379", "head:0", "head:65536", "head:\u0661", "a b:1", ""]
)
def test_what_is_no_address_is_refused_wherever_it_comes_from(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--ray takes HOST:PORT, auto or local, got"):
        ClusterOptions(address=address)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_ADDRESS", address or "head:")
    with pytest.raises(UsageError, match="RAY_ADDRESS takes HOST:PORT, auto or local, got"):
        connected("auto").__enter__()


def test_words_of_the_command_line_are_those_of_the_engines() -> None:
    assert (ANY_CLUSTER, OWN_CLUSTER) == (AUTOMATIC, LOCAL)


def test_handlers_of_signals_that_are_not_pythons_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    connect._restore(connect._signals())


def test_names_of_nothing_need_no_cluster(infer: Infer) -> None:
    here = infer("x.png", "y.png", "--json")
    there = infer("x.png", "y.png", "--json", "--ray", "127.0.0.1:1")
    assert (here.code, there.code) == (1, 1)
    told = [[json.loads(line) for line in said.out.splitlines()] for said in (here, there)]
    assert told[0][:2] == told[1][:2]
    assert told[1][2]["summary"]["failed"] == 2
    assert "no file or folder x.png" in there.err


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
