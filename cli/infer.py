"""`efdn-infer`: upscales a picture."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from cli.runner import new_app, run, show_version
from efdn.errors import OutputError, UsageError

PROGRAM = "efdn-infer"
DEFAULT_MAX_PIXELS = 640_000

app = new_app("Upscale a picture with EFDN.")


@app.command()
def infer(
    image: Annotated[Path, typer.Argument(help="Picture to upscale: PNG, JPEG or WebP, 8-bit RGB.")],
    output: Annotated[
        Optional[Path],
        typer.Option(
            "--output", "-o", help="File or folder to write to; IMAGE_x4.png beside the picture if not given."
        ),
    ] = None,
    model: Annotated[
        Optional[Path],
        typer.Option(
            "--model", "-m", help="Weights, ONNX file or TensorRT engine; the packaged x4 model if not given."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option("--engine", "-e", help="auto, tensorrt, onnxruntime-cuda, onnxruntime-cpu, openvino, pytorch ..."),
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it is there.")] = False,
    pad: Annotated[
        int,
        typer.Option("--pad", help="Pixels to mirror the picture outwards by first; 8 takes errors from its borders."),
    ] = 0,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest picture to take, in pixels.")
    ] = DEFAULT_MAX_PIXELS,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Upscale a picture with EFDN, by default four times.

    The engine is chosen in this order: a TensorRT engine given with --model,
    ONNX Runtime on CUDA, ONNX Runtime on the CPU, OpenVINO, PyTorch. What runs
    here, and what is missing for the others, is what efdn-doctor tells.
    """
    if max_pixels < 1:
        raise UsageError(f"--max-pixels must be at least 1, got {max_pixels}")
    if pad < 0:
        raise UsageError(f"--pad must be at least 0, got {pad}")
    from efdn.images import Photo, check_photo_target, read_photo, write_photo
    from engines.select import choose_engine
    from engines.upscale import upscale

    started = time.perf_counter()
    photo = read_photo(image, max_pixels=max_pixels)
    _check_padded(photo.pixels.shape[0], photo.pixels.shape[1], pad, max_pixels)
    choice = choose_engine(model, engine)
    with choice.engine as opened:
        scale = opened.model.scale
        target = _target(image, output, scale)
        height, width = (scale * side for side in photo.pixels.shape[:2])
        check_photo_target(target, width, height)
        if target.exists() and target.samefile(image):
            raise OutputError(f"{target} is the picture itself: give another name with -o")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists: give --overwrite to replace it, or another name with -o")
        passed_over = f"; passed over {', '.join(choice.passed_over)}" if choice.passed_over else ""
        print(
            f"engine: {opened.name} ({opened.detail}), model {opened.model.name}{passed_over}",
            file=sys.stderr,
            flush=True,
        )
        pixels = upscale(opened, photo.pixels, pad=pad)
    write_photo(Photo(pixels=pixels, icc_profile=photo.icc_profile), target)
    typer.echo(f"{target}  {width}x{height}  {time.perf_counter() - started:.2f} s")


def _check_padded(height: int, width: int, pad: int, max_pixels: int) -> None:
    """Raises UsageError where padding makes a picture larger than is to be taken; (height, width) are without it."""
    padded = (height + 2 * pad) * (width + 2 * pad)
    if pad and padded > max_pixels:
        raise UsageError(
            f"--pad {pad} makes {padded} pixels of {width}x{height}, more than the limit of {max_pixels}: "
            "lower it or raise --max-pixels"
        )


def _target(image: Path, output: Path | None, scale: int) -> Path:
    name = f"{image.stem}_x{scale}.png"
    if output is None:
        return image.with_name(name)
    return output / name if output.is_dir() else output


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
