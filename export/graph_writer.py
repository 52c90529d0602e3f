"""Writes an ONNX graph node by node, in one opset, and in one precision but for the parts that are kept in FP32."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.precision import Precision, to_precision

FIRST_OPSET_WITH_GELU = 20
END = np.iinfo(np.int64).max
"""As the end of a slice: up to the last element, whatever the size."""


class GraphWriter:
    """Collects nodes and constants; every method that adds a node returns its output's name.

    Names follow `scope`, so that a viewer and a profiler show which part of the
    network a node belongs to. Float constants take the writer's precision.

    Args:
        opset: version of the default ONNX operator set to write for.
        precision: of weights and activations.
        keep_fp32: patterns of scopes, such as `body.0` or `body.*/attention`; what they match,
            and all inside, is written in FP32. A trailing `/*` is taken to mean the scope itself.

    Attributes:
        unmatched: the patterns that no scope has matched so far.
    """

    def __init__(self, opset: int, precision: Precision, keep_fp32: Sequence[str] = ()) -> None:
        self.opset = opset
        self.default_precision = precision
        self.keep_fp32 = tuple(keep_fp32)
        self.unmatched = list(keep_fp32)
        self.scopes_seen: list[str] = []
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._precisions: dict[str, Precision] = {}
        self._scopes: list[str] = []
        self._kept = [False]
        self._names: dict[str, int] = {}

    @property
    def precision(self) -> Precision:
        """Of what is being written."""
        return Precision.FP32 if self._kept[-1] else self.default_precision

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefixes the names of everything added inside."""
        self._scopes.append(name)
        path = "/".join(self._scopes)
        self.scopes_seen.append(path)
        matching = [pattern for pattern in self.keep_fp32 if fnmatchcase(path, pattern.removesuffix("/*"))]
        self.unmatched = [pattern for pattern in self.unmatched if pattern not in matching]
        self._kept.append(self._kept[-1] or bool(matching))
        try:
            yield
        finally:
            self._scopes.pop()
            self._kept.pop()

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node of one output, named after the scope and the operator; float inputs are cast where needed."""
        converted = [self._as_current(name) for name in inputs]
        output = self._node(kind, *converted, **attributes)
        if any(name in self._precisions for name in converted):
            self._precisions[output] = self.precision
        return output

    def shape(self, x: str) -> str:
        """The shape of a tensor as int64, whatever the precision."""
        return self._node("Shape", x)

    def enter(self, x: str) -> str:
        """Casts a tensor of any type to the graph's precision."""
        return self._cast(x, self.precision)

    def weights(self, name: str, values: NDArray[np.floating]) -> str:
        """Adds a float constant under the current scope.

        Raises:
            ExportError: a value does not fit the precision.
        """
        full = self._fresh("/".join([*self._scopes, name]))
        self._add(full, to_precision(full, values, self.precision))
        self._precisions[full] = self.precision
        return full

    def scalar(self, value: float) -> str:
        """A float constant of no dimensions, shared between equal ones."""
        name = f"scalar_{value:.9g}" + ("_fp32" if self.precision is not self.default_precision else "")
        if name not in self.initializers:
            self._add(name, to_precision(name, np.asarray(value), self.precision))
            self._precisions[name] = self.precision
        return name

    def integers(self, values: Sequence[int]) -> str:
        """An int64 vector constant, shared between equal ones."""
        name = "int_" + "_".join("end" if value == END else str(value) for value in values)
        if name not in self.initializers:
            self._add(name, np.asarray(values, dtype=np.int64))
        return name

    def slice(self, x: str, **ranges: tuple[int, int]) -> str:
        """Cuts (start, end) ranges out of the axes named `channels`, `height` and `width`."""
        axes = [{"channels": 1, "height": 2, "width": 3}[axis] for axis in ranges]
        starts, ends = zip(*ranges.values(), strict=True)
        return self.op("Slice", x, self.integers(starts), self.integers(ends), self.integers(axes))

    def gelu(self, x: str) -> str:
        """Exact GELU; spelled out where the operator set has no such operator."""
        if self.opset >= FIRST_OPSET_WITH_GELU:
            return self.op("Gelu", x)
        erf = self.op("Erf", self.op("Div", x, self.scalar(2**0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.scalar(1.0))), self.scalar(0.5))

    def conv(
        self,
        x: str,
        name: str,
        weight: NDArray[np.floating],
        bias: NDArray[np.floating] | None = None,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> str:
        """A convolution with an odd square kernel.

        Args:
            x: name of the (N, C, H, W) input.
            name: scope of its constants and node.
            weight: (out, in / groups, k, k).
            bias: (out,).
            stride: both ways.
            padding: zeros on each side; half the kernel without.
            groups: of channels.
        """
        size = weight.shape[2]
        padding = size // 2 if padding is None else padding
        with self.scope(name):
            constants = [self.weights("weight", weight)] + ([] if bias is None else [self.weights("bias", bias)])
            return self.op(
                "Conv",
                x,
                *constants,
                kernel_shape=[size, size],
                pads=[padding] * 4,
                strides=[stride, stride],
                group=groups,
            )

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        *,
        name: str,
        doc: str,
        metadata: dict[str, str],
        producer_version: str,
    ) -> onnx.ModelProto:
        """The finished model, at the lowest IR version that its opset allows."""
        opsets = [helper.make_opsetid("", self.opset)]
        graph = helper.make_graph(
            self.nodes, name, list(inputs), list(outputs), list(self.initializers.values()), doc_string=doc
        )
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="efdn",
            producer_version=producer_version,
        )
        helper.set_model_props(model, metadata)
        return model

    def leave(self, x: str, to: TensorProto.DataType) -> str:
        """Casts a tensor to the type of an output."""
        return self._node("Cast", x, to=to)

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._fresh("/".join([*self._scopes, kind]))
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _cast(self, x: str, to: Precision) -> str:
        result = self._node("Cast", x, to=to.tensor_type)
        self._precisions[result] = to
        return result

    def _as_current(self, x: str) -> str:
        """A float tensor in the precision of what is being written; any other as it is."""
        precision = self._precisions.get(x, self.precision)
        return x if precision is self.precision else self._cast(x, self.precision)

    def _add(self, name: str, values: NDArray[Any]) -> None:
        self.initializers[name] = numpy_helper.from_array(values, name)

    def _fresh(self, name: str) -> str:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else f"{re.sub('_[0-9]+$', '', name)}_{count}"
