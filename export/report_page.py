"""A verification report as a page to look at, with the same as JSON beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

from efdn.errors import OutputError
from efdn.files import reason_of, staged, write_json
from efdn.html import page, section, table, wide
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.report import Report, StageCheck
from export.report_json import report_to_json
from export.report_pictures import pictures_section
from export.report_ranges import growth_section, ranges_section
from export.stage_tables import (
    by_stage,
    error_text,
    failure_text,
    picture_table,
    stage_chart,
    stage_table,
    tolerances_of,
)
from export.verification import EXACT

JSON_NAME, PAGE_NAME = "report.json", "index.html"

STYLE = """
body { max-width: 66rem; }
h1, .facts .words, figcaption, summary { overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; }
.verdict { border-left: .4rem solid; padding: .75rem 1rem; margin: 1rem 0; font-size: 1.1rem; overflow-wrap: anywhere; }
.verdict strong { display: block; }
.verdict.good { border-color: #2f9d6e; background: #2f9d6e22; }
.verdict.warn { border-color: #d9a021; background: #d9a02122; }
.verdict.bad { border-color: #d8483e; background: #d8483e22; }
td.good { color: light-dark(#1f7a52, #6fd0a4); }
td.warn { color: light-dark(#8a6200, #e8bd5a); }
td.bad { color: light-dark(#b3261e, #ff8a80); font-weight: 600; }
.wide table { font-size: .875rem; }
.wide th, .wide td { padding: .25rem .5rem; vertical-align: top; }
.wide th { vertical-align: bottom; }
.stages td, th.group { white-space: nowrap; }
.stages td.long { white-space: normal; min-width: 9rem; }
.stages th:first-child, .stages td:first-child { position: sticky; left: 0; background: Canvas; }
th.group { text-align: center; border-bottom: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; }
.pictures figure { margin: 0; max-width: 100%; width: 256px; }
.pictures img { max-width: 100%; height: auto; image-rendering: pixelated; display: block; outline: 1px solid #8884; }
figcaption { font-size: .875rem; }
summary { cursor: pointer; padding: .25rem 0; }
"""

INTRODUCTION = (
    "Every stage on the way from the trained network to the file is compared with the stage before it (the first with "
    "the trained network in float64) and with the trained network in PyTorch FP32. Each figure is the worst over all "
    "pictures; point at it to read on which. Errors are shares of the range, 0 to {data_range:g}; grey levels are the "
    "largest difference after rounding to 8 bits, and 'differ' is the share of 8-bit values that are not the same. "
    "Where two limits are allowed, the first is for the stage before."
)
TOLERANCES = (
    "Passes rewrite the network without changing what it computes. They run in float64, where rounding shows in the "
    "15th digit, so that more than {exact:.0e} from the stage before is a mistake. A file rounds to its own number "
    "format at every operation and is held to what that format can keep. PyTorch in FP32 rounds too, so that not even "
    "exact stages agree with it to the last digit."
)
HALF = " Files in half precision are run operation by operation in their own types, as accelerators do at their worst."
EIGHT_BITS = " What gives 8-bit pictures is compared after rounding, and so is off by whole levels, {level} each."

PASS_ADVICE = (
    "Either this pass changes what the network computes, or the network's values grow so large that even float64 "
    "rounds them visibly."
)
REFERENCE_ADVICE = (
    "The stage computes what the one before it does: it is PyTorch in FP32 that departs from float64 here, as it does "
    "where values grow far beyond those of a picture."
)
FILE_ADVICE = (
    "Either the file computes something else than the network it was written from, or its values are too large."
)
HALF_ADVICE = "Where parts overflow or lose too much, --keep-fp32 keeps those in FP32."


def write_report(folder: Path, report: Report, title: str, facts: Sequence[tuple[str, str]]) -> Path:
    """Writes `report.json` and the page `index.html` into a folder, which is made if it is missing.

    Args:
        folder: what it holds under these two names is replaced.
        report: any, a failed one too.
        title: of the page.
        facts: see `report_page`; they are in the JSON too.

    Returns:
        Path of the page.

    Raises:
        OutputError: one of the two cannot be written; then neither is.
    """
    page_path = folder / PAGE_NAME
    with _made(folder), staged(page_path) as temporary:
        temporary.write_text(report_page(report, title, facts), encoding="utf-8")
        write_json(folder / JSON_NAME, {"title": title, "facts": dict(facts), **report_to_json(report)})
    return page_path


def check_report_folder(folder: Path) -> None:
    """Raises OutputError where a report cannot be written for what stands there; asked before any work."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise OutputError(f"cannot write {folder}: expected a folder, {nearest} is a file")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Makes a folder, and takes away what it made if the body raises."""
    missing: list[Path] = []
    try:
        try:
            missing += [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise OutputError(f"cannot write {folder}: expected a folder, this is a file") from None
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {reason_of(error)}") from error
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def report_page(report: Report, title: str, facts: Sequence[tuple[str, str]]) -> str:
    """One self-contained HTML page about a report.

    Args:
        report: any, a failed one too.
        title: its heading.
        facts: (name, value) pairs to show above the report's own, such as the weights.
    """
    return page(
        title,
        _verdict(report),
        f'<div class="facts">{table(["", ""], _facts(report, facts), words=(1,))}</div>',
        *_stages(report),
        *growth_section(report),
        *ranges_section(report),
        *pictures_section(report),
        *_details(report),
        style=STYLE,
    )


def _verdict(report: Report) -> str:
    kind, headline, text = verdict_of(report)
    return f'<div class="verdict {kind}"><strong>{escape(headline)}</strong>\n{escape(text)}</div>'


def verdict_of(report: Report) -> tuple[str, str, str]:
    """Whether the graph computes what the network does: good, warn or bad, one sentence, and what follows from it."""
    stages, failed = by_stage(report), report.first_failure
    if not stages:
        return "bad", "Nothing was checked.", "No stage was run on any picture."
    if failed is not None:
        broken = sum(any(check.broken for check in checks) for checks in stages.values())
        return (
            "bad",
            f"Stage '{failed.stage}' is the first to fail, on picture '{failed.picture}': "
            f"{failure_text(failed, report.options)}.",
            f"{broken} of {len(stages)} stages fail. {_advice(failed, report)}",
        )
    pictures = {check.picture for check in report.checks}
    count = f"All {len(stages)} stages hold on all {len(pictures)} pictures"
    lost = next((check for check in report.checks if check.overflow), None)
    if lost is not None:
        where = f"in stage '{lost.stage}' on picture '{lost.picture}' {lost.overflow} overflows on the way"
        return "warn", f"{count}, but {where}.", "The output does not show it here; on other pictures it may."
    return "good", f"{count}.", "On these, the exported graph computes what the trained network computes."


def _advice(failed: StageCheck, report: Report) -> str:
    before, _ = tolerances_of(failed.stage, report.options)
    if before is not EXACT:
        return HALF_ADVICE if report.options.precision.half and "fp32" not in failed.stage else FILE_ADVICE
    return PASS_ADVICE if before.broken_by(failed.before) else REFERENCE_ADVICE


def _facts(report: Report, facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those given, and those of the report that are not among them."""
    options = report.options
    own = {
        "precision": options.precision.value,
        "input and output": options.io.value,
        "opset": str(options.opset),
        "passes": ", ".join(options.passes) or "none",
        "kept in FP32": ", ".join(options.keep_fp32) or "nothing",
        "pictures": "; ".join(picture.name for picture in report.pictures),
        "not run": "; ".join(f"{stage}: {reason}" for stage, reason in report.not_run) or "nothing was left out",
    }
    return [*facts, *(entry for entry in own.items() if entry[0] not in dict(facts))]


def _stages(report: Report) -> list[str]:
    if not report.checks:
        return []
    text = TOLERANCES.format(exact=EXACT.max_error)
    if report.options.precision.half:
        text += HALF
    if report.options.io is IOFormat.UINT8:
        text += EIGHT_BITS.format(level=error_text(1 / 255))
    return [
        section("Stages", INTRODUCTION.format(data_range=report.data_range)),
        wide(stage_table(report), "stages"),
        f"<p>{escape(text)}</p>",
        wide(stage_chart(report)),
    ]


def _details(report: Report) -> list[str]:
    pictures: dict[str, list[StageCheck]] = {}
    for check in report.checks:
        pictures.setdefault(check.picture, []).append(check)
    found = ["<h2>Every stage on every picture</h2>"] if pictures else []
    for picture, checks in pictures.items():
        failed = [check.stage for check in checks if check.broken]
        outcome = f"{len(failed)} of {len(checks)} stages fail, {failed[0]} first" if failed else "all stages hold"
        content = wide(picture_table(checks, report.options), "stages") + _failures(checks, report.options)
        found.append(f"<details><summary>{escape(f'{picture}: {outcome}')}</summary>\n{content}</details>")
    return found


def _failures(checks: Sequence[StageCheck], options: OnnxOptions) -> str:
    lines = [f"{check.stage}: {failure_text(check, options)}" for check in checks if check.broken or check.overflow]
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""
