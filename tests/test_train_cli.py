"""`efdn-train` as a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.runner import USAGE_ERROR
from cli.train import app
from cli.train_options import TrainOptions, training_job
from cli.train_text import duration
from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ConfigError, TrainingError, UsageError
from efdn.weights import load_network
from tests.training_samples import write_pictures, write_small_network

ROOT = Path(__file__).parents[1]


def options(**changes: object) -> TrainOptions:
    names = TrainOptions.__dataclass_fields__
    values: dict[str, object] = dict.fromkeys(names)
    values |= {"data": (Path("photos"),), "validation": (), "workers": 2, "cache_gb": 4.0, "tensorboard": False}
    return TrainOptions(**(values | changes))  # type: ignore[arg-type]


def run_command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cli.train", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=180)


def test_without_options_the_published_recipe_trains_from_scratch() -> None:
    job = training_job(options())
    assert (job.config.preset, job.config.batch, job.init) == ("published", 128, None)
    assert job.output == Path("runs/published-x4")


def test_fine_tuning_starts_from_the_packaged_weights() -> None:
    assert training_job(options(preset="finetune")).init == DEFAULT_WEIGHTS
    assert training_job(options(preset="finetune", init=Path("own.pth"), scale=4)).init == Path("own.pth")


def test_options_replace_values_of_the_recipe() -> None:
    config = training_job(
        options(preset="strong", scale=2, batch=8, patch=64, loss="l1", norms="batch", max_time="2h", seed=7)
    ).config
    assert (config.scale, config.batch, config.seed) == (2, 8, 7)
    assert {(phase.patch, phase.loss, phase.norms) for phase in config.phases} == {(64, "l1", "batch")}
    assert (config.max_time_s, config.max_iters) == (7200, None)


def test_arithmetic_for_gpus_takes_the_published_form() -> None:
    assert training_job(options()).config.fast_form
    assert not training_job(options(amp="bf16")).config.fast_form
    assert not training_job(options(compiled=True)).config.fast_form


@pytest.mark.parametrize("preset", ["published", "strong", "continue", "finetune"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_recipe_takes_every_scale(preset: str, scale: int) -> None:
    config = training_job(options(preset=preset, scale=scale)).config
    assert config.scale == scale
    assert all(phase.patch % scale == 0 and phase.patch >= 189 for phase in config.phases)


def test_the_scale_is_that_of_the_weights_to_start_from(tmp_path: Path) -> None:
    weights = write_small_network(tmp_path / "x2.safetensors")
    assert training_job(options(preset="finetune", init=weights)).config.scale == 2
    assert training_job(options(preset="finetune", init=weights, scale=4)).config.scale == 4


def test_zero_switches_average_and_clipping_off() -> None:
    config = training_job(options(preset="strong", ema=0.0, clip=0.0)).config
    assert (config.ema, config.clip_norm) == (None, None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": ()}, UsageError, "nothing to train on"),
        ({"preset": "fast"}, UsageError, "--preset takes"),
        ({"max_time": "soon"}, UsageError, "--max-time takes"),
        ({"workers": -1}, UsageError, "--workers"),
        ({"cache_gb": 0.0}, UsageError, "--cache-gb"),
        ({"patch": 50}, ConfigError, "multiple of the scale"),
        ({"scale": 5}, ConfigError, "scale must be one of"),
        ({"resume": Path("nowhere")}, TrainingError, "no checkpoint"),
        ({"resume": Path("nowhere"), "learning_rate": 1.0}, UsageError, "keeps its recipe: leave --learning-rate out"),
        ({"resume": Path("nowhere"), "compiled": False}, UsageError, "leave --compile out"),
        ({"resume": Path("nowhere"), "validation_every": 5}, UsageError, "leave --val-every out"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        training_job(options(**changes))


def test_help_names_every_preset_and_file() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for word in ("published", "strong", "continue", "finetune", "weights.safetensors", "last.pt", "torchrun"):
        assert word in text


def test_unknown_options_are_usage_errors() -> None:
    with pytest.raises(USAGE_ERROR):
        app(["--no-such-option"], standalone_mode=False)


@pytest.mark.slow
def test_a_run_from_start_to_resumption(tmp_path: Path) -> None:
    """Another scale from the body of given weights, with a bad picture, then some steps more."""
    pictures = write_pictures(tmp_path / "photos")
    (pictures / "broken.jpg").write_bytes(b"no picture")
    weights = write_small_network(tmp_path / "x2.safetensors")
    recipe = ["--preset", "continue", "--scale", 3, "--init", weights, "--patch", 48, "--batch", 2, "-o", "run"]
    done = run_command("photos", *recipe, "--max-iters", 30, "--warmup", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "done after 30 steps" in done.stdout
    assert "broken.jpg: " in done.stdout
    assert "Traceback" not in done.stderr
    assert load_network(tmp_path / "run" / "weights.safetensors").config.upscale == 3
    assert json.loads((tmp_path / "run" / "config.json").read_text())["scale"] == 3
    again = run_command("photos", *recipe, "--max-iters", 30, cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("efdn-train: run is not empty: go on with its run by --resume run")
    more = run_command("photos", "--resume", "run", "--max-iters", 35, cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert "done after 35 steps" in more.stdout


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (float("inf"), "unknown time")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
