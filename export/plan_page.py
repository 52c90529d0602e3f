"""A plan as a page to look at and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from efdn.errors import OutputError
from efdn.files import check_target, staged, write_json
from efdn.html import Segment, page, stacked_chart, table
from efdn.sidecar import sidecar_path
from export.kernel import Category, Kernel, PlanTensor, total_bytes
from export.plan import Plan, plan_to_json

COLOURS = {
    Category.CONVOLUTION: "#4a7fc1",
    Category.POINTWISE: "#2f9d6e",
    Category.POOLING: "#9a6fc0",
    Category.RESIZE: "#d9a021",
    Category.COPY: "#d8483e",
    Category.OTHER: "#8a8f98",
}
MEANINGS = {
    Category.CONVOLUTION: "convolutions and matrix products, with what is fused into them",
    Category.POINTWISE: "arithmetic on elements, with the slices, joins and resizes fused into it",
    Category.POOLING: "pooling",
    Category.RESIZE: "resizing, with the copies fused into it",
    Category.COPY: "nothing but moving data: slices, joins, padding, transposes",
    Category.OTHER: "what the builder's name does not tell",
}
INTRODUCTION = (
    "TensorRT turns a network into a list of GPU kernels, its plan. This page shows which they are and how many bytes "
    "of activations pass through each, counted as if it read and wrote every one of its tensors once and whole. It was "
    "read from what TensorRT says of the engine; nothing was run. Caches, weights and time are not in these figures."
)
ALIKE = "Kernels that differ in nothing but their block share a row; body.* stands for any block."
COPIES = (
    "Kernels that compute nothing. Where a copy comes from a convolution, the builder put it there, mostly to "
    "pad the channels to a number that its convolution takes; where it comes from a Concat, Slice or Transpose, that "
    "was not fused with a neighbour."
)
OPERATIONS = (
    "Operations are named as the builder does: Slic is a slice, Conc a join, Tran a transpose, Resi a resize, Corr a "
    "convolution; Etc stands where it cut its list off."
)
MOST_GROUPS = 20
MOST_NAMES = 5


def plan_page(plan: Plan, title: str, facts: Sequence[tuple[str, str]]) -> str:
    """One self-contained HTML page about a plan.

    Args:
        plan: any, an empty one too.
        title: its heading.
        facts: (name, value) pairs to show above the plan's own, such as the GPU and the shape.
    """
    return page(
        title,
        f"<p>{escape(INTRODUCTION)}</p>",
        table(["", ""], [*facts, *_summary(plan)], words=(1,)),
        "<h2>The plan at a glance</h2>",
        *_picture(plan),
        "<h2>Kinds of kernels</h2>",
        _wide(_categories(plan)),
        "<h2>What moves the most</h2>",
        f"<p>{escape(ALIKE)}</p>",
        _alike(plan.kernels, MOST_GROUPS),
        f"<h2>Copies ({len(plan.copies)})</h2>",
        f"<p>{escape(COPIES if plan.copies else 'None: no kernel only moves data.')}</p>",
        _alike(plan.copies, len(plan.copies)) if plan.copies else "",
        f"<h2>All kernels ({len(plan.kernels)})</h2>",
        f"<p>{escape(OPERATIONS)}</p>",
        _wide(_kernels(plan)),
    )


def check_plan_target(path: Path, engine: Path) -> None:
    """Raises OutputError unless a plan can be written there; to be asked before any work."""
    if path.suffix.lower() != ".json":
        raise OutputError(f"cannot write {path}: expected a name ending in .json, the page beside it ends in .html")
    if path.resolve() == sidecar_path(engine).resolve():
        raise OutputError(f"cannot write {path}: that is the sidecar of {engine}; give --plan another name")
    check_target(path)
    check_target(path.with_suffix(".html"))


def write_plan(path: Path, plan: Plan, title: str, facts: Sequence[tuple[str, str]]) -> None:
    """Writes the plan as JSON at `path`, and its page beside it under the same name with the ending .html.

    Args:
        path: such as plan.json; what stands at either name is replaced.
        plan: the plan.
        title: of the page.
        facts: see `plan_page`; they are in the JSON too.

    Raises:
        OutputError: one of the two cannot be written; then neither is.
    """
    page_path = path.with_suffix(".html")
    if path.suffix.lower() == page_path.suffix:
        raise OutputError(f"cannot write {path}: the page beside it would have the same name; end it in .json")
    check_target(path)
    with staged(page_path) as temporary:
        temporary.write_text(plan_page(plan, title, facts), encoding="utf-8")
        write_json(path, {"title": title, "facts": dict(facts), **plan_to_json(plan)})


def _summary(plan: Plan) -> list[tuple[str, str]]:
    moved, pixels = plan.bytes_moved, plan.input_pixels
    each = f", {moved / pixels / 1000:.2f} kB for each pixel of the input" if moved is not None and pixels else ""
    copies = "none"
    if plan.copies:
        copied = total_bytes(kernel.bytes_moved for kernel in plan.copies)
        share = f", {copied / moved:.1%} of the bytes moved" if copied is not None and moved else ""
        copies = f"{len(plan.copies)}, {len(plan.copies_inside_blocks)} of them inside the body's blocks{share}"
    return [
        ("kernels", f"{len(plan.kernels)}, {plan.half_share:.1%} of them put out half precision"),
        ("bytes moved", _size(moved) + each if moved is not None else "not known: the shape of a tensor is not fixed"),
        ("weights and other constants", _size(plan.constant_bytes)),
        ("kernels that only copy", copies),
    ]


def parts_of(plan: Plan) -> dict[str, list[tuple[int, Kernel]]]:
    """Kernels, numbered from 0, by part of the network: head, body.0, body.1 and so on, tail.

    One without a block stands in the head, in the tail, or with the block before it.
    """
    with_block = [index for index, kernel in enumerate(plan.kernels) if kernel.block is not None]
    last = with_block[-1] if with_block else -1
    rows: dict[str, list[tuple[int, Kernel]]] = {}
    part = "head" if with_block else "network"
    for index, kernel in enumerate(plan.kernels):
        part = f"body.{kernel.block}" if kernel.block is not None else "tail" if with_block and index > last else part
        rows.setdefault(part, []).append((index, kernel))
    return rows


def _picture(plan: Plan) -> Sequence[str]:
    known = plan.bytes_moved is not None
    rows = []
    for part, members in parts_of(plan).items():
        segments = [
            Segment(
                length=float(kernel.bytes_moved or 0) if known else 1.0,
                kind=kernel.category.value,
                tooltip=_tooltip(index, kernel),
            )
            for index, kernel in members
        ]
        size = f"{_size(total_bytes(kernel.bytes_moved for _, kernel in members))}, " if known else ""
        rows.append((part, segments, f"{size}{_count(len(members), 'kernel')}"))
    used = plan.by_category()
    colours: dict[str, str] = {category.value: colour for category, colour in COLOURS.items() if category.value in used}
    if known:
        note = "A box is a kernel, as wide as the bytes it moves; a hair line is one too small to be seen otherwise."
    else:
        note = "A box is a kernel. Not all sizes are known before the engine runs, so all boxes are equally wide."
    chart = stacked_chart("Kernels in the order they run, one row for each part of the network", rows, colours)
    return chart, f"<p>{note} Point at one to read its name. A kernel made of two blocks stands with the later.</p>"


def _tooltip(index: int, kernel: Kernel) -> str:
    lines = [
        f"#{index} {kernel.category.value}: {kernel.name}",
        *(f"reads {_tensor(tensor)}" for tensor in kernel.inputs),
        *(f"writes {_tensor(tensor)}" for tensor in kernel.outputs),
        f"made of {_layers(kernel.layers)}" if kernel.layers else "",
    ]
    return "\n".join(line for line in lines if line)


def _categories(plan: Plan) -> str:
    moved = plan.bytes_moved
    rows = [
        (
            name,
            MEANINGS[Category(name)],
            group.kernels,
            _size(group.bytes_moved),
            f"{group.bytes_moved / moved:.1%}" if group.bytes_moved is not None and moved else "",
        )
        for name, group in plan.by_category().items()
    ]
    return table(["category", "what it does", "kernels", "moved", "share"], rows, words=(1,))


def _alike(kernels: Iterable[Kernel], most: int) -> str:
    """A table in which kernels that differ in nothing but their block share a row, those that move most first."""
    groups: dict[tuple[str, str, str], list[Kernel]] = {}
    for kernel in kernels:
        origin = _layers(re.sub(r"\bbody\.\d+/", "body.*/", layer) for layer in kernel.layers) or kernel.name
        shapes = f"{_shapes(kernel.inputs)} → {_shapes(kernel.outputs)}"
        groups.setdefault((origin, kernel.category.value, shapes), []).append(kernel)
    sized = [(group, total_bytes(kernel.bytes_moved for kernel in members)) for group, members in groups.items()]
    sized.sort(key=lambda entry: entry[1] or 0, reverse=True)
    rows = [(*group, len(groups[group]), _size(size)) for group, size in sized[:most]]
    return _wide(table(["ONNX nodes", "category", "shapes", "kernels", "moved"], rows, words=(1, 2)))


def _kernels(plan: Plan) -> str:
    rows = [
        (
            index,
            part,
            kernel.category.value,
            _counted(kernel.operations) or kernel.kind,
            _layers(kernel.layers) or kernel.name,
            f"{_shapes(kernel.outputs)} {', '.join(dict.fromkeys(kernel.output_types))}",
            _size(kernel.bytes_read),
            _size(kernel.bytes_written),
        )
        for part, members in parts_of(plan).items()
        for index, kernel in members
    ]
    header = ["#", "part", "category", "operations", "ONNX nodes", "output", "reads", "writes"]
    return table(header, rows, words=(1, 2, 3, 4, 5))


def _layers(layers: Iterable[str]) -> str:
    """Node names without their numbers."""
    return _counted(re.sub(r"_\d+$", "", layer) for layer in layers)


def _counted(names: Iterable[str]) -> str:
    """Names with their counts, the most frequent first."""
    counts = Counter(names).most_common()
    shown = [name if count == 1 else f"{name} x{count}" for name, count in counts[:MOST_NAMES]]
    return ", ".join(shown) + (f" and {len(counts) - MOST_NAMES} more" if len(counts) > MOST_NAMES else "")


def _shapes(tensors: Iterable[PlanTensor]) -> str:
    counts = Counter(_shape(tensor) for tensor in tensors)
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for shape, count in counts.items())


def _shape(tensor: PlanTensor) -> str:
    return "?" if tensor.shape is None else "x".join("?" if side < 0 else str(side) for side in tensor.shape)


def _tensor(tensor: PlanTensor) -> str:
    return f"{_size(tensor.bytes)}: {_shape(tensor)} {tensor.dtype}, {tensor.name}"


def _size(size: int | None) -> str:
    if size is None:
        return "unknown"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wide(content: str) -> str:
    return f'<div class="wide">{content}</div>'
