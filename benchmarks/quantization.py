"""What INT8 and FP8 cost in quality, by fake quantization: `python -m benchmarks.quantization FOLDER`.

FOLDER is what `efdn-eval` takes; its Set5 is read. Convolutions of the deploy form get rounded weights and
inputs; sums, biases and all else stay in float32, so that a row is what the format itself costs. Clipping points come
from the example photos, never from Set5. PSNR is on Y as `efdn-eval` gives it, to FP32 on unrounded RGB.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.passes import BASE
from efdn import EFDN, DeployEFDN, deploy_network, load_network
from efdn.assets import DEFAULT_WEIGHTS
from efdn.metrics import luma, psnr
from efdn.passes.pipeline import find_passes
from engines.evaluation.conventions import CHALLENGE_BORDER
from engines.whole import Pixels, to_network, to_pixels

CALIBRATION = Path(__file__).parents[1] / "examples" / "lr"
TILE = (90, 100)
"""Height and width of calibration tiles: a quarter of an example, about the size of Set5's small pictures."""
PIXELS_PER_TILE = 512
PERCENTILE = 0.9999
CLIP_FRACTIONS = torch.logspace(0, -1.5, 48)
"""Of the largest magnitude; where the least squared error is looked for."""
SMALLEST = 1e-30
"""Stands in for channels that are zero throughout, so that nothing is divided by zero."""

Map = NDArray[Any]  # (1, 3, H, W) float32


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """A narrow number format, symmetric around zero.

    Attributes:
        name: as printed.
        largest: the magnitude that stands for the clipping point.
        nearest: rounds float32 values within `largest` to the format's, as float32.
    """

    name: str
    largest: float
    nearest: Callable[[Tensor], Tensor]


INT8 = NumberFormat(name="INT8", largest=127, nearest=torch.round)
FP8 = NumberFormat(name="FP8 E4M3", largest=448, nearest=lambda x: x.to(torch.float8_e4m3fn).float())


def fake_quantize(x: Tensor, clip: Tensor, number: NumberFormat) -> Tensor:
    """Clips float32 values of any shape at +-clip, which broadcasts to them, and rounds to the format."""
    scale = clip.clamp_min(SMALLEST) / number.largest
    return number.nearest((x / scale).clamp(-number.largest, number.largest)) * scale


def clip_at_largest(values: Tensor, largest: Tensor, number: NumberFormat) -> Tensor:
    """Clips nothing that was seen."""
    return largest


def clip_at_percentile(values: Tensor, largest: Tensor, number: NumberFormat) -> Tensor:
    """Clips one value in ten thousand."""
    return values.abs().quantile(PERCENTILE, dim=1)


def clip_at_least_error(values: Tensor, largest: Tensor, number: NumberFormat) -> Tensor:
    """Clips where the squared error of clipping and rounding together is least."""
    clips = CLIP_FRACTIONS[:, None] * largest
    errors = [(fake_quantize(values, clip[:, None], number) - values).square().mean(dim=1) for clip in clips]
    return clips.gather(0, torch.stack(errors).argmin(dim=0, keepdim=True))[0]


ClipRule = Callable[[Tensor, Tensor, NumberFormat], Tensor]
"""From (rows, n) values, the (rows,) largest magnitudes and the format to (rows,) clipping points."""

CLIP_RULES: dict[str, ClipRule] = {"max": clip_at_largest, "99.99%": clip_at_percentile, "MSE": clip_at_least_error}

ALL = "all convolutions"
PLACES = {
    ALL: r".*",
    "all but first, last and attention": r"(?!head|tail|body\.\d+\.gate).*",
    "1x1 branches and fusions of the blocks": r"body\.\d+\.(branches\.\d+|fusion)",
}
"""Patterns of the names that convolutions have in the deploy form."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What is quantized, and how.

    Attributes:
        number: the format of weights (a scale per output channel) and of inputs (one scale).
        place: key of `PLACES`.
        weights: key of `CLIP_RULES`.
        inputs: the same; None leaves inputs in float32.
        balanced: whether input channels are divided by factors that the weights take up, to even out
            their ranges. Source: Xiao et al., "SmoothQuant", ICML 2023, at its strength of 0.5.
    """

    number: NumberFormat
    place: str
    weights: str
    inputs: str | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"place must be one of {list(PLACES)}, got {self.place!r}")
        for rule in (self.weights, self.inputs):
            if rule is not None and rule not in CLIP_RULES:
                raise ValueError(f"weights and inputs must be one of {list(CLIP_RULES)}, got {rule!r}")

    @property
    def clipping(self) -> str:
        """Cells of the table for weights and inputs."""
        return f"{self.weights} | {self.inputs or 'float32'}{', balanced' if self.balanced else ''}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a convolution read during calibration.

    Attributes:
        largest: (C,), magnitudes over all pixels.
        sample: (C, n), pixels drawn at random.
    """

    largest: Tensor
    sample: Tensor


def main(folder: Path) -> None:
    """Measures every scheme and prints a row for each."""
    names = sorted(path.name for path in (folder / "Set5" / "HR").glob("*.png"))
    originals, small = ([read_pixels(folder / "Set5" / kind / name) for name in names] for kind in ("HR", "LRx4"))
    # Channels as published, branches apart: what the layers named above are.
    network = deploy_network(load_network(DEFAULT_WEIGHTS, EFDN), find_passes(BASE))
    seen = calibrate(network)
    exact = [run(network, pixels) for pixels in small]
    best = mean_y_psnr(originals, exact)
    print("| format | where (convolutions) | weights clipped | inputs clipped | Set5 Y-PSNR | loss | PSNR to FP32 |")
    print(f"|---|---|---|---|---|---|---|\n| FP32 | | | | {best:.3f} dB | | |")
    for scheme in schemes():
        chosen = {name: read for name, read in seen.items() if re.fullmatch(PLACES[scheme.place], name)}
        narrow = quantize(network, scheme, chosen)
        results = [run(narrow, pixels) for pixels in small]
        y = mean_y_psnr(originals, results)
        near = np.mean([psnr(a[0].T, b[0].T) for a, b in zip(exact, results, strict=True)])
        how = f"{scheme.number.name} | {scheme.place} ({len(chosen)}) | {scheme.clipping}"
        print(f"| {how} | {y:.3f} dB | {best - y:.3f} dB | {near:.1f} dB |", flush=True)


def schemes() -> Iterator[Scheme]:
    """All rows: weights alone, then with inputs by each rule."""
    for number in (INT8, FP8):
        for rule in ("max", "MSE"):
            yield Scheme(number=number, place=ALL, weights=rule)
        for place in PLACES:
            for rule in CLIP_RULES:
                yield Scheme(number=number, place=place, weights="MSE", inputs=rule)
            yield Scheme(number=number, place=place, weights="MSE", inputs="MSE", balanced=True)


def read_pixels(path: Path) -> Pixels:
    """A picture as (H, W, 3) uint8, RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def run(network: DeployEFDN, pixels: Pixels) -> Map:
    """The network's output for a picture, on the 0..255 scale and not rounded."""
    with torch.inference_mode():
        result = network(torch.from_numpy(to_network(pixels, network.data_range)))
    return (result * (255 / network.data_range)).numpy()  # type: ignore[no-any-return]


def mean_y_psnr(originals: Sequence[Pixels], results: Sequence[Map]) -> float:
    """Mean over pictures of the Y-PSNR of the results as 8-bit pictures, in dB."""
    pairs = zip(originals, results, strict=True)
    return float(np.mean([psnr(luma(hr), luma(to_pixels(y, 255)), border=CHALLENGE_BORDER) for hr, y in pairs]))


def calibrate(network: DeployEFDN) -> dict[str, Seen]:
    """Runs the example photos in tiles and gathers what each convolution reads, by name."""
    watched, random = copy.deepcopy(network), torch.Generator().manual_seed(0)
    parts: dict[str, list[Seen]] = {}

    def watch(name: str, conv: nn.Conv2d) -> None:
        def keep(_: nn.Module, inputs: tuple[Tensor]) -> None:
            values = inputs[0][0].flatten(1)
            drawn = torch.randint(values.shape[1], (PIXELS_PER_TILE,), generator=random)
            parts.setdefault(name, []).append(Seen(largest=values.abs().amax(dim=1), sample=values[:, drawn]))

        conv.register_forward_pre_hook(keep)

    for name, module in watched.named_modules():
        if isinstance(module, nn.Conv2d):
            watch(name, module)
    for photo in map(read_pixels, sorted(CALIBRATION.glob("*.png"))):
        for top in range(0, photo.shape[0], TILE[0]):
            for left in range(0, photo.shape[1], TILE[1]):
                run(watched, photo[top : top + TILE[0], left : left + TILE[1]])
    return {name: _together(of_tiles) for name, of_tiles in parts.items()}


def _together(parts: Sequence[Seen]) -> Seen:
    largest = torch.stack([part.largest for part in parts]).amax(dim=0)
    return Seen(largest=largest, sample=torch.cat([part.sample for part in parts], dim=1))


def quantize(network: DeployEFDN, scheme: Scheme, seen: dict[str, Seen]) -> DeployEFDN:
    """A copy of the network in which the convolutions named in `seen` compute as the format would."""
    result = copy.deepcopy(network)
    for name, read in seen.items():
        _quantize_convolution(cast(nn.Conv2d, result.get_submodule(name)), scheme, read)
    return result


def _quantize_convolution(conv: nn.Conv2d, scheme: Scheme, seen: Seen) -> None:
    number = scheme.number
    # A depthwise weight has its input channels where others have their output channels.
    inputs_first = conv.weight if conv.groups > 1 else conv.weight.transpose(0, 1)
    ratio = seen.largest.clamp_min(SMALLEST) / inputs_first.flatten(1).abs().amax(dim=1).clamp_min(SMALLEST)
    factor = (ratio.sqrt() if scheme.balanced else torch.ones_like(ratio)).view(1, -1, 1, 1)
    weight = conv.weight * (factor.transpose(0, 1) if conv.groups > 1 else factor)
    rows = weight.flatten(1)
    clips = CLIP_RULES[scheme.weights](rows, rows.abs().amax(dim=1), number)
    conv.weight = nn.Parameter(fake_quantize(weight, clips.view(-1, 1, 1, 1), number), requires_grad=False)
    if scheme.inputs is None:
        return
    values = (seen.sample / factor.view(-1, 1)).view(1, -1)
    clip = CLIP_RULES[scheme.inputs](values, (seen.largest / factor.flatten()).amax()[None], number)
    conv.register_forward_pre_hook(lambda _, inputs: (fake_quantize(inputs[0] / factor, clip, number),))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
