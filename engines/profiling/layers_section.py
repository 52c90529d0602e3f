"""Times of layers as a part of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from efdn.html import bar_chart, table, wide
from engines.profiling.figures_table import fitted
from engines.profiling.result import Lane
from engines.protocol import LayerTime

MOST = 20

TEXT = (
    "Mean times of the network's parts, measured apart from the runs above, because measuring slows them down, and "
    "work between parts is not in them: they say where time goes, not how much there is."
)


def layers_section(lanes: Sequence[Lane]) -> Iterator[str]:
    """HTML about the layers of engines that tell them; nothing where none does."""
    telling = [lane for lane in lanes if lane.layers]
    if not telling:
        return
    yield f"<h3>Layers</h3>\n<p>{escape(TEXT)}</p>"
    for lane in telling:
        kinds = by_kind(lane.layers)
        total = sum(layer.ms for layer in lane.layers)
        if len(kinds) > 1:
            yield wide(bar_chart(f"{lane.name}: kinds of layers", _bars(kinds, total)))
        slowest = sorted(((layer.name, layer.ms) for layer in lane.layers), key=lambda entry: -entry[1])
        shown = [(fitted(name), ms) for name, ms in slowest[:MOST]]
        title = f"{lane.name}: the slowest {len(shown)} of {len(slowest)} layers, {total:.3f} ms together"
        yield wide(bar_chart(title, _bars(shown, total)))
        rows = [
            (layer.name, layer.kind, f"{layer.ms:.4f}", f"{layer.ms / total:.1%}" if total else "")
            for layer in lane.layers
        ]
        summary = escape(f"all layers of {lane.name}, as they run")
        content = wide(table(["layer", "kind", "ms", "share"], rows, words=(1,)))
        yield f"<details><summary>{summary}</summary>\n{content}</details>"


def by_kind(layers: Sequence[LayerTime]) -> list[tuple[str, float]]:
    """(kind and how many of it, milliseconds of all of them), the slowest first; none where kinds are not told."""
    totals: dict[str, list[float]] = {}
    for layer in layers:
        totals.setdefault(layer.kind, []).append(layer.ms)
    if set(totals) == {""}:
        return []
    found = [(f"{kind or 'other'} ({len(times)})", sum(times)) for kind, times in totals.items()]
    return sorted(found, key=lambda entry: -entry[1])


def _bars(entries: Sequence[tuple[str, float]], total: float) -> list[tuple[str, float, str]]:
    return [(name, ms, f"{ms:.3f} ms, {ms / total:.0%}" if total else "0 ms") for name, ms in entries]
