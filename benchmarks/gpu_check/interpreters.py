"""The Pythons of a machine, and what each of them has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from efdn.errors import UsageError
from engines.worker.client import source_environment

LIMIT_S = 120

PROBE = """
import importlib, json, platform, sys
found = {"python": platform.python_version(), "packages": {}, "broken": {}}
for name in %r:
    try:
        module = importlib.import_module(name)
        version = getattr(module, "__version__", None) or getattr(sys.modules[name.split(".")[0]], "__version__", "?")
        found["packages"][name] = str(version)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            found["broken"][name] = f"needs {error.name}"
    except Exception as error:
        found["broken"][name] = f"{type(error).__name__}: {error}"
torch = __import__("torch") if "torch" in found["packages"] else None
found["torch_cuda"] = bool(torch and torch.cuda.is_available())
ort = __import__("onnxruntime") if "onnxruntime" in found["packages"] else None
found["providers"] = ort.get_available_providers() if ort else []
print(json.dumps(found))
"""

PACKAGES = (
    "numpy",
    "PIL",
    "torch",
    "onnx",
    "onnxruntime",
    "tensorrt",
    "tensorrt_rtx",
    "cuda.bindings.runtime",
    "pycuda",
    "pytest",
    "hypothesis",
)


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python.

    Attributes:
        command: its path.
        version: such as "3.12.3".
        packages: of those that matter here, with versions.
        broken: packages that are there and do not load, with the reason.
        torch_cuda: whether PyTorch sees a GPU.
        providers: of ONNX Runtime.
    """

    command: Path
    version: str
    packages: dict[str, str]
    broken: dict[str, str]
    torch_cuda: bool
    providers: tuple[str, ...]

    def has(self, *packages: str) -> bool:
        """Whether all of them are there and load."""
        return all(package in self.packages for package in packages)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without the path, which is nobody's business."""
        content = asdict(self)
        del content["command"]
        return content


def look_at(commands: Sequence[Path]) -> tuple[Interpreter, ...]:
    """This Python, and those given.

    Raises:
        UsageError: one of them does not run.
    """
    return tuple(_probed(command) for command in dict.fromkeys([Path(sys.executable), *commands]))


def _probed(command: Path) -> Interpreter:
    try:
        done = subprocess.run(
            [str(command), "-c", PROBE % (PACKAGES,)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
            env=source_environment(),
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        words = getattr(error, "stderr", None) or str(error)
        raise UsageError(f"--python {command} does not run: {words.strip().splitlines()[-1]}") from error
    return Interpreter(
        command=command,
        version=found["python"],
        packages=found["packages"],
        broken=found["broken"],
        torch_cuda=found["torch_cuda"],
        providers=tuple(found["providers"]),
    )
