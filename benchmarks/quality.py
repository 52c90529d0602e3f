"""PSNR and SSIM of the packaged model on benchmark sets: `python -m benchmarks.quality FOLDER`.

FOLDER holds one folder per set with `HR` and `LRx4` in it, equal file names in both.
Figures are on the Y channel with a border of 4 pixels left out, RGB beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from efdn.metrics import luma, psnr, ssim
from engines.protocol import Engine
from engines.select import choose_engine
from engines.upscale import upscale

BORDER = 4


def main(folder: Path) -> None:
    """Measures every set in the folder and prints one line for each."""
    print(
        f"{'set':<10} {'pictures':>8}  {'Y PSNR':>7} {'Y SSIM':>7} {'RGB PSNR':>9}   {'bicubic Y PSNR':>14} {'SSIM':>7}"
    )
    with choose_engine().engine as engine:
        for pairs in sorted(path.parent for path in folder.glob("*/LRx4")):
            pictures = sorted((pairs / "HR").glob("*.png"))
            means = np.mean([measure(engine, hr, pairs / "LRx4" / hr.name) for hr in pictures], axis=0)
            y, similarity, rgb, bicubic, bicubic_similarity = means
            print(
                f"{pairs.name:<10} {len(pictures):>8}  {y:7.2f} {similarity:7.4f} {rgb:9.2f}   "
                f"{bicubic:14.2f} {bicubic_similarity:7.4f}"
            )


def measure(engine: Engine, hr_path: Path, lr_path: Path) -> tuple[float, float, float, float, float]:
    """(Y PSNR, Y SSIM, RGB PSNR) of the engine and (Y PSNR, Y SSIM) of bicubic upscaling."""
    with Image.open(hr_path) as hr_image, Image.open(lr_path) as lr_image:
        hr, lr = np.asarray(hr_image.convert("RGB")), lr_image.convert("RGB")
    result = upscale(engine, np.asarray(lr))
    bicubic = np.asarray(lr.resize((hr.shape[1], hr.shape[0]), Image.Resampling.BICUBIC))
    return (
        psnr(luma(hr), luma(result), border=BORDER),
        ssim(luma(hr), luma(result), border=BORDER),
        psnr(hr, result, border=BORDER),
        psnr(luma(hr), luma(bicubic), border=BORDER),
        ssim(luma(hr), luma(bicubic), border=BORDER),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
