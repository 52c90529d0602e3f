"""A machine as plain values: all that the findings are made from, and what tests make up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.doctor.versions import Requirement, within
from engines.nvidia_smi import GpuState

SAME_MODULE = re.compile(
    r"onnxruntime(-(gpu|gpu-extended|directml|openvino|training|training-cpu|qnn|migraphx|rocm|silicon|cann|coreml|azure"
    r"|lite|trt-rtx|webgpu|windowsml|vitisai|dnnl))?|ort-nightly(-\w+)?"
)
"""Distributions whose module is `onnxruntime`; plug-ins (onnxruntime-ep-...) and tools are not."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """An importable package, as a process that imported it saw it.

    Attributes:
        facts: what `engines.doctor.probes` tells of it.
        failure: why it cannot be imported or asked, in one line.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class CudaGpu:
    """A GPU that CUDA sees.

    Attributes:
        name: of the GPU.
        capability: its compute capability, such as "8.9".
    """

    name: str
    capability: str

    @property
    def architecture(self) -> str:
        """ "8.9" as "sm89"."""
        return "sm" + self.capability.replace(".", "")

    @property
    def number(self) -> int:
        """ "8.9" as 89, "12.0" as 120."""
        return int(self.capability.replace(".", ""))


@dataclass(frozen=True, kw_only=True)
class Driver:
    """NVIDIA's driver, asked directly.

    Attributes:
        status: what `cuInit` answered, 0 where all is well.
        cuda_version: newest CUDA it serves, 13000 for 13.0.
        gpus: that CUDA sees.
        failure: why it could not be asked.
    """

    status: int = 0
    cuda_version: int = 0
    gpus: tuple[CudaGpu, ...] = ()
    failure: str | None = None

    @property
    def cuda_text(self) -> str:
        """13000 as "13.0"."""
        return f"{self.cuda_version // 1000}.{self.cuda_version % 1000 // 10}"


@dataclass(frozen=True, kw_only=True)
class CacheState:
    """The cache folder.

    Attributes:
        path: as it may be shown.
        named_by_user: whether EFDN_CACHE names it.
        exists: whether it is there.
        writable: whether files can be made in it, or it can be made.
        folders: bytes by sub-folder.
    """

    path: str
    named_by_user: bool
    exists: bool
    writable: bool
    folders: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found.

    Attributes:
        system: "Linux", "Windows" or "Darwin".
        subsystem: whether Linux runs inside Windows (WSL).
        container: whether this is a container.
        python: its version.
        python_range: versions that this distribution takes; empty if unknown.
        smi_gpus: GPUs as `nvidia-smi` has them.
        nvidia_on_bus: whether the system sees a GPU of NVIDIA's, driver or not; None if it does not tell.
        visible_devices: value of CUDA_VISIBLE_DEVICES; None if not set.
        driver: None if there is none.
        packages: by name of the probe, those that are installed.
        distributions: versions by normalised name.
        requirements: of this distribution's extras; none if it is not installed.
        broken_assets: packaged files that are missing or not what they were when packaged.
        cache: the cache folder.
    """

    system: str = "Linux"
    subsystem: bool = False
    container: bool = False
    python: str = "3.11.7"
    python_range: str = ""
    smi_gpus: tuple[GpuState, ...] = ()
    nvidia_on_bus: bool | None = None
    visible_devices: str | None = None
    driver: Driver | None = None
    packages: Mapping[str, Package] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    broken_assets: tuple[str, ...] = ()
    cache: CacheState = field(
        default_factory=lambda: CacheState(path="~/.cache/efdn", named_by_user=False, exists=False, writable=True)
    )

    @property
    def gpu(self) -> CudaGpu | None:
        """The first GPU that CUDA sees, which is the one that engines use."""
        return self.driver.gpus[0] if self.driver is not None and self.driver.gpus else None

    @property
    def onnx_runtimes(self) -> tuple[str, ...]:
        """Installed distributions that all are the module `onnxruntime`."""
        return tuple(sorted(name for name in self.distributions if SAME_MODULE.fullmatch(name)))

    def loaded(self, name: str) -> Mapping[str, Any] | None:
        """Facts of a package that is installed and works."""
        package = self.packages.get(name)
        return package.facts if package is not None and package.failure is None else None

    def missing_for(self, extra: str) -> tuple[str, ...]:
        """Packages of an extra that are not here, or in a version that was not asked for."""
        wanted = [needed for needed in self.requirements if needed.extra == extra]
        return tuple(
            needed.name
            for needed in wanted
            if needed.name not in self.distributions or not within(self.distributions[needed.name], needed.versions)
        )

    def range_of(self, distribution: str) -> str:
        """Versions of a package that this distribution takes; empty for any."""
        return next((needed.versions for needed in self.requirements if needed.name == distribution), "")
