"""How `efdn-doctor` shows what it found."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer

from cli.layout import line_length
from engines.doctor.finding import Finding, State
from engines.doctor.summary import Summary, summarise
from engines.doctor.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from engines.doctor.examine import Examination

LINE_LENGTH = 100
INDENT, GAP, ARROW = "  ", "  ", "-> "

MARKS = {State.OK: "ok", State.NOTE: "note", State.PROBLEM: "problem", State.ABSENT: "-"}
COLOURS = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "red", State.ABSENT: None}
STATES = {
    Outcome.RUNS: State.OK,
    Outcome.READY: State.OK,
    Outcome.BUILD: State.NOTE,
    Outcome.WRONG: State.PROBLEM,
    Outcome.CRASHES: State.PROBLEM,
    Outcome.NO: State.ABSENT,
}
MARK_WIDTH = max(map(len, MARKS.values()))

Row = tuple[State, str, str, "str | None"]
"""How it is, name, text and remedy."""


def as_text(examination: Examination, *, colour: bool = False) -> str:
    """Titles, and under them marks, names and texts in columns; remedies below what they mend."""
    sections: dict[str, list[Row]] = {}
    for finding in examination.findings:
        sections.setdefault(finding.topic, []).append(_row(finding))
    sections["engines"] = [_verdict_row(verdict) for verdict in examination.verdicts]
    width = max(len(name) for rows in sections.values() for _, name, _, _ in rows)
    blocks = ["\n".join([title, *_lines(rows, width, colour=colour)]) for title, rows in sections.items()]
    return "\n\n".join([*blocks, _summary(summarise(examination), tried=examination.tried)])


def _row(finding: Finding) -> Row:
    return finding.state, finding.name, finding.text, finding.remedy


def _verdict_row(verdict: Verdict) -> Row:
    on_file = "" if verdict.model is None else f" with {verdict.model}"
    return STATES[verdict.outcome], verdict.engine, f"{verdict.outcome.value}{on_file}: {verdict.text}", verdict.remedy


def _lines(rows: list[Row], width: int, *, colour: bool) -> list[str]:
    lines = []
    margin = " " * (len(INDENT) + MARK_WIDTH + len(GAP) + width + len(GAP))
    for state, name, text, remedy in rows:
        mark = MARKS[state].ljust(MARK_WIDTH)
        if colour and COLOURS[state]:
            mark = typer.style(mark, fg=COLOURS[state])
        first, *others = _wrapped(text, line_length(LINE_LENGTH) - len(margin))
        lines.append(f"{INDENT}{mark}{GAP}{name.ljust(width)}{GAP}{first}")
        lines += [margin + line for line in others]
        # Whole however long: it is to be copied.
        lines += [f"{margin}{ARROW}{line}" for line in (remedy or "").splitlines()]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 30), break_long_words=False, break_on_hyphens=False) or [""]


def _summary(summary: Summary, *, tried: bool) -> str:
    what = "engines that run here" if tried else "engines that have what they need here (none was run)"
    lines = textwrap.wrap(
        f"{what}: {', '.join(summary.running) or 'none'}"
        + (f"; preferred: {summary.preferred}, because {summary.because}" if summary.preferred else ""),
        line_length(LINE_LENGTH),
        break_on_hyphens=False,
    )
    return "\n".join([*lines, "next:", *(f"{INDENT}{line}" for line in summary.next)])
