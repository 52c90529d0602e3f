"""HTML pages and SVG charts, self-contained and readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

PAGE_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
"""

CHART_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; }
.value { fill: #555; }
.bar { fill: #9aa7b5; }
.best { fill: #2f7d5b; }
@media (prefers-color-scheme: dark) { text { fill: #ddd; } .value { fill: #aaa; } }
"""

CHART_WIDTH, ROW_HEIGHT, LABEL_WIDTH, VALUE_WIDTH = 720, 30, 230, 130


def page(title: str, *sections: str) -> str:
    """A whole page; sections are HTML."""
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{PAGE_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; all cells are escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def bar_chart(title: str, bars: Sequence[tuple[str, float, str]], *, best: str | None = None) -> str:
    """A horizontal bar chart as SVG.

    Args:
        title: shown above, and read by screen readers.
        bars: (label, length, text of the value); lengths are not negative.
        best: label of the bar to set apart.
    """
    longest = max((length for _, length, _ in bars), default=0.0) or 1.0
    room = CHART_WIDTH - LABEL_WIDTH - VALUE_WIDTH
    rows = []
    for index, (label, length, value) in enumerate(bars):
        y, width = 40 + index * ROW_HEIGHT, room * length / longest
        kind = "bar best" if label == best else "bar"
        rows.append(
            f'<text x="{LABEL_WIDTH - 10}" y="{y + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y + 2}" width="{width:.1f}" height="20" rx="2"/>'
            f'<text class="value" x="{LABEL_WIDTH + width + 8:.1f}" y="{y + 16}">{escape(value)}</text>'
        )
    height = 50 + ROW_HEIGHT * len(bars)
    body = "\n".join(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CHART_WIDTH} {height}" width="{CHART_WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title, quote=True)}"><style>{CHART_STYLE}</style>\n'
        f'<text x="0" y="20" font-weight="bold">{escape(title)}</text>\n{body}\n</svg>\n'
    )
