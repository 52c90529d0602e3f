"""The plan of a TensorRT engine: which kernels it runs, in which types.

Read from what the RTX builder logs, which needs no GPU, or from the engine
inspector of standard TensorRT, which needs the one that built it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SYNCHRONISATION = ("signal", "wait")
"""Kinds of entry that are not kernels."""

_KERNEL = re.compile(r"Name: (?P<name>.*?), LayerType: (?P<kind>.*?), Inputs: \[(?P<rest>.*)$")
_OUTPUTS = re.compile(r"Outputs: \[(?P<outputs>.*?)\], TacticName:")
_TYPE = re.compile(r"Datatype: (\w+)")


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One entry of a plan.

    Attributes:
        name: as the builder gave it.
        kind: such as "correlation" or "kgen".
        output_types: lower case, such as "half" or "float".
    """

    name: str
    kind: str
    output_types: tuple[str, ...]

    @property
    def half(self) -> bool:
        """Whether it puts out half precision."""
        return "half" in self.output_types


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All kernels of an engine, in order."""

    kernels: tuple[Kernel, ...]

    @property
    def half_share(self) -> float:
        """Share of the kernels that put out half precision, 0..1."""
        return sum(kernel.half for kernel in self.kernels) / len(self.kernels) if self.kernels else 0.0


def plan_from_build_log(lines: Iterable[str]) -> Plan:
    """Reads the plan that the RTX builder lists at the end of a verbose build."""
    kernels = []
    for line in lines:
        entry = _KERNEL.match(line)
        if entry is None or entry["kind"] in SYNCHRONISATION:
            continue
        outputs = _OUTPUTS.search(entry["rest"])
        types = _TYPE.findall(outputs["outputs"]) if outputs else []
        kernels.append(Kernel(name=entry["name"], kind=entry["kind"], output_types=tuple(map(str.lower, types))))
    return Plan(kernels=tuple(kernels))


def plan_from_inspector(information: str) -> Plan:
    """Reads the plan from the JSON of standard TensorRT's engine inspector.

    Layers are objects where the engine was built with detailed verbosity. The type
    is part of a free text: "Row major linear FP16 format" before version 10, "Half"
    since.
    """
    layers = json.loads(information).get("Layers", [])
    kernels = [
        Kernel(
            name=str(layer.get("Name", "")),
            kind=str(layer.get("LayerType", "")),
            output_types=tuple(_type_in(output) for output in layer.get("Outputs", [])),
        )
        for layer in layers
        if isinstance(layer, dict)
    ]
    return Plan(kernels=tuple(kernels))


def _type_in(output: dict[str, Any]) -> str:
    text = " ".join(str(output.get(key, "")) for key in ("Format/Datatype", "Datatype", "Format")).lower()
    return (
        "half" if "fp16" in text or "half" in text else "float" if "fp32" in text or "float" in text else text.strip()
    )
