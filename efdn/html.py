"""HTML pages and SVG charts, self-contained and readable in light and dark."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

PAGE_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child, .words { text-align: left; }
td:not(.words):not(:first-child) { white-space: nowrap; }
.wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; }
.wide svg { max-width: none; }
.segment:hover { opacity: .6; }
"""

CHART_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; }
.value { fill: #555; }
.bar { fill: #9aa7b5; }
.best { fill: #2f7d5b; }
.title { font-weight: bold; }
.grid { stroke: #888; stroke-opacity: .3; }
@media (prefers-color-scheme: dark) { text { fill: #ddd; } .value { fill: #aaa; } }
"""

CHART_WIDTH, ROW_HEIGHT, LABEL_WIDTH, VALUE_WIDTH = 720, 30, 230, 130
STACK_WIDTH, STACK_LABEL_WIDTH, STACK_VALUE_WIDTH, THINNEST = 920, 80, 170, 3


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table with more than text.

    Attributes:
        text: shown.
        kind: CSS class, such as `good` or `bad`.
        tooltip: shown over it.
    """

    text: str
    kind: str = ""
    tooltip: str = ""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a row of `stacked_chart`.

    Attributes:
        length: not negative.
        kind: a key of the chart's colours.
        tooltip: shown over it; lines are kept.
    """

    length: float
    kind: str
    tooltip: str


def page(title: str, *sections: str, style: str = "") -> str:
    """A whole page; sections are HTML, `style` is CSS beyond the common one."""
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{PAGE_STYLE}{style}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    words: Collection[int] = (),
    groups: Sequence[tuple[str, int]] = (),
) -> str:
    """A table; all cells are escaped.

    Args:
        header: names of the columns.
        rows: what `str` shows, or `Cell`.
        words: indices of columns that are aligned left, as the first one always is.
        groups: (name, number of columns) for a line above the header.
    """
    over = "".join(f'<th class="group" colspan="{span}">{escape(name)}</th>' for name, span in groups)
    head = (f"<tr>{over}</tr>" if groups else "") + _row("th", header, words)
    body = "\n".join(_row("td", row, words) for row in rows)
    return f"<table><thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table>"


def _row(tag: str, cells: Sequence[object], words: Collection[int]) -> str:
    return f"<tr>{''.join(_cell(tag, cell, index in words) for index, cell in enumerate(cells))}</tr>"


def _cell(tag: str, content: object, words: bool) -> str:
    cell = content if isinstance(content, Cell) else Cell(text=str(content))
    kinds = " ".join(kind for kind in ("words" if words else "", cell.kind) if kind)
    attributes = f' class="{kinds}"' if kinds else ""
    if cell.tooltip:
        attributes += f' title="{escape(cell.tooltip, quote=True)}"'
    return f"<{tag}{attributes}>{escape(cell.text)}</{tag}>"


def section(heading: str, text: str) -> str:
    """A heading and a paragraph; both are escaped."""
    return f"<h2>{escape(heading)}</h2>\n<p>{escape(text)}</p>"


def wide(content: str, kind: str = "") -> str:
    """HTML that may be wider than the screen, and is then scrolled by itself; `kind` is a CSS class."""
    return f'<div class="{f"wide {kind}".strip()}">{content}</div>'


def bar_chart(
    title: str, bars: Sequence[tuple[str, float, str]], *, best: str | None = None, label_width: int = LABEL_WIDTH
) -> str:
    """A horizontal bar chart as SVG.

    Args:
        title: shown above, and read by screen readers.
        bars: (label, length, text of the value); lengths are not negative.
        best: label of the bar to set apart.
        label_width: room for the labels, in pixels.
    """
    longest = max((length for _, length, _ in bars), default=0.0) or 1.0
    room = CHART_WIDTH - label_width - VALUE_WIDTH
    rows = []
    for index, (label, length, value) in enumerate(bars):
        y, width = 40 + index * ROW_HEIGHT, room * length / longest
        kind = "bar best" if label == best else "bar"
        rows.append(
            f'<text x="{label_width - 10}" y="{y + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{label_width}" y="{y + 2}" width="{width:.1f}" height="20" rx="2"/>'
            f'<text class="value" x="{label_width + width + 8:.1f}" y="{y + 16}">{escape(value)}</text>'
        )
    return svg(title, CHART_WIDTH, 50 + ROW_HEIGHT * len(bars), rows)


def stacked_chart(
    title: str,
    rows: Sequence[tuple[str, Sequence[Segment], str]],
    colours: Mapping[str, str],
    *,
    label_width: int = STACK_LABEL_WIDTH,
) -> str:
    """Rows of coloured segments on one scale, with a legend, as SVG.

    Args:
        title: shown above, and read by screen readers.
        rows: (label, segments, text of the value). A segment too short to be seen is drawn as a thin line.
        colours: of each kind of segment, in the legend's order; to be seen on white and on black.
        label_width: room for the labels, in pixels.
    """
    room = STACK_WIDTH - label_width - STACK_VALUE_WIDTH
    totals = [(sum(segment.length for segment in segments), len(segments)) for _, segments, _ in rows]
    scale = min(((room - THINNEST * count) / total for total, count in totals if total), default=0.0)
    drawn = [legend(colours, label_width)]
    for index, (label, segments, value) in enumerate(rows):
        y, x = 70 + index * ROW_HEIGHT, float(label_width)
        drawn.append(f'<text x="{x - 10:.0f}" y="{y + 16}" text-anchor="end">{escape(label)}</text>')
        for segment in segments:
            width = max(segment.length * scale, THINNEST)
            drawn.append(
                f'<rect class="segment" x="{x:.1f}" y="{y}" width="{width - 1:.1f}" height="22" '
                f'fill="{colours[segment.kind]}"><title>{escape(segment.tooltip)}</title></rect>'
            )
            x += width
        drawn.append(f'<text class="value" x="{x + 8:.1f}" y="{y + 16}">{escape(value)}</text>')
    return svg(title, STACK_WIDTH, 80 + ROW_HEIGHT * len(rows), drawn)


def legend(colours: Mapping[str, str], left: int) -> str:
    """What colours stand for, in a row under the title, as SVG elements.

    Args:
        colours: by name, in their order.
        left: where the row begins, in pixels.
    """
    entries, x = [], float(left)
    for kind, colour in colours.items():
        entries.append(
            f'<rect x="{x:.0f}" y="38" width="14" height="14" rx="2" fill="{colour}"/>'
            f'<text x="{x + 20:.0f}" y="50">{escape(kind)}</text>'
        )
        x += 45 + 7.5 * len(kind)
    return "".join(entries)


def svg(title: str, width: int, height: int, drawn: Sequence[str]) -> str:
    """A titled SVG picture of elements that are SVG already."""
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title, quote=True)}"><style>{CHART_STYLE}</style>\n'
        f'<text class="title" x="0" y="20">{escape(title)}</text>\n{body}\n</svg>\n'
    )
