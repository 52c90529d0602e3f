"""What INT8 and FP8 would cost in quality, by fake quantization: `python -m benchmarks.quantization FOLDER`.

FOLDER holds `Set5/HR` and `Set5/LRx4`, equal file names in both, as `benchmarks.quality` reads it. Convolutions
of the deploy form get rounded weights and inputs, everything else stays in float32, so that a row shows the
best that a kernel of that format could reach. Scales come from the example photos, never from Set5. The metric
is PSNR on the Y channel of 8-bit results with a border of 4 pixels left out. Prints a Markdown table.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.quality import BORDER
from efdn import DeployEFDN, deploy_network, load_network
from efdn.assets import DEFAULT_WEIGHTS
from efdn.metrics import luma, psnr
from engines.upscale import to_network, to_pixels

CALIBRATION = Path(__file__).parents[1] / "examples" / "lr"
TILE = (90, 100)
"""Height and width of calibration tiles: a quarter of an example, about the size of Set5's low-resolution pictures."""
PIXELS_PER_TILE = 512
PERCENTILE = 0.9999
CLIPS = torch.logspace(0, -1.5, 48)
"""Fractions of the largest value at which the least squared error is looked for."""


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """A narrow number format, symmetric around zero.

    Attributes:
        name: as printed.
        largest: largest magnitude, to which the clipping point is scaled.
        rounded: values within `largest` to the nearest ones of the format, as float32.
    """

    name: str
    largest: float
    rounded: Callable[[Tensor], Tensor]


INT8 = NumberFormat(name="INT8", largest=127, rounded=torch.round)
FP8 = NumberFormat(name="FP8 E4M3", largest=448, rounded=lambda x: x.to(torch.float8_e4m3fn).float())


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What is quantized, and how.

    Attributes:
        format: of weights, one scale per output channel, and of inputs, one scale per tensor.
        place: key of `PLACES`.
        weights: rule of the weights' clipping points, a key of `RULES`.
        inputs: rule of the inputs' clipping points; None leaves inputs in float32.
        balanced: whether each input channel is divided by a factor that its weights take up. Source: Xiao et al.,
            "SmoothQuant", ICML 2023, with its strength of 0.5.
    """

    format: NumberFormat
    place: str
    weights: str = "MSE"
    inputs: str | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"place must be one of {', '.join(PLACES)}, got {self.place!r}")
        for rule in (self.weights, self.inputs):
            if rule is not None and rule not in RULES:
                raise ValueError(f"a rule must be one of {', '.join(RULES)}, got {rule!r}")

    def __str__(self) -> str:
        inputs = "" if self.inputs is None else f", inputs {self.inputs}"
        return f"weights {self.weights}{inputs}{', balanced' if self.balanced else ''}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a convolution read during calibration.

    Attributes:
        peaks: (C,), largest magnitude of each channel over all pixels.
        sample: (pixels, C), values of pixels drawn at random.
    """

    peaks: Tensor
    sample: Tensor


def fake_quantize(x: Tensor, clip: Tensor, number: NumberFormat) -> Tensor:
    """Rounds to the format, the largest magnitude standing for `clip`; the dtype stays float32.

    Args:
        x: any shape.
        clip: broadcasts to x; zero where all of x is zero.
        number: the format.
    """
    scale = clip.clamp_min(torch.finfo(torch.float32).tiny * number.largest) / number.largest
    return number.rounded((x / scale).clamp(-number.largest, number.largest)) * scale


def clip_at_peak(values: Tensor, peaks: Tensor, number: NumberFormat) -> Tensor:
    """The largest magnitudes themselves."""
    return peaks


def clip_at_percentile(values: Tensor, peaks: Tensor, number: NumberFormat) -> Tensor:
    """The magnitude that all but one value in ten thousand stay under."""
    return values.abs().quantile(PERCENTILE, dim=1)


def clip_at_least_error(values: Tensor, peaks: Tensor, number: NumberFormat) -> Tensor:
    """The fractions of the peaks that leave the least squared error."""
    errors = []
    for fraction in CLIPS:
        difference = fake_quantize(values, (peaks * fraction)[:, None], number) - values
        errors.append(difference.square().mean(dim=1))
    return peaks * CLIPS[torch.stack(errors).argmin(dim=0)]


RULES = {"max": clip_at_peak, "99.99%": clip_at_percentile, "MSE": clip_at_least_error}
"""Rules for clipping points: ((rows, n) values, (rows,) largest magnitudes, format) to (rows,)."""

EVERYWHERE = "all convolutions"
PLACES: dict[str, str] = {
    EVERYWHERE: r".*",
    "all but first, last and attention": r"(?!head|tail|.*attention).*",
    "1x1 branches and fusions of the blocks": r"body\.\d+\.(branches\.\d+|fusion)",
}
"""Patterns of the names of convolutions, in `DeployEFDN.named_modules`."""


def main(folder: Path) -> None:
    """Calibrates, then prints a row for each scheme."""
    network = deploy_network(load_network(DEFAULT_WEIGHTS))
    seen = calibrate(network)
    pictures = [(pixels_of(path), pixels_of(folder / "Set5" / "LRx4" / path.name))
                for path in sorted((folder / "Set5" / "HR").glob("*.png"))]
    references = [run(network, lr) for _, lr in pictures]
    best = quality(pictures, references)
    print("| format | where | scales | Set5 Y-PSNR | loss | PSNR to FP32 |\n|---|---|---|---|---|---|")
    print(f"| FP32 | | | {best:.3f} | | |")
    for scheme in schemes():
        narrow = quantized(network, scheme, seen)
        outputs = [run(narrow, lr) for _, lr in pictures]
        reached = quality(pictures, outputs)
        fidelity = np.mean([psnr(a, b) for a, b in zip(references, outputs, strict=True)])
        print(f"| {scheme.format.name} | {scheme.place} | {scheme} | {reached:.3f} | {best-reached:.3f} | {fidelity:.1f} |", flush=True)

def quality(pictures, outputs):
    return float(np.mean([psnr(luma(hr), luma(to_pixels(y, 255)), border=BORDER) for (hr,_), y in zip(pictures, outputs, strict=True)]))

def pixels_of(path):
    with Image.open(path) as i: return np.asarray(i.convert('RGB'))

def schemes():
    for number in (INT8, FP8):
        for w in ("max","MSE"):
            yield Scheme(format=number, place=EVERYWHERE, weights=w)
        for place in PLACES:
            for rule in RULES:
                for b in (False, True):
                    yield Scheme(format=number, place=place, inputs=rule, balanced=b)

def run(network, lr):
    with torch.inference_mode():
        return network(torch.from_numpy(to_network(lr, network.config.data_range))).numpy()

def convs(network):
    return {k: m for k, m in network.named_modules() if isinstance(m, nn.Conv2d)}

def calibrate(network):
    g = torch.Generator().manual_seed(0)
    peaks = {}; samples = {}
    watched = copy.deepcopy(network)
    for name, conv in convs(watched).items():
        def hook(m, args, name=name):
            f = args[0][0].flatten(1)
            pick = torch.randint(f.shape[1], (PIXELS_PER_TILE,), generator=g)
            samples.setdefault(name, []).append(f[:, pick].T)
            peaks.setdefault(name, []).append(f.abs().amax(1))
        conv.register_forward_pre_hook(hook)
    for path in sorted(CALIBRATION.glob("*.png")):
        px = pixels_of(path)
        for top in range(0, px.shape[0], TILE[0]):
            for left in range(0, px.shape[1], TILE[1]):
                run(watched, px[top:top+TILE[0], left:left+TILE[1]])
    return {n: Seen(peaks=torch.stack(peaks[n]).amax(0), sample=torch.cat(samples[n])) for n in peaks}

def quantized(network, scheme, seen):
    result = copy.deepcopy(network)
    for name, conv in convs(result).items():
        if re.fullmatch(PLACES[scheme.place], name):
            q(conv, scheme, seen[name])
    return result

def q(conv, scheme, seen):
    number = scheme.format
    shape = (1,-1,1,1) if conv.groups == 1 else (-1,1,1,1)
    factor = torch.ones_like(seen.peaks)
    if scheme.balanced:
        wp = conv.weight.abs().amax((0,2,3)) if conv.groups == 1 else conv.weight.abs().amax((1,2,3))
        factor = (seen.peaks / wp).sqrt().clamp(1e-4, 1e4)
    w = conv.weight * factor.view(shape)
    rows = w.flatten(1)
    clip = RULES[scheme.weights](rows, rows.abs().amax(1), number)
    conv.weight = nn.Parameter(fake_quantize(w, clip.view(-1,1,1,1), number) / factor.view(shape), requires_grad=False)
    if scheme.inputs is None: return
    s = (seen.sample / factor).flatten()[None]
    c = RULES[scheme.inputs](s, (seen.peaks/factor).amax()[None], number)
    f = factor.view(1,-1,1,1)
    conv.register_forward_pre_hook(lambda m, a: (fake_quantize(a[0]/f, c, number)*f,))

if __name__ == "__main__":
    main(Path(sys.argv[1]))
