"""The builder for standard TensorRT, against fakes with the flags of each version: no GPU, nothing built."""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from efdn.errors import ExportError
from export import trt_builders
from export.artefacts import shape_range
from export.build_progress import quiet
from export.io_format import IOFormat
from export.precision import Precision
from export.trt_builders import BuildRequest, StandardBuilder

HALF = {"Name": "a", "LayerType": "Convolution", "Outputs": [{"Format/Datatype": "Half"}]}


class FakeConfig:
    def __init__(self) -> None:
        self.flags: list[str] = []
        self.cleared: list[str] = []
        self.tactics: int | None = None
        self.previews: list[str] = []

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)

    def clear_flag(self, flag: str) -> None:
        self.cleared.append(flag)

    def set_preview_feature(self, feature: str, enable: bool) -> None:
        self.previews += [feature] if enable else []

    def set_tactic_sources(self, sources: int) -> None:
        self.tactics = sources


def fake_tensorrt(version: str, network_flags: dict[str, int], builder_flags: dict[str, str], *, plan: Any) -> Any:
    """A TensorRT module with the flags of one version; keeps the configuration and the network's flags."""

    class ILogger:
        Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, VERBOSE=4)

        def __init__(self) -> None:
            pass

    kept = SimpleNamespace(config=FakeConfig(), network_flags=0)

    def create_network(flags: int) -> object:
        kept.network_flags = flags
        return object()

    inspector = SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": [HALF]}))
    return SimpleNamespace(
        __name__=f"tensorrt{version}",
        __version__=version,
        kept=kept,
        ILogger=ILogger,
        NetworkDefinitionCreationFlag=SimpleNamespace(**network_flags),
        BuilderFlag=SimpleNamespace(**builder_flags),
        TacticSource=SimpleNamespace(EDGE_MASK_CONVOLUTIONS=3, JIT_CONVOLUTIONS=4, CUBLAS=0, CUDNN=2),
        # Later versions share profiles between contexts anyway.
        PreviewFeature=SimpleNamespace(PROFILE_SHARING_0806="sharing") if version.startswith("8.") else None,
        ProfilingVerbosity=SimpleNamespace(DETAILED=2),
        LayerInformationFormat=SimpleNamespace(JSON=1),
        OnnxParser=lambda network, logger: SimpleNamespace(parse=lambda graph: True),
        Runtime=lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda content: SimpleNamespace(create_engine_inspector=lambda: inspector)
        ),
        Builder=lambda logger: SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: kept.config,
            build_serialized_network=lambda network, config: plan,
        ),
    )


VERSIONS = [
    ("8.6.0", {"EXPLICIT_BATCH": 0}, {"FP16": "fp16", "TF32": "tf32"}, 1, ["fp16"], 17, 0b11000),
    ("10.9.0", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}, {"FP16": "fp16", "TF32": "tf32"}, 2, [], None, None),
    ("11.4.0", {"STRONGLY_TYPED": 0}, {"TF32": "tf32"}, 1, [], None, None),
]


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt_builders, "open_device", lambda: SimpleNamespace(architecture="sm90", close=lambda: None))


def request(precision: Precision) -> BuildRequest:
    return BuildRequest(graph=b"graph", precision=precision, io=IOFormat.UINT8, shapes=(shape_range((64, 64)),))


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize(("version", "network", "flags", "created", "set_flags", "opset", "tactics"), VERSIONS)
def test_each_version_is_given_its_own_flags(
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    network: dict[str, int],
    flags: dict[str, str],
    created: int,
    set_flags: list[str],
    opset: int | None,
    tactics: int | None,
) -> None:
    trt = fake_tensorrt(version, network, flags, plan=b"plan")
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    builder = StandardBuilder()
    assert builder.opset_limit == opset
    built = builder.build(request(Precision.FP16), quiet)
    assert (built.content, built.version, built.gpu_targets) == (b"plan", version, ("sm90",))
    assert built.plan.half_share == 1
    assert trt.kept.network_flags == created
    assert trt.kept.config.previews == (["sharing"] if version.startswith("8.") else [])
    assert trt.kept.config.flags == set_flags
    assert trt.kept.config.tactics == tactics
    assert trt.kept.config.cleared == []
    builder.build(request(Precision.FP32), quiet)
    # Float32 is to mean float32, not TF32, and no flag of half precision.
    assert trt.kept.config.cleared == ["tf32"]
    assert trt.kept.config.flags == set_flags


@pytest.mark.usefixtures("on_gpu")
def test_a_build_that_gives_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    version, network, flags, *_ = VERSIONS[0]
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(version, network, flags, plan=None))
    with pytest.raises(ExportError, match=r"8\.6\.0 could not build the engine: no error was logged"):
        StandardBuilder().build(request(Precision.FP16), quiet)
