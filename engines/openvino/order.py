"""Has OpenVINO add up a network's blocks as they are done.

OpenVINO brings a graph's nodes into an order of its own, depth first, and so would leave the sums of the tail's first
1x1 (pass `add_up_blocks`) for the end, with the outputs of all blocks in memory till then. Here each block's attention
reads the size of its map off the sum so far, which is the same size, so that the sum has to be there.
"""

from __future__ import annotations

from typing import Any

TERM, RESIZE = "fusion/{}/Conv", "body.{}/attention/Resize"
"""Nodes of exported graphs: what a block adds to the sum, and what brings its attention to the size of the map."""

SIZES = 1
"""Input of a resize."""


def tie_sums(openvino: Any, graph: Any) -> int:
    """Ties each block of a graph to the sum before it; graphs without such sums stay as they are.

    Args:
        openvino: the package.
        graph: as read from an ONNX file; changed in place. With fixed shapes OpenVINO undoes it: sizes are known.

    Returns:
        Number of blocks tied.
    """
    nodes = {node.get_friendly_name(): node for node in graph.get_ops()}
    tied, total = 0, nodes.get(TERM.format(0))
    while total is not None and (resize := nodes.get(RESIZE.format(tied + 1))) is not None:
        sizes = _sizes(openvino, total, resize.input_value(SIZES))
        resize.input(SIZES).replace_source_output(sizes.output(0))
        tied += 1
        term = nodes.get(TERM.format(tied))
        added = None if term is None else next(iter(term.output(0).get_target_inputs()), None)
        total = None if added is None else added.get_node()
    return tied


def _sizes(openvino: Any, total: Any, like: Any) -> Any:
    """(N, C, H, W) with the channels of `like`, and the rest of the sum."""
    operators = openvino.opset13
    shape = operators.shape_of(total)

    def part(of: Any, start: int, stop: int) -> Any:
        axis = [operators.constant([number], dtype="int64") for number in (start, stop, 1, 0)]
        return operators.slice(of, *axis)

    return operators.concat([part(shape, 0, 1), part(like, 1, 2), part(shape, 2, 4)], 0)
