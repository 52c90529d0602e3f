"""A Ray cluster of two nodes on this machine, and `efdn-infer` on it with engines that are slow or deadly.

`python -m tests.cluster_samples OPENER ...` is `efdn-infer ...` whose workers open another engine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from efdn.errors import EngineError
from engines.protocol import Arrays
from engines.select import Choice
from tests.fake_engine import NearestNeighbour

ROOT = Path(__file__).parent.parent
STORE_BYTES = 80 << 20
TRACES = "EFDN_TEST_TRACES"
"""Variable with a file that names the folder where workers leave their process's number."""

REFUSING = "EFDN_TEST_REFUSING"
"""Variable with a file that holds the ID of the node that refuses."""

SLOW_S = 0.15
DEADLY = (255, 0, 0)
"""Colour of pictures that kill the process of a deadly engine."""

TIMEOUT_S = 90


class Slow(NearestNeighbour):
    """Takes its time, and leaves a file named after its process when it is at work.

    The folder is that of the moment when it is opened: what an earlier run has left behind does not write in the next.
    """

    def __init__(self) -> None:
        super().__init__()
        named = os.environ.get(TRACES)
        self._traces = None if named is None else Path(Path(named).read_text())

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        if self._traces is not None:
            Path(self._traces, str(os.getpid())).write_text(node())
        time.sleep(SLOW_S)
        return super().infer(feeds)


class Deadly(Slow):
    """Ends its process on pictures of one colour."""

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        middle = feeds["x"][0, :, feeds["x"].shape[2] // 2, feeds["x"].shape[3] // 2]
        if tuple(middle.astype(int)) == DEADLY:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return super().infer(feeds)


def open_slow(*_: object) -> Choice:
    """In place of `choose_engine`."""
    return Choice(engine=Slow())


def open_on_some(*_: object) -> Choice:
    """In place of `choose_engine`: no worker on the node that refuses has an engine, though a look at it finds one."""
    import ray

    if ray.get_runtime_context().get_actor_id() is not None and node() == Path(os.environ[REFUSING]).read_text():
        raise EngineError("no room")
    return Choice(engine=Slow())


def open_deadly(*_: object) -> Choice:
    """In place of `choose_engine`."""
    return Choice(engine=Deadly())


def node() -> str:
    """ID of the node that this process is on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


@contextmanager
def same_handler() -> Iterator[None]:
    """A node takes over SIGTERM for good: whatever ran after these tests would get its `sys.exit`."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@dataclass(kw_only=True)
class SmallCluster:
    """Two nodes of one core each.

    Attributes:
        address: of its head.
        folder: of folders of traces.
        second: the node that may be killed, or has been.
    """

    folder: Path
    _cluster: Any = field(default=None, repr=False)
    second: Any = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def named(self) -> Path:
        """The file that names the folder of traces."""
        return self.folder / "traces"

    @property
    def refusing(self) -> Path:
        """The file that holds the ID of the node that refuses."""
        return self.folder / "refusing"

    def begin_traces(self) -> None:
        """Another folder for whatever begins from now on."""
        traces = self.folder / str(len(list(self.folder.iterdir())))
        traces.mkdir()
        self.named.write_text(str(traces))

    def at_work_on(self, *nodes: str) -> list[int]:
        """Processes of workers on these nodes that have begun."""
        traces = [trace for trace in Path(self.named.read_text()).iterdir() if trace.read_text() in nodes]
        return [int(trace.name) for trace in traces]

    def start(self) -> None:
        """Starts the head and the second node."""
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        with same_handler():
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.head = self._cluster.head_node
        self.add_second()

    def add_second(self) -> None:
        """Starts the second node, if it is not there."""
        if self.second is None:
            with same_handler():
                self.second = self._cluster.add_node(num_cpus=1, num_gpus=0, object_store_memory=STORE_BYTES)

    def kill_second(self) -> None:
        """Ends the second node with all its processes, without a farewell."""
        self._cluster.remove_node(self.second, allow_graceful=False)
        self.second = None

    def stop(self) -> None:
        """Ends what was started."""
        if self._cluster is not None:
            self._cluster.shutdown()


@contextmanager
def small_cluster(folder: Path) -> Iterator[SmallCluster]:
    """Two nodes, while the body runs; their workers find this checkout."""
    names = (TRACES, REFUSING, "PYTHONPATH", "RAY_USAGE_STATS_ENABLED")
    before = {name: os.environ.get(name) for name in names}
    cluster = SmallCluster(folder=folder)
    os.environ.update({TRACES: str(cluster.named), REFUSING: str(cluster.refusing)})
    os.environ.update({"PYTHONPATH": python_path(), "RAY_USAGE_STATS_ENABLED": "0"})
    try:
        cluster.begin_traces()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@dataclass(kw_only=True)
class Command:
    """`efdn-infer` in a process of its own.

    Attributes:
        process: at work or ended.
        out: file of what it says on stdout.
        err: file of what it says on stderr.
    """

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has said on stdout so far, which must be JSON."""
        whole = self.out.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "source" in line]

    def wait(self) -> int:
        """Its exit code; where it does not end it is killed, and the test with it."""
        try:
            return self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the command did not end: {self.err.read_text()}") from None

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Waits for something to happen while it runs."""
        deadline = time.monotonic() + TIMEOUT_S
        while not happened():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.02)


def start(*arguments: object, opener: str | None = None, name: str = "said") -> Command:
    """Starts `efdn-infer` in the working folder, with another engine if one is named."""
    module = ["cli.infer"] if opener is None else ["tests.cluster_samples", f"tests.cluster_samples:{opener}"]
    out, err = Path(f"{name}.out").resolve(), Path(f"{name}.err").resolve()
    environment = {**os.environ, "PYTHONPATH": python_path()}
    with out.open("wb") as to_out, err.open("wb") as to_err:
        line = [sys.executable, "-m", *module, *map(str, arguments)]
        process = subprocess.Popen(line, stdout=to_out, stderr=to_err, env=environment)
    return Command(process=process, out=out, err=err)


def pictures(folder: str, count: int, *, side: int = 16) -> list[Path]:
    """Small pictures of noise."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = []
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (side, side + 3, 3), dtype=np.uint8)
        made.append(Path(folder, f"{index:03}.png"))
        Image.fromarray(pixels).save(made[-1])
    return made


def python_path() -> str:
    """This checkout before what is there already."""
    there = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(ROOT), *(part for part in there.split(os.pathsep) if part and part != str(ROOT))])


def deadly_picture(path: Path) -> Path:
    """A picture whose lower half kills the process of a deadly engine: its upper half is being written then."""
    pixels = np.zeros((200, 19, 3), np.uint8)
    pixels[100:] = DEADLY
    Image.fromarray(pixels).save(path)
    return path


def main() -> None:
    """The command, with another engine in its workers."""
    import cli.infer
    import cli.infer_cluster
    from engines.cluster.upscaling import upscale_on_cluster

    opener = sys.argv.pop(1)

    def upscale(request: Any, options: Any, show: Any) -> Any:
        return upscale_on_cluster(request, replace(options, opener=opener), show)

    vars(cli.infer_cluster)["upscale_on_cluster"] = upscale
    cli.infer.entry()


if __name__ == "__main__":
    main()
