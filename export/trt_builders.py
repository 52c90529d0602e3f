"""The two builders of TensorRT engines, behind one interface.

TensorRT for RTX builds for named GPU generations on any machine. Standard TensorRT
builds for the GPU it runs on. Versions 8.6 to 11 differ in flags, not in the way a
network is built, so both share it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from efdn.errors import EngineError, ExportError
from efdn.shapes import ShapeRange
from engines.cuda.open import open_device
from engines.protocol import INPUT
from engines.trt.flavours import load_flavour
from engines.trt.log import listening, logger_of
from export.build_progress import Progress, monitor_for
from export.io_format import IOFormat
from export.plan import Plan, plan_from_build_log, plan_from_inspector
from export.precision import Precision

RTX_TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
DEFAULT_RTX_TARGETS = ("sm86", "sm89", "sm120")
"""RTX 30, RTX 40 and RTX 50 series."""

LAST_OPSET_OF_TENSORRT_8 = 17


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What to build.

    Attributes:
        graph: an ONNX file.
        precision: of the graph.
        io: of the graph.
        shapes: heights and widths the engine is to take, a profile each.
        batch: most pictures at once.
    """

    graph: bytes
    precision: Precision
    io: IOFormat
    shapes: tuple[ShapeRange, ...]
    batch: int = 1

    @property
    def static(self) -> bool:
        """Whether the graph's own shape is the only one."""
        return len(self.shapes) == 1 and self.shapes[0].static and self.batch == 1


@dataclass(frozen=True, kw_only=True)
class BuiltEngine:
    """What came out.

    Attributes:
        content: the engine file.
        plan: its kernels.
        version: of the TensorRT that built it.
        gpu_targets: GPUs it runs on, such as "sm86".
        seconds: time the builder took.
    """

    content: bytes
    plan: Plan
    version: str
    gpu_targets: tuple[str, ...]
    seconds: float


class EngineBuilder(Protocol):
    """Builds engines; checks on construction that it can.

    Attributes:
        runtime: "rtx" or "tensorrt".
        opset_limit: newest ONNX operator set it reads, or None.
        targets: GPUs it builds for, such as "sm86".
        usual_targets: whether these are the default ones.
    """

    runtime: str
    opset_limit: int | None
    targets: tuple[str, ...]
    usual_targets: bool

    def build(self, request: BuildRequest, progress: Progress) -> BuiltEngine:
        """Builds one engine.

        Raises:
            ExportError: the graph cannot be parsed, or the build failed.
        """


class RtxBuilder:
    """TensorRT for RTX.

    Args:
        targets: GPU generations to build for, such as "sm86".

    Raises:
        ExportError: a target that TensorRT for RTX does not have.
        MissingExtraError: it is not installed.
    """

    runtime = "rtx"
    opset_limit: int | None = None

    def __init__(self, targets: Sequence[str] = DEFAULT_RTX_TARGETS) -> None:
        for target in targets:
            if target not in RTX_TARGETS:
                raise ExportError(
                    f"TensorRT for RTX does not build for {target}: expected some of {', '.join(RTX_TARGETS)}; "
                    "for other GPUs use --runtime tensorrt on a machine that has one"
                )
        self.targets = tuple(dict.fromkeys(targets))
        self.usual_targets = self.targets == DEFAULT_RTX_TARGETS
        self._trt = load_flavour(self.runtime, "Building this engine")

    def build(self, request: BuildRequest, progress: Progress) -> BuiltEngine:
        trt = self._trt

        def configure(config: Any) -> None:
            config.num_compute_capabilities = len(self.targets)
            for index, target in enumerate(self.targets):
                config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), index)

        started = time.perf_counter()
        with listening(trt) as messages:
            content = build_serialized(trt, request, configure, progress, messages)
        return BuiltEngine(
            content=content,
            plan=plan_from_build_log(messages.details),
            version=trt.__version__,
            gpu_targets=self.targets,
            seconds=time.perf_counter() - started,
        )


class StandardBuilder:
    """Standard TensorRT, 8.6 to 11, for the GPU of this machine.

    Raises:
        MissingExtraError: TensorRT is not installed.
        EngineError: there is no GPU.
    """

    runtime = "tensorrt"

    def __init__(self) -> None:
        self._trt = load_flavour(self.runtime, "Building this engine")
        try:
            device = open_device()
        except EngineError as error:
            reason = str(error).split(": ")[0]
            raise EngineError(f"{reason}, and standard TensorRT builds on the GPU alone: use --runtime rtx") from error
        self.targets: tuple[str, ...] = (device.architecture,)
        self.usual_targets = False
        device.close()
        self._major = int(self._trt.__version__.split(".")[0])
        self.opset_limit: int | None = LAST_OPSET_OF_TENSORRT_8 if self._major < 10 else None

    def build(self, request: BuildRequest, progress: Progress) -> BuiltEngine:
        trt = self._trt

        def configure(config: Any) -> None:
            if request.precision.half and not strongly_typed(trt):
                config.set_flag(getattr(trt.BuilderFlag, request.precision.name))
            if self._major < 10:
                # The others load cuBLAS and cuDNN, which nothing here needs.
                wanted = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
                config.set_tactic_sources(sum(1 << int(getattr(trt.TacticSource, name)) for name in wanted))
                # As later versions do by themselves: a second context, for times of layers, takes the same profile.
                config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)

        started = time.perf_counter()
        with listening(trt) as messages:
            content = build_serialized(trt, request, configure, progress, messages)
        seconds = time.perf_counter() - started
        return BuiltEngine(
            content=content,
            plan=self._inspect(content),
            version=trt.__version__,
            gpu_targets=self.targets,
            seconds=seconds,
        )

    def _inspect(self, content: bytes) -> Plan:
        trt = self._trt
        with listening(trt) as messages:
            engine = trt.Runtime(logger_of(trt)).deserialize_cuda_engine(content)
            if engine is None:
                raise ExportError(f"TensorRT cannot read back the engine it has just built: {messages.last_error}")
            information = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
        try:
            return plan_from_inspector(information)
        except ValueError as error:
            raise ExportError(f"TensorRT {trt.__version__} describes its engine in no JSON known here") from error


def strongly_typed(trt: ModuleType) -> bool:
    """Whether the types of the graph decide those of the engine, as they do except in version 8."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def build_serialized(
    trt: ModuleType, request: BuildRequest, configure: Any, progress: Progress, messages: Any
) -> bytes:
    """Parses the graph and builds; `configure` adds what is a builder's own.

    Raises:
        ExportError: TensorRT refused; its last message is part of the error.
    """
    builder = trt.Builder(logger_of(trt))
    flags = trt.NetworkDefinitionCreationFlag
    # Bits differ between versions, hence by name.
    network = builder.create_network(1 << int(flags.STRONGLY_TYPED if strongly_typed(trt) else flags.EXPLICIT_BATCH))
    if network is None:
        raise ExportError(f"{trt.__name__} {trt.__version__} could not start a network: {messages.last_error}")
    parser = trt.OnnxParser(network, logger_of(trt))
    if not parser.parse(request.graph):
        reasons = "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors))
        raise ExportError(f"{trt.__name__} {trt.__version__} cannot parse the graph: {reasons}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # Streams beside the main one only add synchronisation to a chain of kernels.
    config.max_aux_streams = 0
    if request.precision is Precision.FP32:
        config.clear_flag(trt.BuilderFlag.TF32)
    configure(config)
    if not request.static:
        for shape in request.shapes:
            config.add_optimization_profile(_profile(builder, request, shape))
    monitor = monitor_for(trt, progress)
    if monitor is not None:
        config.progress_monitor = monitor
    content = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.interrupted:
        raise KeyboardInterrupt
    if content is None:
        raise ExportError(f"{trt.__name__} {trt.__version__} could not build the engine: {messages.last_error}")
    return bytes(content)


def _profile(builder: Any, request: BuildRequest, shape: ShapeRange) -> Any:
    profile = builder.create_optimization_profile()
    sides = (shape.min, shape.opt, shape.max if shape.max is not None else shape.opt)
    picture = request.io is IOFormat.UINT8
    counts = (1, request.batch, request.batch)
    ends = [(n, *side, 3) if picture else (n, 3, *side) for n, side in zip(counts, sides, strict=True)]
    profile.set_shape(INPUT, *ends)
    return profile
