"""Recipes, schedules, averages, losses and checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cli.train_options import parse_duration
from efdn.errors import ConfigError, TrainingError, UsageError
from efdn.network import EFDN
from efdn.training.average import Average
from efdn.training.checkpoint import load_checkpoint
from efdn.training.config import Phase, TrainingConfig
from efdn.training.losses import LOSSES
from efdn.training.presets import CONTINUED, FINE_TUNING, PRESETS, PUBLISHED, STRONG, preset
from efdn.training.schedule import learning_rate, phase_at, share_done
from efdn.training.start import starting_network


def test_the_published_recipe_is_the_factsheets() -> None:
    assert preset("published") is PUBLISHED
    assert (PUBLISHED.batch, PUBLISHED.learning_rate, PUBLISHED.betas) == (128, 5e-4, (0.9, 0.9999))
    assert PUBLISHED.phases == (Phase(until=1, loss="l2", patch=256, norms="batch"),)
    assert (PUBLISHED.ema, PUBLISHED.clip_norm, PUBLISHED.unit_range) == (None, None, False)


def test_the_strong_recipe_ends_on_squared_error_larger_patches_and_frozen_norms() -> None:
    first, *_, last = STRONG.phases
    assert (first.loss, last.loss) == ("charbonnier", "l2")
    assert last.patch > first.patch
    assert last.norms == "frozen"
    assert STRONG.ema is not None
    assert STRONG.clip_norm is not None


@pytest.mark.parametrize("name", PRESETS)
def test_recipes_survive_json(name: str) -> None:
    assert TrainingConfig.from_json(json.loads(json.dumps(PRESETS[name].to_json()))) == PRESETS[name]


def test_unknown_preset_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="published, strong, continue, finetune"):
        preset("best")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 5}, "scale must be one of 2, 3, 4"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"max_iters": None}, "needs an end"),
        ({"ema": 1.0}, "ema must be between 0 and 1"),
        ({"amp": "int8"}, "amp must be one of"),
        ({"amp": "bf16"}, "fast form computes in float32"),
        ({"phases": (Phase(until=0.5, loss="l1", patch=192),)}, "the last at 1"),
        ({"phases": (Phase(until=1, loss="l1", patch=190),)}, "multiple of the scale"),
        ({"phases": (Phase(until=1, loss="l1", patch=48),)}, "at least 52"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONTINUED, **changes)  # type: ignore[arg-type]


def test_rate_rises_in_a_line_and_falls_in_a_cosine() -> None:
    config = replace(CONTINUED, learning_rate=1.0, warmup_iters=10, final_learning_rate=0.1, max_iters=100)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 9, 0.0) == pytest.approx(1.0)
    assert learning_rate(config, 50, 0.5) == pytest.approx(0.55)
    assert learning_rate(config, 99, 1.0) == pytest.approx(0.1)


def test_a_run_is_as_far_as_the_nearer_of_its_limits() -> None:
    config = replace(CONTINUED, max_iters=100, max_time_s=1000.0)
    assert share_done(config, 30, 100) == pytest.approx(0.3)
    assert share_done(config, 30, 900) == pytest.approx(0.9)
    assert share_done(config, 300, 900) == 1


def test_phases_follow_each_other() -> None:
    phases = (Phase(until=0.5, loss="l1", patch=64), Phase(until=1, loss="l2", patch=128))
    config = replace(CONTINUED, phases=phases)
    assert [phase_at(config, share) for share in (0, 0.49, 0.5, 1.0)] == [phases[0], phases[0], phases[1], phases[1]]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("45m", 2700), ("1.5h", 5400), ("1d", 86400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "5 minutes", "1:30"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--max-time takes a duration"):
        parse_duration(text)


def test_losses_by_hand() -> None:
    output, target = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert LOSSES["l1"](output, target).item() == pytest.approx(3.5)
    assert LOSSES["l2"](output, target).item() == pytest.approx(1.25)
    assert LOSSES["charbonnier"](output, target).item() == pytest.approx(3.50947, abs=1e-5)


def test_the_average_follows_weights_and_running_statistics() -> None:
    network = EFDN(2, 10, 1, 1)
    average = Average(network, 0.9)
    before = {name: value.clone() for name, value in average.network.state_dict().items()}
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(1)
    average.update(network, 1000)
    for name, value in average.network.state_dict().items():
        step = 1.0 if name.endswith("num_batches_tracked") else 0.1
        torch.testing.assert_close(value, before[name] + (1 if step == 1 else step), rtol=0, atol=1e-5, msg=name)


def test_the_average_forgets_its_start_quickly() -> None:
    network = EFDN(2, 10, 1, 1)
    average = Average(network, 0.999)
    with torch.no_grad():
        network.state_dict()["tail.0.bias"].add_(1)
    start = average.network.state_dict()["tail.0.bias"].clone()
    for step in range(1, 30):
        average.update(network, step)
    moved = average.network.state_dict()["tail.0.bias"] - start
    assert moved.min() > 0.99


def test_another_scale_takes_the_body_and_a_fresh_tail(tmp_path: Path) -> None:
    from efdn.weights import save_network

    torch.manual_seed(0)
    given = EFDN(4, 10, 2, 1)
    save_network(given, tmp_path / "x4.safetensors")
    network = starting_network(replace(CONTINUED, scale=2), tmp_path / "x4.safetensors")
    assert network.config.upscale == 2
    state = network.state_dict()
    for name, value in given.state_dict().items():
        if not name.startswith("tail."):
            assert torch.equal(state[name], value), name
    assert state["tail.0.weight"].shape == (12, 10, 3, 3)


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.rand(seed + 1)  # the global generator must not matter
        found: torch.Tensor = starting_network(replace(STRONG, seed=seed), None).state_dict()["tail.0.weight"]
        return found

    state = torch.random.get_rng_state()
    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    torch.random.set_rng_state(state)


def test_fine_tuning_starts_gently() -> None:
    assert FINE_TUNING.learning_rate < CONTINUED.learning_rate
    assert all(phase.norms == "frozen" for phase in FINE_TUNING.phases)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "last.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="checkpoint"):
        load_checkpoint(path)


def test_weights_alone_are_not_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"params": EFDN(2, 10, 1, 1).state_dict()}, tmp_path / "last.pt")
    with pytest.raises(TrainingError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "last.pt")
