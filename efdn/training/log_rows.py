"""Rows of a training log, and their form as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from efdn.errors import TrainingError
from efdn.files import reason_of, staged


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """How training stood at one iteration; figures are means since the row before, unless said.

    Attributes:
        iteration: steps taken.
        time_s: trained so far, earlier parts of a resumed run included.
        images: patches trained on so far, all processes together.
        learning_rate: of the last step.
        loss: of the training patches.
        psnr_db: of the training patches.
        val_psnr_db: of pictures not trained on; None where it was not measured.
        images_per_s: patches a second, all processes together.
        waiting_share: part of the time spent waiting for patches, 0..1.
    """

    iteration: int
    time_s: float
    images: int
    learning_rate: float
    loss: float
    psnr_db: float
    val_psnr_db: float | None = None
    images_per_s: float
    waiting_share: float


COLUMNS = tuple(field.name for field in fields(LogRow))
WHOLE_NUMBERS = ("iteration", "images")


def csv_line(values: Iterable[str]) -> str:
    """Values that need no quotes as a line."""
    return ",".join(values) + "\n"


def row_texts(row: LogRow) -> list[str]:
    """A row's values in the order of `COLUMNS`, with six digits each; empty for None."""
    return [_text(name, value) for name, value in asdict(row).items()]


def read_rows(path: Path) -> tuple[LogRow, ...]:
    """The rows of a log; a last line that was not written to its end is left out.

    Raises:
        TrainingError: it cannot be read, or is no such log.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"cannot read the log {path}: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is no training log: expected text in UTF-8") from error
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if header != ",".join(COLUMNS):
        raise TrainingError(f"{path} is no training log of this version: expected the columns {', '.join(COLUMNS)}")
    rows = []
    for number, values in enumerate(csv.reader(lines), start=2):
        try:
            rows.append(_row(values))
        except (TypeError, ValueError) as error:
            raise TrainingError(
                f"{path}, line {number}: expected {len(COLUMNS)} numbers, got '{','.join(values)}'; repair or remove it"
            ) from error
    return tuple(rows)


def write_rows(rows: Sequence[LogRow], path: Path) -> None:
    """Writes a log, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with staged(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_line(COLUMNS))
        file.writelines(csv_line(row_texts(row)) for row in rows)


def _text(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in WHOLE_NUMBERS:
        return str(int(value))
    return f"{value:.1f}" if name == "time_s" else f"{value:.6g}"


def _row(values: Sequence[str]) -> LogRow:
    named = dict(zip(COLUMNS, values, strict=True))
    numbers = {name: int(text) if name in WHOLE_NUMBERS else float(text) for name, text in named.items() if text}
    return LogRow(**numbers)  # type: ignore[arg-type]
