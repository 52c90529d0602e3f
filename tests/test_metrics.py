"""PSNR and SSIM against values worked out by hand or by the definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efdn.errors import ShapeError
from efdn.metrics import luma, psnr, ssim
from tests.conftest import noise


def test_psnr_of_a_constant_difference() -> None:
    black = np.zeros((8, 9, 3), np.uint8)
    assert psnr(black, black + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5), abs=1e-12)
    assert psnr(black / 255, (black + 5) / 255, data_range=1.0) == pytest.approx(20 * math.log10(255 / 5), abs=1e-9)
    assert psnr(black, black) == math.inf


def test_psnr_of_bytes_does_not_wrap_around() -> None:
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0, abs=1e-12)


def test_border_is_left_out() -> None:
    a, b = noise(20, 24), noise(20, 24)
    b[:4], b[-4:], b[:, :4], b[:, -4:] = 0, 0, 0, 0
    assert psnr(a, b, border=4) == math.inf
    assert ssim(a, b, border=4) == pytest.approx(1, abs=1e-12)
    assert psnr(a, b, border=3) < 60


def test_luma_of_the_primaries() -> None:
    primaries = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luma(primaries)[0], [16, 235, 81.481, 144.553, 40.966], atol=2e-3)


def ssim_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """One channel, window by window."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    scores = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11].astype(float), b[y : y + 11, x : x + 11].astype(float)
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            covariance = (window * (p - mp) * (q - mq)).sum()
            numerator = (2 * mp * mq + 6.5025) * (2 * covariance + 58.5225)
            scores.append(numerator / ((mp**2 + mq**2 + 6.5025) * (vp + vq + 58.5225)))
    return float(np.mean(scores))


@given(st.integers(0, 1000), st.integers(1, 60))
def test_ssim_is_its_definition(seed: int, strength: int) -> None:
    a = noise(14, 16, seed)[..., 0]
    b = np.clip(a + np.random.default_rng(seed).normal(0, strength, a.shape), 0, 255).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(ssim_by_definition(a, b), abs=1e-9)


def test_shapes_must_agree_and_leave_something() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        psnr(noise(8, 8), noise(8, 9))
    with pytest.raises(ShapeError, match="leaves nothing"):
        psnr(noise(8, 8), noise(8, 8), border=4)
    with pytest.raises(ShapeError, match="11 pixels"):
        ssim(noise(10, 30), noise(10, 30))
