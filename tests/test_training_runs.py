"""Whole training runs of a small network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from efdn.errors import OutputError, TrainingError
from efdn.training.checkpoint import Checkpoint, load_checkpoint
from efdn.training.config import Phase
from efdn.training.job import Progress, TrainingJob
from efdn.training.trainer import train
from efdn.weights import load_network
from tests.training_samples import SMALL, small_job

FORTY = replace(SMALL, max_iters=40)


def checkpoint_of(job: TrainingJob) -> Checkpoint:
    return load_checkpoint(job.output / "last.pt")


def assert_same_state(left: Checkpoint, right: Checkpoint) -> None:
    """Bit for bit: weights, running statistics, average, optimiser."""
    assert left.iteration == right.iteration
    for name in ("params", "params_ema"):
        mine, theirs = getattr(left, name), getattr(right, name)
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            assert torch.equal(value, theirs[key]), f"{name} {key}"
    assert left.optimizer["state"].keys() == right.optimizer["state"].keys()
    for number, state in left.optimizer["state"].items():
        for key, value in state.items():
            assert torch.equal(value, right.optimizer["state"][number][key]), f"optimizer {number} {key}"


def test_the_loss_falls_and_the_folder_is_complete(tmp_path: Path) -> None:
    job = small_job(tmp_path, config=replace(SMALL, max_iters=100, log_every=10, val_every=50))
    seen: list[Progress] = []
    outcome = train(job, seen.append)
    assert outcome.finished
    assert outcome.iteration == 100
    assert [progress.iteration for progress in seen] == list(range(10, 101, 10))
    assert outcome.first_val_db is not None
    assert outcome.best_val_db is not None
    assert outcome.best_val_db > outcome.first_val_db + 5
    assert seen[-1].psnr_db > seen[0].psnr_db + 5
    assert {entry.name for entry in job.output.iterdir()} == {
        "best.safetensors",
        "config.json",
        "curve.svg",
        "last.pt",
        "log.csv",
        "weights.safetensors",
    }
    average = load_network(job.output / "weights.safetensors").state_dict()
    kept = checkpoint_of(job).params_ema
    assert kept is not None
    assert all(torch.equal(average[key], kept[key]) for key in average if not key.endswith("num_batches_tracked"))
    # The checkpoint itself is a weights file, too.
    assert torch.equal(load_network(job.output / "last.pt").state_dict()["head.pw.weight"], kept["head.pw.weight"])


@pytest.mark.parametrize("stop_at", [7, 25])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, stop_at: int) -> None:
    """Stopped in the first phase, whose norms measure batches, and in the second."""
    whole = small_job(tmp_path, "whole", config=FORTY)
    train(whole)
    parts = small_job(tmp_path, "parts", config=FORTY)

    def interrupt(progress: Progress) -> None:
        if progress.iteration == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    first = train(replace(parts, config=replace(FORTY, log_every=stop_at)), interrupt)
    assert not first.finished
    assert first.iteration == stop_at + 1, "the step at work is done first"
    train(replace(parts, resume=True))
    assert_same_state(checkpoint_of(whole), checkpoint_of(parts))


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    config = replace(FORTY, max_iters=60, save_every_s=0.2)
    whole = small_job(tmp_path, "whole", config=config)
    train(whole)
    killed = small_job(tmp_path, "killed", config=config)
    code = (
        "import sys; from pathlib import Path; from tests.test_training_runs import train_here; train_here(sys.argv[1])"
    )
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[1], env=one_thread
    )
    deadline = time.monotonic() + 60
    while not (killed.output / "last.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    left = checkpoint_of(killed)
    assert 0 < left.iteration < 60
    train(replace(killed, resume=True))
    assert_same_state(checkpoint_of(whole), checkpoint_of(killed))
    rows = (killed.output / "log.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(5, 61, 5))


def train_here(folder: str) -> None:
    """What the killed process runs."""
    train(small_job(Path(folder), "killed", config=replace(FORTY, max_iters=60, save_every_s=0.2)))


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    train(job)
    before = checkpoint_of(job)
    outcome = train(replace(job, resume=True))
    assert outcome.iteration == 20
    assert_same_state(before, checkpoint_of(job))


def test_a_run_ends_in_its_time_with_the_schedule_fitted(tmp_path: Path) -> None:
    config = replace(SMALL, max_iters=None, max_time_s=4.0, log_every=1, holdout=0, warmup_iters=0)
    seen: list[Progress] = []
    started = time.monotonic()
    outcome = train(small_job(tmp_path, config=config), seen.append)
    assert outcome.finished
    assert 3 < time.monotonic() - started < 30
    assert seen[0].learning_rate > 0.9 * config.learning_rate
    assert seen[-1].learning_rate < 0.5 * config.learning_rate
    assert seen[-1].share == 1


def test_a_loss_that_is_not_finite_stops_and_names_the_pictures(tmp_path: Path) -> None:
    config = replace(SMALL, learning_rate=1e30, clip_norm=None, warmup_iters=0)
    job = small_job(tmp_path, config=config)
    with pytest.raises(TrainingError, match=r"step \d+: loss .*picture-\d\d.*--learning-rate"):
        train(job)
    assert not (job.output / "last.pt").exists()


def test_a_run_that_failed_before_its_first_checkpoint_can_begin_again(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    with pytest.raises(TrainingError, match="loss"):
        train(replace(job, config=replace(SMALL, learning_rate=1e30, clip_norm=None, warmup_iters=0, val_every=1)))
    (job.output / ".efdn-0123456789abcdef.part").write_bytes(b"cut short")
    assert train(job).finished
    assert not list(job.output.glob(".efdn-*"))


def test_a_run_goes_on_only_with_the_pictures_it_began_with(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    train(job)
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    resumed = replace(job, resume=True, data=(tmp_path / "elsewhere",), config=replace(SMALL, max_iters=25))
    with pytest.raises(TrainingError, match="began with 18 pictures and 2 held out"):
        train(resumed)
    (tmp_path / "elsewhere").rename(tmp_path / "pictures")
    with pytest.raises(TrainingError, match="began without --val"):
        train(replace(resumed, data=job.data, validation=job.data))


def test_validation_is_logged_at_its_own_step(tmp_path: Path) -> None:
    job = small_job(tmp_path, config=replace(SMALL, max_iters=17, val_every=7, log_every=5))
    train(job)
    rows = [line.split(",") for line in (job.output / "log.csv").read_text().splitlines()]
    column = rows[0].index("val_psnr_db")
    assert [(int(row[0]), bool(row[column])) for row in rows[1:]] == [
        (5, False),
        (7, True),
        (10, False),
        (14, True),
        (15, False),
        (17, True),
    ]
    before = (job.output / "log.csv").read_text()
    train(replace(job, resume=True))
    assert (job.output / "log.csv").read_text() == before, "a run that is over adds nothing"


@pytest.mark.parametrize("device", ["card", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_one_clear_error(tmp_path: Path, device: str) -> None:
    with pytest.raises(TrainingError, match="cpu"):
        train(replace(small_job(tmp_path), device=device))


def test_validation_pictures_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"none of the 1 pictures of --val can be used.*broken\.png"):
        train(replace(job, validation=(tmp_path / "broken.png",)))


def test_a_new_run_does_not_touch_an_old_one(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    job.output.mkdir()
    (job.output / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        train(job)
    assert [entry.name for entry in job.output.iterdir()] == ["notes.txt"]


def test_bad_pictures_are_listed_and_passed_over(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "pictures" / "tiny.png")
    outcome = train(replace(job, config=replace(SMALL, holdout=0, max_iters=30)))
    assert outcome.iteration == 30
    assert {Path(name).name for name in outcome.skipped} == {"broken.png", "tiny.png"}
    listed = (job.output / "skipped.txt").read_text()
    assert "broken.png: " in listed
    assert "tiny.png: " in listed


def test_held_out_pictures_are_not_trained_on_and_stay_the_same(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    train(job)
    first = checkpoint_of(job).held_out
    assert len(first) == 2
    train(replace(job, resume=True, config=replace(SMALL, max_iters=25)))
    assert checkpoint_of(job).held_out == first


def test_published_and_fast_form_train_alike(tmp_path: Path) -> None:
    """Equal loss after the same steps: what the speed of the fast form is measured at."""
    losses = []
    for name, fast in (("fast", True), ("published", False)):
        config = replace(SMALL, fast_form=fast, max_iters=15, log_every=15, phases=(ONE,))
        seen: list[Progress] = []
        train(small_job(tmp_path, name, config=config), seen.append)
        losses.append(seen[-1].loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


ONE = Phase(until=1, loss="charbonnier", patch=40)


SHARED = replace(SMALL, max_iters=6, phases=(Phase(until=1, loss="l1", patch=40, norms="frozen"),))


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Two processes with half of each batch come to what one with whole batches comes to, but for rounding."""
    alone = small_job(tmp_path, "alone", config=SHARED)
    half = small_job(tmp_path, "half", config=replace(SHARED, batch=SHARED.batch // 2))
    train(alone)
    train(half)
    script = tmp_path / "team.py"
    script.write_text(f"from tests.test_training_runs import train_in_team\ntrain_in_team({str(tmp_path)!r})\n")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run(launch, check=True, env=environment, timeout=240, capture_output=True)
    upscaled = [output_of(tmp_path / name) for name in ("alone", "team", "half")]
    rounding, halving = ((other - upscaled[0]).abs().max().item() for other in upscaled[1:])
    assert halving > 0.1, "or the second half of the batch does not matter here"
    assert rounding < 0.05 * halving


def output_of(folder: Path) -> torch.Tensor:
    """What a run's network makes of one picture."""
    network = load_network(folder / "last.pt")
    x = 255 * torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return network(x)  # type: ignore[no-any-return]


def train_in_team(folder: str) -> None:
    """What each of the two processes runs."""
    train(small_job(Path(folder), "team", config=SHARED))
