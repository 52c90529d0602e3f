"""The plan of a TensorRT engine: which kernels it runs, in which types, and what they read and write.

Read from what the RTX builder logs, which needs no GPU, or from the engine
inspector of standard TensorRT, which needs the one that built it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from export.kernel import Category, Kernel, PlanTensor, total_bytes

__all__ = [
    "Category",
    "Group",
    "Kernel",
    "Plan",
    "PlanTensor",
    "plan_from_build_log",
    "plan_from_inspector",
    "plan_to_json",
]

PLAN_SCHEMA = 1
"""Version of what `plan_to_json` returns."""

NOT_KERNELS = ("signal", "wait", "shape_call")
"""Kinds of entry that synchronise streams or compute shapes: they have no tensors and no tactic."""

_ENTRY = re.compile(r"Name: (?P<name>.*?), LayerType: (?P<kind>.*?), (?P<rest>Inputs: \[.*)$")
_LIST = re.compile(r"(Inputs|Constants|Outputs): \[(.*?)\](?=, (?:Constants: \[|Outputs: \[|TacticName: )|$)")
_TENSOR = re.compile(
    r"\{ Name: (?P<name>[^{}]*?), (?:Dimensions: \[(?P<shape>[^\]]*)\][^{}]*?, )?Datatype: (?P<dtype>\w+)"
)
_LAYER = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
PROFILE = " [profile "
"""Part of the names of inputs of all optimization profiles but the first."""

_INSPECTED_TYPES = {"fp16": "half", "float16": "half", "fp32": "float", "float32": "float", "bf16": "bfloat16"}
_INSPECTED_TYPE = re.compile(r"\b(half|(?:fp|float)(?:16|32)|float|bf16|bfloat16|fp8|u?int8|int32|int64|bool)\b")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some kernels of a plan: how many, and the bytes of activations they move; None where not known."""

    kernels: int
    bytes_moved: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All kernels of an engine, in order."""

    kernels: tuple[Kernel, ...]

    @property
    def half_share(self) -> float:
        """Share of the kernels that put out half precision, 0..1."""
        return sum(kernel.half for kernel in self.kernels) / len(self.kernels) if self.kernels else 0.0

    @property
    def bytes_moved(self) -> int | None:
        """Activations that all kernels read and write; None for dynamic shapes."""
        return total_bytes(kernel.bytes_moved for kernel in self.kernels)

    @property
    def constant_bytes(self) -> int | None:
        """Weights, each name counted once."""
        return total_bytes(
            {tensor.name: tensor.bytes for kernel in self.kernels for tensor in kernel.constants}.values()
        )

    @property
    def input_pixels(self) -> int | None:
        """Pixels of the network's input, batch x height x width; None where it is no picture of one fixed size."""
        written = {tensor.name for kernel in self.kernels for tensor in kernel.outputs}
        outer = [tensor for kernel in self.kernels for tensor in kernel.inputs if tensor.name not in written]
        shape = next((tensor.shape or () for tensor in outer), ())
        if any(PROFILE in tensor.name for tensor in outer):
            return None  # Several profiles, each with an input of its own size.
        if len(shape) != 4 or min(shape) < 1 or 3 not in (shape[1], shape[3]):
            return None
        return math.prod(shape) // 3

    @property
    def copies(self) -> tuple[Kernel, ...]:
        """Kernels that only move data."""
        return tuple(kernel for kernel in self.kernels if kernel.copies_only)

    @property
    def copies_inside_blocks(self) -> tuple[Kernel, ...]:
        """Those of `copies` that come from a body block."""
        return tuple(kernel for kernel in self.copies if kernel.block is not None)

    def by_kind(self) -> dict[str, Group]:
        """Kernels and bytes for each of the builder's kinds, in order of appearance."""
        return self._grouped(lambda kernel: kernel.kind)

    def by_category(self) -> dict[str, Group]:
        """Kernels and bytes for each category that occurs, in the order of `Category`."""
        found = self._grouped(lambda kernel: kernel.category.value)
        return {category.value: found[category.value] for category in Category if category.value in found}

    def largest(self, count: int) -> tuple[Kernel, ...]:
        """The `count` kernels that move the most bytes, the largest first."""
        return tuple(sorted(self.kernels, key=lambda kernel: kernel.bytes_moved or 0, reverse=True)[:count])

    def _grouped(self, key: Callable[[Kernel], str]) -> dict[str, Group]:
        members: dict[str, list[Kernel]] = {}
        for kernel in self.kernels:
            members.setdefault(key(kernel), []).append(kernel)
        return {
            name: Group(kernels=len(group), bytes_moved=total_bytes(kernel.bytes_moved for kernel in group))
            for name, group in members.items()
        }


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """What is known about a plan, for a JSON file; sizes are in bytes, null where not known."""
    return {
        "schema": PLAN_SCHEMA,
        "totals": {
            "kernels": len(plan.kernels),
            "half_share": plan.half_share,
            "bytes_moved": plan.bytes_moved,
            "constant_bytes": plan.constant_bytes,
            "input_pixels": plan.input_pixels,
            "copies": len(plan.copies),
            "copies_inside_blocks": len(plan.copies_inside_blocks),
        },
        "by_category": {name: asdict(group) for name, group in plan.by_category().items()},
        "by_kind": {name: asdict(group) for name, group in plan.by_kind().items()},
        "kernels": [_kernel_to_json(kernel) for kernel in plan.kernels],
    }


def _kernel_to_json(kernel: Kernel) -> dict[str, Any]:
    return asdict(kernel) | {
        "category": kernel.category.value,
        "operations": kernel.operations,
        "block": kernel.block,
        "bytes_read": kernel.bytes_read,
        "bytes_written": kernel.bytes_written,
        "constant_bytes": kernel.constant_bytes,
    }


def plan_from_build_log(lines: Iterable[str]) -> Plan:
    """Reads the plan that the RTX builder lists at the end of a verbose build; other lines are passed over."""
    entries = (entry for entry in map(_ENTRY.match, lines) if entry and entry["kind"] not in NOT_KERNELS)
    return Plan(kernels=tuple(_logged_kernel(entry["name"], entry["kind"], entry["rest"]) for entry in entries))


def _logged_kernel(name: str, kind: str, rest: str) -> Kernel:
    # A fused kernel lists an input once for every slice it takes of it.
    lists = {
        key: tuple(
            dict.fromkeys(
                PlanTensor(name=found["name"], shape=_logged_shape(found["shape"]), dtype=found["dtype"].lower())
                for found in _TENSOR.finditer(text)
            )
        )
        for key, text in _LIST.findall(rest)
    }
    return Kernel(
        name=name,
        kind=kind,
        inputs=lists.get("Inputs", ()),
        outputs=lists.get("Outputs", ()),
        constants=lists.get("Constants", ()),
        layers=tuple(_LAYER.findall(rest)),
    )


def _logged_shape(dimensions: str | None) -> tuple[int, ...] | None:
    if dimensions is None:
        return None
    return tuple(int(side) if side.strip().isdigit() else -1 for side in dimensions.split(",") if side.strip())


def plan_from_inspector(information: str) -> Plan:
    """Reads the plan from the JSON of standard TensorRT's engine inspector; it does not tell the weights' shapes.

    Layers are objects where the engine was built with detailed verbosity. The type
    is part of a free text: "Row major linear FP16 format" before version 10, "Half"
    since.

    Raises:
        ValueError: `information` is not JSON.
    """
    layers = [layer for layer in json.loads(information).get("Layers", []) if isinstance(layer, dict)]
    kernels = [
        Kernel(
            name=str(layer.get("Name", "")),
            kind=str(layer.get("LayerType", "")),
            inputs=tuple(dict.fromkeys(map(_inspected_tensor, layer.get("Inputs", [])))),
            outputs=tuple(map(_inspected_tensor, layer.get("Outputs", []))),
            layers=tuple(_LAYER.findall(str(layer.get("Metadata", "")))),
        )
        for layer in layers
        if layer.get("LayerType") not in NOT_KERNELS
    ]
    return Plan(kernels=tuple(kernels))


def _inspected_tensor(tensor: dict[str, Any]) -> PlanTensor:
    text = " ".join(str(tensor.get(key, "")) for key in ("Format/Datatype", "Datatype", "Format")).lower()
    dtype = _INSPECTED_TYPE.search(text)
    sides = tensor.get("Dimensions")
    return PlanTensor(
        name=str(tensor.get("Name", "")),
        shape=tuple(map(int, sides)) if isinstance(sides, list) else None,
        dtype=_INSPECTED_TYPES.get(dtype[1], dtype[1]) if dtype else text.strip(),
    )
