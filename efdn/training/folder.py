"""The folder of a run: its checkpoint, its weights and what is written beside them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from efdn.errors import OutputError
from efdn.files import reason_of, staged, write_json
from efdn.network import EFDN
from efdn.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from efdn.training.config import TrainingConfig
from efdn.training.job import BEST_NAME, CHECKPOINT_NAME, CONFIG_NAME, CURVE_NAME, SKIPPED_NAME, WEIGHTS_NAME
from efdn.training.journal import EVENTS_FOLDER, LOG_NAME
from efdn.weights import save_network

BEGINNINGS = {CONFIG_NAME, LOG_NAME, CURVE_NAME, EVENTS_FOLDER, BEST_NAME, WEIGHTS_NAME, SKIPPED_NAME}
"""What may be in the folder of a run before its first checkpoint."""


class RunFolder:
    """Writes everything whole or not at all, so that a run can be stopped at any moment.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, config: TrainingConfig) -> None:
        """Makes the folder of a new run.

        What a run left that ended before its first checkpoint is replaced.

        Raises:
            OutputError: it holds something else already, or cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = [entry for entry in self.path.iterdir() if not _is_beginning(entry)]
            if not others:
                for entry in self.path.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except OSError as error:
            raise OutputError(f"cannot make the folder {self.path}: {reason_of(error)}") from error
        if others:
            raise OutputError(
                f"{self.path} is not empty: go on with its run by --resume {self.path}, or name another with -o"
            )
        self.describe(config)

    def describe(self, config: TrainingConfig) -> None:
        """Writes the recipe down."""
        write_json(self.path / CONFIG_NAME, config.to_json())

    def checkpoint(self) -> Checkpoint:
        """The checkpoint to go on from."""
        return load_checkpoint(self.path / CHECKPOINT_NAME)

    def save(self, checkpoint: Checkpoint, result: EFDN, skipped: Mapping[str, str]) -> None:
        """Writes the checkpoint, the weights so far and the list of pictures left out."""
        save_network(result, self.path / WEIGHTS_NAME)
        save_checkpoint(checkpoint, self.path / CHECKPOINT_NAME)
        if skipped:
            with staged(self.path / SKIPPED_NAME) as temporary:
                lines = [f"{name}: {reason}\n" for name, reason in sorted(skipped.items())]
                temporary.write_text("".join(lines), encoding="utf-8")

    def save_best(self, result: EFDN) -> None:
        """Writes weights that validated better than all before."""
        save_network(result, self.path / BEST_NAME)


def _is_beginning(entry: Path) -> bool:
    """Whether a file is what a run leaves that ended before its first checkpoint, a staged file among it."""
    return entry.name in BEGINNINGS or (entry.name.startswith(".efdn-") and entry.suffix == ".part")
