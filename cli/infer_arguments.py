"""What `efdn-infer` takes on its command line, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from cli.runner import show_version

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Pictures, videos, folders, patterns; - for a list on stdin.")
]
Output = Annotated[
    Optional[Path], typer.Option("--output", "-o", help="File or folder to write to; beside each input if not given.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Enter folders in folders; trees are kept.")]
Suffix = Annotated[Optional[str], typer.Option("--suffix", help="Of results' names; _x4 if not given.")]
Extension = Annotated[
    Optional[str],
    typer.Option("--ext", help="png, jpg, webp, tif, bmp, avif, mp4, mkv ..., or same; lossless if not given."),
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave results that exist, do the rest.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Pictures read, and written, at once.")]
Model = Annotated[
    Optional[Path],
    typer.Option("--model", "-m", help="Weights, ONNX file or TensorRT engine; the packaged x4 model if not given."),
]
Engine = Annotated[
    str, typer.Option("--engine", "-e", help="auto, onnxruntime-cpu, openvino, pytorch ...; all compares them.")
]
Threads = Annotated[
    Optional[int],
    typer.Option("--threads", help="Of an engine on the CPU; one for each core it may use if not given."),
]
Scale = Annotated[
    Optional[float], typer.Option("--scale", "-s", help="Times as large in the end; resizes what the model gives.")
]
Size = Annotated[
    Optional[str], typer.Option("--size", help="Of the result: 1920x1080, 1920x, x1080 or 150% (of the input).")
]
Tile = Annotated[
    Optional[int], typer.Option("--tile", "-t", help="Longest side of a tile; 0 for none. By memory if not given.")
]
TileOverlap = Annotated[int, typer.Option("--tile-overlap", help="Pixels that tiles see of their neighbours.")]
Pad = Annotated[
    Optional[int], typer.Option("--pad", help="Pixels to mirror pictures outwards by first; 8 if not given.")
]
VerifyTiles = Annotated[
    bool, typer.Option("--verify-tiles", help="Measure what tiles change instead of writing anything.")
]
Alpha = Annotated[str, typer.Option("--alpha", help="What upscales transparency: efdn or bicubic.")]
Background = Annotated[
    Optional[str], typer.Option("--background", help="Colour to put transparent pictures on, such as white.")
]
Color = Annotated[str, typer.Option("--color", help="keep, or rgb to convert gray and CMYK.")]
Bits = Annotated[Optional[int], typer.Option("--bits", help="1, 8 or 16 a sample; as in the picture if not given.")]
Quality = Annotated[
    Optional[int], typer.Option("--quality", help="1 to 100 of JPEG (95), AVIF (90) and WebP (lossless).")
]
Compression = Annotated[Optional[int], typer.Option("--compression", help="Effort of lossless formats, 0 to 9.")]
Frames = Annotated[
    Optional[str], typer.Option("--frames", help="all of an animation or of a TIFF's pages; A:B of a video.")
]
Codec = Annotated[Optional[str], typer.Option("--codec", help="Of videos: libx264, libx265, libsvtav1 ...")]
Crf = Annotated[Optional[float], typer.Option("--crf", help="Quality of videos, lower is better; 16.")]
Preset = Annotated[Optional[str], typer.Option("--preset", help="The video encoder's speed, such as fast.")]
PixelFormat = Annotated[
    Optional[str], typer.Option("--pixel-format", help="Of videos, such as yuv444p10le; as in the source.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Of videos: bicubic on the left, the result on the right.")]
DropStreams = Annotated[
    bool, typer.Option("--drop-streams", help="Of videos: leave out what the container cannot hold.")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Write ..._compare.png too: bicubic and the result side by side.")
]
MaxPixels = Annotated[
    Optional[int], typer.Option("--max-pixels", help="Largest picture to read, in pixels; 100 million.")
]
Ray = Annotated[
    Optional[str],
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="On a Ray cluster: HOST:PORT, local for a new one; auto, if not given, for any that runs here.",
    ),
]
RayCores = Annotated[
    Optional[int], typer.Option("--ray-cores", help="Of each worker there; 4, or what the smallest node has.")
]
JsonLines = Annotated[bool, typer.Option("--json", help="JSON on stdout: a line for each file, then a summary.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say how long each stage took.")]
Version = Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")]
