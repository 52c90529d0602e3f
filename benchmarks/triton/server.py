"""Starts Triton from an unpacked wheel, and stops it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from efdn.errors import EngineError, UsageError

START_LIMIT_S = 180
GRACE_S = 30
"""For the server to end before it is killed."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where the server is.

    Attributes:
        wheel: folder with what was in the wheel of nvidia-pytriton.
        environment: a virtual environment for the backend, of a Python that the wheel has a stub for, with
            onnxruntime and numpy older than 2: the stub reads arrays of newer ones as empty.
    """

    wheel: Path
    environment: Path

    @property
    def server(self) -> Path:
        """The folder with the server's programs."""
        return self.wheel / "pytriton" / "tritonserver"

    @property
    def stub(self) -> Path:
        """The program that runs Python for the server.

        Raises:
            UsageError: there is none, or no such environment.
        """
        versions = [path.name.removeprefix("python") for path in (self.environment / "lib").glob("python3.*")]
        version = versions[0] if versions else ""
        path = self.server / "python_backend_stubs" / version / "triton_python_backend_stub"
        if not version or not path.is_file():
            raise UsageError(f"no stub for the Python of {self.environment} in {self.wheel}: expected 3.8 to 3.13")
        return path


@contextmanager
def served(repository: Path, installation: Installation) -> Iterator[str]:
    """Serves a model repository on the loopback, as long as the context lasts.

    Args:
        repository: as `efdn-export triton` writes it, of ONNX models only.
        installation: where the server is.

    Yields:
        Host and port of gRPC, once every model is ready.

    Raises:
        EngineError: the server ended, or took too long.
    """
    with TemporaryDirectory() as folder:
        backends = _backends(Path(folder), installation)
        grpc, http = _free_ports()
        address = ["--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--allow-metrics=false"]
        command = [
            str(_executable(installation.server / "bin" / "tritonserver")),
            f"--model-repository={repository.resolve()}",
            f"--backend-directory={backends}",
            *address,
            f"--http-port={http}",
            f"--grpc-port={grpc}",
        ]
        with (Path(folder) / "log").open("w+b") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment(installation))
            try:
                _wait(process, f"127.0.0.1:{grpc}", Path(folder) / "log")
                yield f"127.0.0.1:{grpc}"
            finally:
                process.terminate()
                try:
                    process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _backends(folder: Path, installation: Installation) -> Path:
    """The backend that runs Python, with the stub in its place, and the one of this project."""
    stub, backends = installation.stub, folder / "backends"
    python, onnxruntime = backends / "python", backends / "onnxruntime"
    shutil.copytree(installation.server / "backends" / "python", python)
    shutil.copy(_executable(stub), python)
    onnxruntime.mkdir()
    shutil.copy(Path(__file__).with_name("backend.py"), onnxruntime / "model.py")
    return backends


def _executable(path: Path) -> Path:
    """The same file; `unzip` keeps the permission to run it, Python's zipfile does not."""
    path.chmod(path.stat().st_mode | 0o100)
    return path


def _environment(installation: Installation) -> dict[str, str]:
    """Of the server: its libraries, and the Python that the stub takes its packages from, which PATH tells it."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(installation.wheel.resolve() / "nvidia_pytriton.libs")}
    environment["PATH"] = f"{installation.environment.absolute() / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    environment.pop("PYTHONPATH", None)
    return environment


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while not _ready(address):
        if process.poll() is not None or time.monotonic() > limit:
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise EngineError(f"Triton is not ready after {START_LIMIT_S} s or has ended; its last words: {last}")
        time.sleep(0.2)


def _ready(address: str) -> bool:
    import tritonclient.grpc as triton

    try:
        with triton.InferenceServerClient(address) as server:
            ready: Any = server.is_server_ready(client_timeout=1)
            return bool(ready)
    except triton.InferenceServerException:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
