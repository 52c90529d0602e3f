"""What the first bytes of a TensorRT engine say. Engines are closed files: everything else is for the sidecar.

Neither header is documented. That of TensorRT for RTX was read off engines that
version 1.7.1 built for each GPU generation in turn, and is only read where its layout
carries the same number. Of standard TensorRT's, NVIDIA's trtexec
(--getPlanVersionOnly) shows where the version stands; no more than that is read.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from efdn.inspection.details import Content, MalformedError, Section
from efdn.inspection.kinds import HEAD_BYTES, RTX_MAGIC
from efdn.sidecar import Sidecar

VERSION_BYTES = slice(24, 28)
"""Major, minor, patch and build, one byte each."""

# Magic, zero, layout, bytes of the file, version, magic again, GPU generations.
RTX_HEADER = struct.Struct("<4sIQQ4s4sI")
RTX_LAYOUT = 2
RTX_GPUS = {1: "sm75", 2: "sm80", 4: "sm86", 8: "sm89", 16: "sm120", 32: "sm121"}

STANDARD_LAYOUT = 0
"""The number after the magic for which trtexec knows where the version stands."""
OLDEST_STANDARD_MAJOR = 8
"""Before, nothing is known of the header: another number there is no version."""

FLAVOURS = {"rtx": "TensorRT for RTX", "tensorrt": "standard TensorRT"}


@dataclass(frozen=True, kw_only=True)
class EngineDetails:
    """What the header of an engine says.

    Attributes:
        runtime: "rtx" (TensorRT for RTX) or "tensorrt".
        tensorrt_version: of the builder, four numbers; None where the header's layout is not known.
        gpu_targets: such as "sm86"; None where the header does not tell.
        unknown_gpu_bits: those of the GPU mask that stand for none of the generations known here.
    """

    runtime: str
    tensorrt_version: str | None
    gpu_targets: tuple[str, ...] | None
    unknown_gpu_bits: int = 0

    def sections(self) -> list[Section]:
        rows = [("built by", f"{FLAVOURS[self.runtime]} {self.tensorrt_version or '(version not told)'}")]
        if self.gpu_targets is not None:
            unknown = f"bits {self.unknown_gpu_bits:#x}, not known here" if self.unknown_gpu_bits else ""
            rows.append(("runs on", ", ".join(filter(None, (*self.gpu_targets, unknown))) or "none named"))
        elif self.runtime == "tensorrt":
            rows.append(("runs on", "not told by the header: GPUs like the one it was built on"))
        known = self.tensorrt_version is not None
        return [("read from an undocumented header" if known else "header of a layout that is not known here", rows)]

    def contradictions(self, sidecar: Sidecar) -> list[str]:
        build = sidecar.build
        if build is None:
            return ["it describes no engine"]
        found = []
        if build.runtime != self.runtime:
            found.append(f"it says {FLAVOURS.get(build.runtime, build.runtime)}, the header {FLAVOURS[self.runtime]}")
        elif self.tensorrt_version is not None and not _same_version(build.tensorrt_version, self.tensorrt_version):
            found.append(f"it says version {build.tensorrt_version}, the header {self.tensorrt_version}")
        if self.gpu_targets is not None and not self.unknown_gpu_bits and {*build.gpu_targets} != {*self.gpu_targets}:
            here = ", ".join(self.gpu_targets) or "no GPU"
            found.append(f"it says {', '.join(build.gpu_targets)}, the header {here}")
        return found


def read_engine(content: Content) -> EngineDetails:
    """Reads the header of an engine.

    Raises:
        MalformedError: cut off.
    """
    head = bytes(content[:HEAD_BYTES])
    if len(head) < HEAD_BYTES:
        raise MalformedError(f"it has {len(head)} bytes, the header alone takes {HEAD_BYTES}")
    if not head.startswith(RTX_MAGIC):
        known = int.from_bytes(head[4:8], "little") == STANDARD_LAYOUT
        numbers = head[VERSION_BYTES]
        version = _version(numbers) if known and numbers[0] >= OLDEST_STANDARD_MAJOR else None
        return EngineDetails(runtime="tensorrt", tensorrt_version=version, gpu_targets=None)
    _, zero, layout, size, version_bytes, magic, mask = RTX_HEADER.unpack_from(head)
    if zero or layout != RTX_LAYOUT or magic != RTX_MAGIC:
        return EngineDetails(runtime="rtx", tensorrt_version=None, gpu_targets=None)
    if size != len(content):
        raise MalformedError(f"its header says {size:,} bytes, it has {len(content):,}")
    return EngineDetails(
        runtime="rtx",
        tensorrt_version=_version(version_bytes),
        gpu_targets=tuple(name for bit, name in RTX_GPUS.items() if mask & bit),
        unknown_gpu_bits=mask & ~sum(RTX_GPUS),
    )


def _version(numbers: bytes) -> str:
    return ".".join(map(str, numbers))


def _same_version(said: str, here: str) -> bool:
    """Whether two versions agree as far as both go: packages name three numbers or four, a header one byte of each."""
    ours = [int(part) for part in here.split(".")]
    numbers = re.match(r"\d{1,9}(\.\d{1,9})*", said)
    theirs = [int(part) % 256 for part in numbers[0].split(".")] if numbers else []
    return bool(theirs) and all(left == right for left, right in zip(ours, theirs, strict=False))
