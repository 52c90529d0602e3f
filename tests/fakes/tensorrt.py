"""TensorRT without a GPU: as much of its run time as engines use, on a fake device.

Its classes are held to the recorded signatures of the real module, in
`tensorrt_api.json`; `tests/test_tensorrt_api.py` holds those to the module itself.
An engine file of this fake is a true header with a description in JSON behind it,
and its network repeats pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from efdn.inspection.engine_file import RTX_GPUS, RTX_HEADER, RTX_LAYOUT
from efdn.inspection.kinds import RTX_MAGIC
from efdn.shapes import ShapeRange
from tests.fakes.cuda import FakeDevice

Shape = tuple[int, ...]


@dataclass
class Behaviour:
    """What goes wrong, and what was asked for."""

    deserializes: bool = True
    makes_contexts: bool = True
    runs: bool = True
    switches_profiles: bool = True
    activation_bytes: int = 1000
    accepts_caches: bool = True
    corrupt: Callable[[np.ndarray], np.ndarray] = field(default=lambda y: y)
    profiles: list[int] = field(default_factory=list)
    graph_strategies: list[int] = field(default_factory=list)
    caches_offered: list[bytes] = field(default_factory=list)
    launches: int = 0


def make_plan(
    shapes: tuple[ShapeRange, ...],
    *,
    runtime: str,
    version: str,
    targets: tuple[str, ...],
    picture: bool = True,
    batch: int = 1,
    scale: int = 4,
) -> bytes:
    """An engine file of the fake."""
    description = {
        "picture": picture,
        "scale": scale,
        "batch": batch,
        "profiles": [[shape.min, shape.opt, shape.max] for shape in shapes],
    }
    body = json.dumps(description).encode().ljust(400)
    if runtime != "rtx":
        return bytes(24) + bytes(int(part) for part in version.split(".")[:3]) + bytes(37) + body
    mask = sum(bit for bit, name in RTX_GPUS.items() if name in targets)
    numbers = bytes(int(part) for part in version.split(".")[:4])
    header = RTX_HEADER.pack(RTX_MAGIC, 0, RTX_LAYOUT, 64 + len(body), numbers, RTX_MAGIC, mask)
    return header.ljust(64, b"\0") + body


class FakeTensorRT(SimpleNamespace):
    """A module. Where `rtx` is true it has what TensorRT for RTX has beyond the other."""

    def __init__(self, device: FakeDevice, behaviour: Behaviour, *, rtx: bool, version: str) -> None:
        ports = SimpleNamespace(device=device, behaviour=behaviour, rtx=rtx)
        severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3, VERBOSE=4)

        class ILogger:
            Severity = severity

            def __init__(self) -> None:
                pass

        class IProfiler:
            def __init__(self) -> None:
                pass

        super().__init__(
            __name__="tensorrt_rtx" if rtx else "tensorrt",
            __version__=version,
            ILogger=ILogger,
            IProfiler=IProfiler,
            ProfilingVerbosity=SimpleNamespace(LAYER_NAMES_ONLY=0, NONE=1, DETAILED=2),
            TensorIOMode=SimpleNamespace(NONE=0, INPUT=1, OUTPUT=2),
            nptype=lambda trt_type: {"UINT8": np.uint8, "FLOAT": np.float32}[trt_type],
            Runtime=lambda logger: Runtime(ports, logger),
        )
        if rtx:
            self.CudaGraphStrategy = SimpleNamespace(DISABLED=0, WHOLE_GRAPH_CAPTURE=1)
            self.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(LAZY=0, EAGER=1, NONE=2)


class Runtime:
    def __init__(self, ports: Any, logger: Any) -> None:
        self._ports, self._logger = ports, logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if not self._ports.behaviour.deserializes:
            self._logger.log(1, "the magic tag does not match")
            return None
        return ICudaEngine(self._ports, self._logger, json.loads(serialized_engine[64:]))


class ICudaEngine:
    num_io_tensors = 2

    def __init__(self, ports: Any, logger: Any, description: dict[str, Any]) -> None:
        self.ports, self.logger, self.description = ports, logger, description
        name = "device_memory_size_v2" if ports.rtx else "device_memory_size"
        setattr(self, name, ports.behaviour.activation_bytes)
        if ports.rtx:
            self.create_runtime_config = lambda: IRuntimeConfig(ports.behaviour)

    @property
    def picture(self) -> bool:
        return bool(self.description["picture"])

    def get_tensor_name(self, index: int) -> str:
        return ("input", "output")[index]

    def get_tensor_mode(self, name: str) -> int:
        return {"input": 1, "output": 2}[name]

    def get_tensor_dtype(self, name: str) -> str:
        return "UINT8" if self.picture else "FLOAT"

    def _profile_shapes(self, profile_index: int) -> list[Shape]:
        low, opt, high = self.description["profiles"][profile_index]
        counts = (1, self.description["batch"], self.description["batch"])
        return [
            (count, *side, 3) if self.picture else (count, 3, *side)
            for count, side in zip(counts, (low, opt, high), strict=True)
        ]

    def create_execution_context(self, runtime_config: IRuntimeConfig | None = None) -> IExecutionContext | None:
        if not self.ports.behaviour.makes_contexts:
            self.logger.log(1, "out of something")
            return None
        if runtime_config is not None:
            self.ports.behaviour.graph_strategies.append(runtime_config.cuda_graph_strategy)
            assert runtime_config.dynamic_shapes_kernel_specialization_strategy == 1
            if runtime_config.cache is not None:
                runtime_config.cache.content += b"+kernels"
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._ports = engine, engine.ports
        self._profile = 0
        self._shape: Shape = ()
        self._addresses: dict[str, int] = {}
        self._state, self._ran_state = 0, -1
        self.profiler: Any = None
        self.nvtx_verbosity = 2

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle == self._ports.device.stream
        if not self._ports.behaviour.switches_profiles:
            return False
        self._profile = profile_index
        self._state += 1
        self._ports.behaviour.profiles.append(profile_index)
        return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        assert name == "input"
        low, _, high = self._engine._profile_shapes(self._profile)
        if not all(least <= size <= most for least, size, most in zip(low, shape, high, strict=True)):
            return False
        self._shape = shape
        self._state += 1
        return True

    def get_tensor_shape(self, name: str) -> Shape:
        if name == "input":
            return self._shape
        scale = self._engine.description["scale"]
        axes = (1, 2) if self._engine.picture else (2, 3)
        return tuple(size * scale if axis in axes else size for axis, size in enumerate(self._shape))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        self._state += 1
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        device, behaviour = self._ports.device, self._ports.behaviour
        assert stream_handle == device.stream
        if not behaviour.runs:
            self._engine.logger.log(1, "a kernel failed")
            return False
        behaviour.launches += 1
        assert self.nvtx_verbosity == 1
        assert not device.recording or self._ran_state == self._state, "recorded right after a change of the context"
        state = self._ran_state = self._state
        kind = np.uint8 if self._engine.picture else np.float32
        shapes = {name: self.get_tensor_shape(name) for name in ("input", "output")}
        addresses, scale = dict(self._addresses), self._engine.description["scale"]
        rows, columns = (1, 2) if self._engine.picture else (2, 3)

        def kernel() -> None:
            assert state == self._state, "kernels of a context that has changed since they were started or recorded"
            x = device.array(addresses["input"], shapes["input"], kind)
            y = device.array(addresses["output"], shapes["output"], kind)
            y[...] = behaviour.corrupt(x.repeat(scale, axis=rows).repeat(scale, axis=columns))

        device.submit(kernel)
        if self.profiler is not None:
            self.profiler.report_layer_time("repeat", 0.25)
        return True


class IRuntimeConfig:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.cuda_graph_strategy = 0
        self.dynamic_shapes_kernel_specialization_strategy = 0
        self.cache: IRuntimeCache | None = None

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache(self._behaviour)

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        self.cache = cache
        return True


class IRuntimeCache:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.content = b""

    def deserialize(self, blob: bytes) -> bool:
        self._behaviour.caches_offered.append(bytes(blob))
        if not self._behaviour.accepts_caches:
            return False
        self.content = bytes(blob)
        return True

    def serialize(self) -> bytes:
        # The same kernels are kept once.
        return b"+".join(dict.fromkeys(self.content.split(b"+")))


CLASSES = (Runtime, ICudaEngine, IExecutionContext, IRuntimeConfig, IRuntimeCache)
"""What stands for a class of that name in the real module."""
