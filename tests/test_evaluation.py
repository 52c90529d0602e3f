"""How pictures are measured, and what is made of the figures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from efdn import bicubic
from efdn.errors import ConfigError, UsageError
from efdn.metrics import psnr
from engines.evaluation import record
from engines.evaluation.conventions import CONVENTIONS, mean_score, score
from engines.evaluation.measure import Seen, measure_sets
from engines.evaluation.pictures import read_pair
from engines.evaluation.record import Request, run_evaluation
from engines.evaluation.result import BICUBIC, Settings
from engines.profiling.plan import Planned
from engines.select import Choice
from engines.worker.subject import Subject
from tests.conftest import noise
from tests.evaluation_samples import only, save
from tests.fake_engine import NearestNeighbour
from tests.test_bicubic import BENCH, needs_bench

CHALLENGE, MATLAB = CONVENTIONS["challenge"], CONVENTIONS["matlab"]


def test_rounded_y_is_that_of_rgb2ycbcr() -> None:
    """The values that MATLAB gives for the primaries, black, gray and white, as uint8."""
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [128, 128, 128], [255, 255, 255]]], np.uint8)
    assert MATLAB.y(colours)[0].tolist() == [81, 145, 41, 16, 126, 235]
    assert CHALLENGE.y(colours)[0, 0] == pytest.approx(81.481, abs=1e-9)


def test_scores_are_their_definitions() -> None:
    """Against whole numbers alone: no code in common with what is tested."""
    hr, other = noise(40, 44), noise(40, 44, 1) // 8 * 7
    a, b = (x[4:-4, 4:-4].astype(int) for x in (hr, other))
    rgb = 10 * math.log10(255**2 * a.size / int(((a - b) ** 2).sum()))
    luma = [(65481 * x[..., 0] + 128553 * x[..., 1] + 24966 * x[..., 2]) for x in (a, b)]
    exact = 10 * math.log10((255 * 255_000) ** 2 * luma[0].size / float(((luma[0] - luma[1]) ** 2).sum()))
    rounded = [(x + 127_500) // 255_000 for x in luma]
    whole = 10 * math.log10(255**2 * luma[0].size / int(((rounded[0] - rounded[1]) ** 2).sum()))
    challenge, matlab = (score(hr, other, convention, 4) for convention in (CHALLENGE, MATLAB))
    assert challenge.rgb_psnr_db == matlab.rgb_psnr_db == pytest.approx(rgb, abs=1e-9)
    assert challenge.y_psnr_db == pytest.approx(exact, abs=1e-9)
    assert matlab.y_psnr_db == pytest.approx(whole, abs=1e-9)
    assert challenge.y_psnr_db != matlab.y_psnr_db
    assert challenge.headline(CHALLENGE) == (challenge.rgb_psnr_db, challenge.rgb_ssim)
    assert matlab.headline(MATLAB) == (matlab.y_psnr_db, matlab.y_ssim)


GOLDEN = {
    "challenge": (19.6032, 0.8671, 24.4148, 0.8814),
    "matlab": (19.6032, 0.8671, 24.4187, 0.8813),
}
"""RGB PSNR and SSIM, Y PSNR and SSIM of the pictures below, worked out in whole numbers and window by window."""


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_scores(name: str) -> None:
    hr = noise(16, 18).repeat(4, axis=0).repeat(4, axis=1)
    spoilt = ((3 * hr.astype(int) + noise(64, 72, 1)) // 4).astype(np.uint8)
    found = score(hr, spoilt, CONVENTIONS[name], 4)
    np.testing.assert_allclose(list(vars(found).values()), GOLDEN[name], atol=6e-5)


def test_equal_pictures_are_infinitely_near_and_json_holds_that() -> None:
    same = score(noise(24, 24), noise(24, 24), CHALLENGE, 4)
    assert (same.rgb_psnr_db, same.y_psnr_db) == (math.inf, math.inf)
    assert [same.rgb_ssim, same.y_ssim] == pytest.approx([1, 1], abs=1e-12)
    assert same.as_json()["rgb_psnr_db"] is None
    other = score(noise(24, 24), noise(24, 24, 1), CHALLENGE, 4)
    assert mean_score([other, other]) == other


@needs_bench
@pytest.mark.parametrize(("name", "expected"), [("Set5", 28.43), ("Set14", 26.09), ("BSD100", 25.96)])
def test_bicubic_reaches_its_published_figures(name: str, expected: float) -> None:
    folder = BENCH / name
    if not folder.is_dir():
        pytest.skip(f"EFDN_BENCH has no {name}")
    pairs = [read_pair(pair, 4) for pair in only(folder).pairs]
    found = [psnr(CHALLENGE.y(hr), CHALLENGE.y(bicubic.upscale(lr, 4)), border=4) for hr, lr in pairs]
    assert np.mean(found) == pytest.approx(expected, abs=0.02)


def test_every_picture_is_measured_with_every_engine(tmp_path: Path) -> None:
    for seed in range(3):
        lr = noise(8, 10, seed)
        save(tmp_path / f"HR/{seed}.png", lr.repeat(4, axis=0).repeat(4, axis=1))
        save(tmp_path / f"LRx4/{seed}.png", lr)
    dark = NearestNeighbour()
    dark.corrupt = lambda y: y * np.float32(0.5)
    shown: list[Seen] = []
    shares: list[float] = []
    (found,) = measure_sets(
        [only(tmp_path)],
        {"nearest": NearestNeighbour(), "dark": dark},
        Settings(border=2),
        report=lambda share, phase: shares.append(share),
        look=shown.append,
    )
    assert found.methods == (BICUBIC, "nearest", "dark")
    assert [picture.name for picture in found.pictures] == ["0", "1", "2"]
    assert found.pictures[0].lr_shape == (8, 10)
    assert found.mean("nearest").rgb_psnr_db == math.inf
    assert found.mean("dark").rgb_psnr_db < found.mean(BICUBIC).rgb_psnr_db < 40
    expected = np.mean([picture.scores["dark"].y_ssim for picture in found.pictures])
    assert found.as_json()["means"]["dark"]["y_ssim"] == pytest.approx(expected, abs=1e-12)
    assert found.as_json()["lr"] == "files"
    assert [(seen.index, seen.count) for seen in shown] == [(0, 3), (1, 3), (2, 3)]
    np.testing.assert_array_equal(shown[2].results["nearest"], shown[2].hr)
    assert shares == sorted(shares)


def test_padding_reaches_the_engine(tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(64, 72))
    seen: list[tuple[int, ...]] = []
    engine = NearestNeighbour()

    def note(y: np.ndarray) -> np.ndarray:
        seen.append(y.shape)
        return y

    engine.corrupt = note
    measure_sets([only(tmp_path)], {"nearest": engine}, Settings(pad=3))
    assert seen == [(1, 3, 4 * (16 + 6), 4 * (18 + 6))]


def planned(*names: str) -> tuple[Planned, ...]:
    return tuple(Planned(name=name, subject=Subject(engine=name)) for name in names)


def test_engines_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", noise(64, 72))
    opened: list[NearestNeighbour] = []

    def choose(*_: object) -> Choice:
        opened.append(NearestNeighbour())
        return Choice(engine=opened[-1], passed_over=("better (missing)",))

    monkeypatch.setattr(record, "choose_engine", choose)
    request = Request(folders=(tmp_path,), planned=planned("auto", "fake"), settings=Settings(), max_pixels=640_000)
    done = run_evaluation(request, command=["efdn-eval"])
    assert [method.name for method in done.methods] == ["fake", "fake (2)"]
    assert done.sets[0].methods == (BICUBIC, "fake", "fake (2)")
    assert all(engine.closed for engine in opened)
    content = json.loads(json.dumps(done.as_json(), allow_nan=False))
    assert (content["schema"], content["scale"], content["convention"], content["border"]) == (1, 4, "challenge", 4)
    assert content["engines"][0]["passed_over"] == ["better (missing)"]
    assert content["factsheet"] is None


def test_models_of_different_scales_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", noise(64, 72))
    scales = iter((4, 2))
    monkeypatch.setattr(record, "choose_engine", lambda *_: Choice(engine=NearestNeighbour(next(scales))))
    request = Request(folders=(tmp_path,), planned=planned("a", "b"), settings=Settings(), max_pixels=640_000)
    with pytest.raises(UsageError, match=r"different scales .*\(fake x4, fake \(2\) x2\)"):
        run_evaluation(request)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="border must be at least 0"):
        Settings(border=-1)
    with pytest.raises(ConfigError, match="pad must be at least 0"):
        Settings(pad=-1)
