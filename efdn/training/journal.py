"""The log of a training run: a row at a time as CSV, a picture of it, and TensorBoard events if asked."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from efdn.errors import OutputError
from efdn.extras import import_extra
from efdn.files import reason_of
from efdn.training.curve import write_curve
from efdn.training.log_rows import LogRow, csv_line, read_rows, row_texts, write_rows

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_NAME = "log.csv"
CURVE_NAME = "curve.svg"
EVENTS_FOLDER = "tensorboard"

DRAW_EVERY_S = 60.0

TAGS = {
    "loss": "train/loss",
    "psnr_db": "train/psnr_db",
    "val_psnr_db": "validation/psnr_db",
    "learning_rate": "train/learning_rate",
    "images_per_s": "speed/images_per_s",
    "waiting_share": "speed/waiting_share",
}
"""What TensorBoard shows, and by which name."""


class Journal:
    """Writes `log.csv`, `curve.svg` and, if asked, TensorBoard events into a run's folder.

    A row is on disk when `add` returns. The curve follows once a minute and at the end.

    Args:
        folder: of the run; it exists, and has no log.
        tensorboard: whether to write events, into a folder of their own.

    Raises:
        OutputError: there is a log already, or it cannot be written.
        MissingExtraError: TensorBoard is asked for, but not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        path = folder / LOG_NAME
        if path.exists():
            raise OutputError(f"{path} is there already: resume its run, or choose another folder")
        self._begin(folder, (), tensorboard=tensorboard)

    @classmethod
    def resume(cls, folder: Path, iteration: int, *, tensorboard: bool = False) -> Journal:
        """Goes on with a log after an iteration; later rows, of steps that are taken again, are dropped.

        Without a log a new one begins.

        Raises:
            TrainingError: the log cannot be read, or is another kind of file.
            OutputError: it cannot be written.
            MissingExtraError: see above.
        """
        path = folder / LOG_NAME
        rows = read_rows(path) if path.exists() else ()
        journal = cls.__new__(cls)
        kept = tuple(row for row in rows if row.iteration <= iteration)
        journal._begin(folder, kept, tensorboard=tensorboard, after=iteration)
        return journal

    def _begin(self, folder: Path, rows: tuple[LogRow, ...], *, tensorboard: bool, after: int | None = None) -> None:
        self._events = _events(folder / EVENTS_FOLDER, after) if tensorboard else None
        write_rows(rows, folder / LOG_NAME)
        self._folder = folder
        self._rows = list(rows)
        self._file = (folder / LOG_NAME).open("a", encoding="utf-8", newline="")
        self._drawn_at = time.monotonic()

    @property
    def rows(self) -> tuple[LogRow, ...]:
        """All rows so far, those of earlier parts of the run included."""
        return tuple(self._rows)

    def add(self, row: LogRow) -> None:
        """Writes a row.

        Raises:
            OutputError: the disk is full, say.
        """
        try:
            self._file.write(csv_line(row_texts(row)))
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._folder / LOG_NAME}: {reason_of(error)}") from error
        self._rows.append(row)
        if self._events is not None:
            for name, tag in TAGS.items():
                value = getattr(row, name)
                if value is not None:
                    self._events.add_scalar(tag, value, row.iteration)
        if time.monotonic() - self._drawn_at > DRAW_EVERY_S:
            self._draw()

    def close(self) -> None:
        """Draws the curve a last time and closes all files; again is harmless."""
        if self._file.closed:
            return
        self._file.close()
        if self._events is not None:
            self._events.close()
        self._draw()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _draw(self) -> None:
        if self._rows:
            write_curve(self._rows, self._folder / CURVE_NAME)
        self._drawn_at = time.monotonic()


def _events(folder: Path, after: int | None) -> SummaryWriter:
    """A writer of events; those of steps after an iteration are hidden."""
    import_extra("tensorboard", "train", "A TensorBoard log")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=None if after is None else after + 1)
