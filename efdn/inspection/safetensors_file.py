"""What a safetensors file holds: a length, a JSON header of that length, the tensors' bytes.

https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from efdn.inspection.details import Content, MalformedError, Section, bytes_text, metadata_section, printable
from efdn.inspection.tensors import TensorEntry, checked_shape, learnable_parameters, tensor_facts
from efdn.sidecar import Sidecar

LENGTH_BYTES = 8
METADATA = "__metadata__"
OFFSET_LIMIT = 1 << 64

# By the name that the header uses: the usual one, and the bits of one element.
TYPES = {
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8e4m3", 8),
    "F8_E5M2": ("float8e5m2", 8),
    "I64": ("int64", 64),
    "I32": ("int32", 32),
    "I16": ("int16", 16),
    "I8": ("int8", 8),
    "U64": ("uint64", 64),
    "U32": ("uint32", 32),
    "U16": ("uint16", 16),
    "U8": ("uint8", 8),
    "BOOL": ("bool", 8),
}


@dataclass(frozen=True, kw_only=True)
class SafetensorsDetails:
    """What a safetensors file holds.

    Attributes:
        parameters: learnable numbers, without running statistics.
        tensors: in the order of their bytes.
        data_bytes: of all tensors.
        metadata: what its writer added.
    """

    parameters: int
    tensors: tuple[TensorEntry, ...]
    data_bytes: int
    metadata: dict[str, str]

    def sections(self) -> list[Section]:
        rows = [*tensor_facts(self.tensors), ("data", bytes_text(self.data_bytes))]
        return [("tensors", rows), metadata_section(self.metadata)]

    def contradictions(self, sidecar: Sidecar) -> list[str]:
        return []


def read_safetensors(content: Content) -> SafetensorsDetails:
    """Reads the header of a safetensors file, and whether the rest is there.

    Raises:
        MalformedError: broken or cut off.
    """
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    if start > len(content):
        raise MalformedError(f"its header ends at byte {start:,}, the file at {len(content):,}")
    try:
        header = json.loads(str(content[LENGTH_BYTES:start], "utf-8"))
        metadata = {str(key): str(value) for key, value in header.pop(METADATA, {}).items()}
        placed = sorted((_place(name, entry) for name, entry in header.items()), key=lambda pair: pair[0])
    # Deep nesting ends in the last of them.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(f"its header cannot be read ({' '.join(str(error).split()) or 'nested'})") from error
    end = 0
    for (begin, stop), tensor in placed:
        if begin != end:
            raise MalformedError(f"{printable(tensor.name)} begins at byte {begin:,} of the data, expected {end:,}")
        end = stop
    if start + end != len(content):
        raise MalformedError(f"its tensors end at byte {start + end:,}, the file at {len(content):,}")
    tensors = tuple(tensor for _, tensor in placed)
    return SafetensorsDetails(
        parameters=learnable_parameters(tensors), tensors=tensors, data_bytes=end, metadata=metadata
    )


def _place(name: str, entry: Any) -> tuple[tuple[int, int], TensorEntry]:
    """Where a tensor's bytes begin and end, and what it is."""
    begin, stop = entry["data_offsets"]
    shape = checked_shape(entry["shape"], name)
    dtype, bits = TYPES.get(entry["dtype"], (str(entry["dtype"]), None))
    if type(begin) is not int or type(stop) is not int or not 0 <= begin <= stop < OFFSET_LIMIT:
        raise ValueError(f"{printable(name)} has offsets that no tensor can have")
    if bits is not None and stop - begin != math.prod(shape) * bits // 8:
        raise ValueError(f"{printable(name)} takes {stop - begin:,} bytes, which is not what its shape needs")
    return (begin, stop), TensorEntry(name=name, dtype=dtype, shape=shape)
