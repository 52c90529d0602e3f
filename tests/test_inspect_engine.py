"""What the headers of TensorRT engines say."""

import struct
from pathlib import Path

import numpy as np
import pytest

from efdn.inspection.details import MalformedError
from efdn.inspection.engine_file import EngineDetails, read_engine
from efdn.inspection.kinds import FileKind
from efdn.inspection.report import inspect_file
from tests.inspecting import SM86, SM89, rtx_engine


@pytest.mark.parametrize(
    ("mask", "targets", "unknown"),
    [
        (1, ("sm75",), 0),
        (2, ("sm80",), 0),
        (SM86, ("sm86",), 0),
        (SM89, ("sm89",), 0),
        (16, ("sm120",), 0),
        (32, ("sm121",), 0),
        (0x1C, ("sm86", "sm89", "sm120"), 0),
        (0x44, ("sm86",), 0x40),
        (0, (), 0),
    ],
)
def test_the_gpus_of_an_rtx_engine_are_told(mask: int, targets: tuple[str, ...], unknown: int) -> None:
    told = read_engine(rtx_engine(mask))
    expected = EngineDetails(runtime="rtx", tensorrt_version="1.7.1.116", gpu_targets=targets, unknown_gpu_bits=unknown)
    assert told == expected
    shown = dict(told.sections()[0][1])["runs on"]
    assert all(name in shown for name in targets)
    assert (f"{unknown:#x}" in shown) == bool(unknown)
    assert shown == "none named" or mask


def standard_engine(version: tuple[int, int, int, int], layout: int = 0) -> bytes:
    return struct.pack("<4sIQQ4s", b"ftrt", layout, 239, 1000, bytes(version)).ljust(100, b"\0")


@pytest.mark.parametrize(
    ("content", "runtime", "version"),
    [
        (standard_engine((10, 3, 0, 26)), "tensorrt", "10.3.0.26"),
        (standard_engine((10, 3, 0, 26), layout=1), "tensorrt", None),
        (standard_engine((0, 17, 0, 0)), "tensorrt", None),
        (rtx_engine(layout=3), "rtx", None),
    ],
)
def test_a_version_is_told_only_where_the_layout_is_known(content: bytes, runtime: str, version: str | None) -> None:
    told = read_engine(content)
    assert told == EngineDetails(runtime=runtime, tensorrt_version=version, gpu_targets=None)
    title, facts = told.sections()[0]
    assert ("not known" in title) == (version is None)
    assert (version or "version not told") in dict(facts)["built by"]


@pytest.mark.tensorrt
def test_the_header_of_a_real_rtx_engine_is_as_it_is_read() -> None:
    import tensorrt_rtx as trt

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    entry = network.add_input("in", trt.float32, (1, 3, 8, 8))
    kernel = trt.Weights(np.ones(3 * 3 * 9, np.float32))
    layer = network.add_convolution_nd(entry, 3, (3, 3), kernel)
    network.mark_output(network.add_activation(layer.get_output(0), trt.ActivationType.RELU).get_output(0))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 2
    for index, target in enumerate((trt.ComputeCapability.SM75, trt.ComputeCapability.SM120)):
        config.set_compute_capability(target, index)
    content = bytes(builder.build_serialized_network(network, config))
    Path("real.engine").write_bytes(content)
    told = inspect_file(Path("real.engine"))
    assert told.kind is FileKind.ENGINE
    assert told.details == EngineDetails(runtime="rtx", tensorrt_version=trt.__version__, gpu_targets=("sm75", "sm120"))
    with pytest.raises(MalformedError, match="its header says"):
        read_engine(content[:-1])
