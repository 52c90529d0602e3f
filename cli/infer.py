"""`efdn-infer`: upscales pictures and videos."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

from cli.infer_arguments import (
    Alpha,
    Background,
    Bits,
    Codec,
    Color,
    Compare,
    Compression,
    Crf,
    DropStreams,
    Engine,
    Extension,
    Frames,
    Inputs,
    Jobs,
    JsonLines,
    MaxPixels,
    Model,
    Output,
    Overwrite,
    Pad,
    PixelFormat,
    Preset,
    Preview,
    Quality,
    Quiet,
    Ray,
    RayCores,
    Recursive,
    Scale,
    Size,
    SkipExisting,
    Suffix,
    Threads,
    Tile,
    TileOverlap,
    Verbose,
    VerifyTiles,
    Version,
)
from cli.infer_options import (
    ALL,
    PROGRAM,
    InferOptions,
    check_kinds,
    check_run,
    engine_options,
    existing_of,
    fill_in_ray,
    folder_of_results,
    suffix_of,
    wanted_of,
)
from cli.runner import new_app, run

if TYPE_CHECKING:
    from engines.batch.sources import Sources
    from engines.batch.targets import Existing
    from engines.inference.wanted import Wanted
    from engines.options import RunOptions

app = new_app("Upscale pictures and videos with EFDN.")


@app.command()
def infer(
    inputs: Inputs,
    output: Output = None,
    recursive: Recursive = False,
    suffix: Suffix = None,
    extension: Extension = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    jobs: Jobs = 2,
    model: Model = None,
    engine: Engine = "auto",
    threads: Threads = None,
    scale: Scale = None,
    size: Size = None,
    tile: Tile = None,
    tile_overlap: TileOverlap = 16,
    pad: Pad = None,
    verify_tiles: VerifyTiles = False,
    alpha: Alpha = "efdn",
    background: Background = None,
    color: Color = "keep",
    bits: Bits = None,
    quality: Quality = None,
    compression: Compression = None,
    frames: Frames = None,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    pixel_format: PixelFormat = None,
    preview: Preview = False,
    drop_streams: DropStreams = False,
    compare: Compare = False,
    max_pixels: MaxPixels = None,
    ray: Ray = None,
    ray_cores: RayCores = None,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Upscale pictures and videos with EFDN, by default four times.

    Takes PNG, JPEG, WebP, TIFF, BMP, GIF and AVIF with 8 and 16 bits, gray, RGB
    and CMYK, with and without alpha, of any size, and videos (extra video). Kind,
    depth, colour profile, EXIF, XMP and resolution are kept; results are PNG, of
    CMYK TIFF, unless --ext or -o say otherwise.

    The engine is chosen in this order: a TensorRT engine given with --model,
    ONNX Runtime on CUDA, OpenVINO, ONNX Runtime on the CPU, PyTorch. What runs
    here, and what is missing for the others, is what efdn-doctor tells.
    """
    options = InferOptions(
        output=output,
        suffix=suffix,
        extension=extension,
        skip_existing=skip_existing,
        overwrite=overwrite,
        jobs=jobs,
        model=model,
        engine=engine,
        threads=threads,
        scale=scale,
        size=size,
        tile=tile,
        tile_overlap=tile_overlap,
        pad=pad,
        verify_tiles=verify_tiles,
        alpha=alpha,
        background=background,
        color=color,
        bits=bits,
        quality=quality,
        compression=compression,
        frames=frames,
        codec=codec,
        crf=crf,
        preset=preset,
        pixel_format=pixel_format,
        preview=preview,
        drop_streams=drop_streams,
        compare=compare,
        max_pixels=max_pixels,
        ray=ray,
        ray_cores=ray_cores,
        json_lines=json_lines,
        quiet=quiet,
        verbose=verbose,
    )
    wanted, existing = wanted_of(options), existing_of(options)
    check_run(options)
    running = engine_options(options)
    from engines.batch.sources import find_sources

    sources = find_sources(inputs, recursive=recursive, stdin=sys.stdin, exclude=folder_of_results(output))
    check_kinds(options, sources)
    if engine == ALL:
        from cli.infer_looks import compare_all_engines

        compare_all_engines(sources, model, running, wanted, json_lines=json_lines)
    elif verify_tiles:
        _verify_tiles(options, running, sources, wanted)
    elif ray is not None:
        from cli.infer_cluster import infer_on_cluster

        infer_on_cluster(options, sources, wanted, existing)
    else:
        _infer_here(options, running, sources, wanted, existing)


def _verify_tiles(options: InferOptions, running: RunOptions, sources: Sources, wanted: Wanted) -> None:
    from cli.infer_looks import verify_all_tiles
    from cli.infer_text import show_engine
    from engines.select import choose_engine

    choice = choose_engine(options.model, options.engine, running)
    with choice.engine as opened:
        if not options.quiet:
            show_engine(choice)
        verify_all_tiles(sources, opened, wanted, json_lines=options.json_lines)


def _infer_here(
    options: InferOptions, running: RunOptions, sources: Sources, wanted: Wanted, existing: Existing
) -> None:
    """In this process, with one engine; raises SystemExit where not all went well."""
    from cli.infer_text import show_engine, show_summary, voice
    from engines.batch.work import Concurrency
    from engines.inference.run import Naming, plan_files, run_files
    from engines.select import choose_engine

    choice = choose_engine(options.model, options.engine, running)
    json_lines, quiet = options.json_lines, options.quiet
    with choice.engine as opened:
        if not quiet:
            show_engine(choice)
        naming = Naming(output=options.output, suffix=suffix_of(options, opened.model.scale), existing=existing)
        plan = plan_files(sources, opened, wanted, naming)
        count = len(plan.tasks) + len(plan.outcomes)
        with voice(count, json_lines=json_lines, quiet=quiet, verbose=options.verbose) as report:
            summary = run_files(plan, opened, wanted, Concurrency(jobs=options.jobs), report)
    show_summary(summary, json_lines=json_lines, quiet=quiet)
    if summary.exit_code:
        raise SystemExit(summary.exit_code)  # All has been said.


def entry() -> NoReturn:
    """Entry point of the command."""
    sys.argv[1:] = fill_in_ray(sys.argv[1:])
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
