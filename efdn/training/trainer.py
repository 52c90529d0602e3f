"""The training loop.

Steps are numbered; a batch is a pure function of the seed and its step's number,
and a checkpoint holds everything else, so that on the CPU a resumed run ends with the
same bits as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack

import torch

from efdn.errors import EfdnError, TrainingError
from efdn.network import EFDN
from efdn.training.allocator import keep_freed_memory
from efdn.training.checkpoint import Checkpoint
from efdn.training.config import Phase
from efdn.training.data import open_data
from efdn.training.distributed import Team, team
from efdn.training.folder import RunFolder
from efdn.training.interruption import Interruption, interruption
from efdn.training.job import CHECKPOINT_NAME, OnProgress, Outcome, Progress, TrainingJob, silent
from efdn.training.journal import Journal
from efdn.training.learner import Learner, Step
from efdn.training.log_rows import LogRow
from efdn.training.pace import Pace
from efdn.training.patches import Batch
from efdn.training.prefetch import Prefetcher
from efdn.training.schedule import learning_rate, phase_at, share_done
from efdn.training.start import starting_network
from efdn.training.validation import validate

PENDING_STEPS = {"cpu": 1, "cuda": 16}
"""Steps after which their losses are looked at: on a GPU each look waits for it."""

FEWEST_AHEAD = 3
"""Batches made before they are needed, or being made."""


def train(job: TrainingJob, on_progress: OnProgress = silent) -> Outcome:
    """Trains a network.

    Args:
        job: what is to be done.
        on_progress: called after every `log_every` steps.

    Raises:
        TrainingError: it cannot start or go on; the last checkpoint stays.
        OutputError: the folder cannot be written.
        ImageError: no usable picture.
        WeightsError: the weights to start from cannot be read.
    """
    with team(job.device) as members, interruption() as wish:
        if members.device.type == "cpu":
            keep_freed_memory()
        return _Run(job, members, wish, on_progress).go()


class _Run:
    def __init__(self, job: TrainingJob, members: Team, wish: Interruption, on_progress: OnProgress) -> None:
        self.job, self.team, self.wish, self.on_progress = job, members, wish, on_progress
        self.config = job.config
        self.folder = RunFolder(job.output)
        before = self.folder.checkpoint() if job.resume else None
        self.data = open_data(job, members, before)
        init = job.init if before is None else job.output / CHECKPOINT_NAME
        self.learner = Learner(starting_network(self.config, init), self.config, members)
        self.iteration, elapsed_s, self.best_db = 0, 0.0, None if before is None else before.best_db
        if before is not None:
            self.learner.restore(before)
            self.iteration, elapsed_s = before.iteration, before.elapsed_s
        self.journal = self._open_folder()
        self.pace = Pace(self.config, self.iteration, elapsed_s)
        self.share, self.stopping = share_done(self.config, self.iteration, elapsed_s), False
        self.waited_s, self.rate = 0.0, 0.0
        self.val_db: float | None = None
        self.val_is_new = False
        self.pending: list[tuple[int, tuple[str, ...], Step]] = []

    def go(self) -> Outcome:
        with ExitStack() as stack:
            if self.journal is not None:
                stack.enter_context(self.journal)
            first, first_val = self.iteration, self._validate(keep_best=False)
            self.val_is_new = False
            self.saved_at = time.monotonic()
            while not self._over():
                self._train_phase(phase_at(self.config, self.share))
            speed, waiting = self.pace.images_per_s(self.iteration), self.pace.waiting_share(self.waited_s)
            finished = self.share >= 1
            if self.iteration > first:
                if self.iteration % self.config.val_every:
                    # Of a run that was stopped, the best is what it would have been without stopping.
                    self._validate(keep_best=finished)
                if self.val_is_new or self.iteration % self.config.log_every:
                    self._report()
            self._save()
        return Outcome(
            iteration=self.iteration,
            elapsed_s=self.pace.elapsed_s,
            finished=finished,
            first_val_db=first_val,
            last_val_db=self.val_db,
            best_val_db=self.best_db,
            images_per_s=speed,
            waiting_share=waiting,
            skipped=self._skipped(),
            output=self.job.output,
        )

    def _over(self) -> bool:
        return self.share >= 1 or self.stopping

    def _train_phase(self, phase: Phase) -> None:
        """Steps until the run is over or another phase begins."""

        def make(iteration: int) -> Batch:
            return self.data.patches.batch(iteration, patch=phase.patch)

        earlier_s = self.waited_s
        workers, stop = self.job.workers, self.config.max_iters
        ahead = max(FEWEST_AHEAD, 2 * workers)
        with Prefetcher(make, start=self.iteration, stop=stop, ahead=ahead, workers=workers) as batches:
            for _, batch in batches:
                self._step(batch, phase)
                self.waited_s = earlier_s + batches.waited_s
                if self._over() or phase_at(self.config, self.share) is not phase:
                    break
        self._check_pending()

    def _step(self, batch: Batch, phase: Phase) -> None:
        config = self.config
        self.rate = learning_rate(config, self.iteration, self.share)
        self.iteration += 1
        step = self.learner.step(batch.lr, batch.hr, phase, rate=self.rate, number=self.iteration)
        self.pending.append((self.iteration, batch.names, step))
        if len(self.pending) >= PENDING_STEPS.get(self.team.device.type, 1):
            self._check_pending()
        self._keep_time()
        if self.iteration % config.val_every == 0:
            self._validate(keep_best=True)
        if self.val_is_new or self.iteration % config.log_every == 0:
            self._report()
        if time.monotonic() - self.saved_at > config.save_every_s:
            self._save()

    def _keep_time(self) -> None:
        """Share of the run done and whether to stop: the same in all processes, by the first one's clock."""
        elapsed_s, stop = self.team.agree(self.pace.elapsed_s, float(self.wish.asked))
        self.share = share_done(self.config, self.iteration, elapsed_s)
        self.stopping = bool(stop)

    def _check_pending(self) -> None:
        """Looks at what came of the last steps.

        Raises:
            TrainingError: a loss or gradient is not finite.
        """
        for number, names, step in self.pending:
            # Of all processes, so that none goes on alone where another one stops.
            loss, squared_error, norm = self.team.mean(torch.stack(step)).tolist()
            # Half precision overflows now and then; its scaler leaves such steps out.
            if not (math.isfinite(loss) and (math.isfinite(norm) or self.config.amp == "fp16")):
                raise TrainingError(
                    f"step {number}: loss {loss:g}, gradient {norm:g} on {', '.join(names)}: look at these pictures, "
                    f"then go on from the last checkpoint with --resume {self.job.output}, or start with a lower "
                    "--learning-rate"
                )
            self.pace.add(loss, squared_error)
        self.pending.clear()

    def _validate(self, *, keep_best: bool) -> float | None:
        self._check_pending()
        if self.team.leads and self.data.validation:
            result = self._finite_result()
            self.val_db = validate(result, self.data.validation, self.team.device)
            self.val_is_new = True
            if keep_best and (self.best_db is None or self.val_db > self.best_db):
                self.best_db = self.val_db
                self.folder.save_best(result)
        return self.val_db

    def _finite_result(self) -> EFDN:
        """The network to keep.

        Raises:
            TrainingError: it has values that are not finite, which a loss tells only of the step before.
        """
        result = self.learner.result
        if not all(bool(torch.isfinite(value).all()) for value in result.state_dict().values()):
            raise TrainingError(
                f"step {self.iteration} left weights that are not finite: go on from the last checkpoint with "
                f"--resume {self.job.output}, or start with a lower --learning-rate"
            )
        return result

    def _report(self) -> None:
        self._check_pending()
        progress = self.pace.report(self.iteration, self.rate, self.waited_s, self.val_db)
        if self.journal is not None:
            self.journal.add(self._row(progress))
            self.on_progress(progress)
        self.val_is_new = False

    def _row(self, progress: Progress) -> LogRow:
        return LogRow(
            iteration=progress.iteration,
            time_s=self.pace.elapsed_s,
            images=progress.iteration * self.config.batch,
            learning_rate=progress.learning_rate,
            loss=progress.loss,
            psnr_db=progress.psnr_db,
            val_psnr_db=self.val_db if self.val_is_new else None,
            images_per_s=progress.images_per_s,
            waiting_share=progress.waiting_share,
        )

    def _save(self) -> None:
        """Writes the state of the run; what is not finite never gets here."""
        self._check_pending()
        if self.team.leads:
            checkpoint = Checkpoint(
                config=self.config,
                iteration=self.iteration,
                elapsed_s=self.pace.elapsed_s,
                best_db=self.best_db,
                held_out=self.data.held_out,
                pictures=self.data.pictures,
                validated_elsewhere=bool(self.job.validation),
                **self.learner.state(),
            )
            self.folder.save(checkpoint, self._finite_result(), self._skipped())
        self.saved_at = time.monotonic()

    def _skipped(self) -> dict[str, str]:
        return {**self.data.unusable, **self.data.patches.skipped}

    def _open_folder(self) -> Journal | None:
        """Readies the folder and its log; the first process does, and the others end where it cannot."""
        journal, problem = None, None
        try:
            if self.team.leads:
                journal = self._open_journal()
        except EfdnError as error:
            problem = error
        (failed,) = self.team.agree(float(problem is not None))
        if problem is not None:
            raise problem
        if failed:
            raise TrainingError("the first process could not start: see its message")
        return journal

    def _open_journal(self) -> Journal:
        events = self.job.tensorboard
        if self.job.resume:
            self.folder.describe(self.config)
            return Journal.resume(self.job.output, self.iteration, tensorboard=events)
        self.folder.begin(self.config)
        return Journal(self.job.output, tensorboard=events)
