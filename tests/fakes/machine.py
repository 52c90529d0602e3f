"""A machine with a fake GPU, a fake TensorRT on it, and an engine file."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from efdn.files import sha256_of_bytes
from efdn.shapes import ShapeRange
from efdn.sidecar import Sidecar, sidecar_path, write_sidecar
from engines.options import RunOptions
from engines.protocol import Engine
from engines.trt import open as opening
from tests.fakes.cuda import FakeDevice
from tests.fakes.tensorrt import Behaviour, FakeTensorRT, make_plan
from tests.test_sidecar import make_sidecar

VERSIONS = {"rtx": "1.7.1.116", "tensorrt": "10.9.0"}
RANGE = (ShapeRange(min=(13, 13), opt=(20, 24), max=(64, 80)),)


@dataclass
class Machine:
    """A fake GPU, the TensorRT on it and what it does."""

    runtime: str
    device: FakeDevice = field(default_factory=FakeDevice)
    behaviour: Behaviour = field(default_factory=Behaviour)
    model: Path = Path("model.engine")

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Makes this machine the one that engines are opened on."""
        module = FakeTensorRT(self.device, self.behaviour, rtx=self.runtime == "rtx", version=VERSIONS[self.runtime])
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(opening, "open_device", lambda provider: self.device)

    def write(
        self,
        shapes: tuple[ShapeRange, ...] = RANGE,
        *,
        picture: bool = True,
        batch: int = 1,
        targets: tuple[str, ...] = ("sm86",),
        version: str | None = None,
    ) -> Sidecar:
        """Writes an engine and its sidecar."""
        version = version or VERSIONS[self.runtime]
        plan = make_plan(shapes, runtime=self.runtime, version=version, targets=targets, picture=picture, batch=batch)
        sidecar = make_sidecar(
            sha256=sha256_of_bytes(plan), shapes=shapes, batch=batch, io="uint8" if picture else "float32"
        )
        assert sidecar.build is not None
        build = dataclasses.replace(sidecar.build, runtime=self.runtime, tensorrt_version=version, gpu_targets=targets)
        sidecar = dataclasses.replace(sidecar, build=build)
        write_sidecar(sidecar_path(self.model), sidecar)
        self.model.write_bytes(plan)
        return sidecar


def open_on_fake_gpu(folder: Path, runtime: str) -> Engine:
    """An engine of pictures from 13x13 on, up to four at once, on a machine of its own."""
    machine = Machine(runtime, model=folder / f"{runtime}.engine")
    machine.write((ShapeRange(min=(13, 13), opt=(64, 64), max=(128, 128)),), batch=4)
    with pytest.MonkeyPatch.context() as patch:
        machine.install(patch)
        return opening.open_tensorrt(machine.model, RunOptions(cache_dir=folder))
