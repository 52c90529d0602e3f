"""`efdn-export triton`: a model repository for Triton Inference Server."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cli.export_options import Weights, require_export_extra
from cli.export_text import show_artefact, show_line
from cli.options import parse_shape
from cli.progress import notify
from efdn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from export.triton.repository import ServedModel

NO_WARM_UP = "none"

CLIENT_PACKAGES = 'pip install "tritonclient[grpc]" pillow'

IMAGE = "nvcr.io/nvidia/tritonserver:YY.MM-py3"
"""Of which month is the user's to say: an engine runs only where TensorRT has the version that built it."""


def triton(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write, new or empty.")],
    weights: Weights = None,
    engine: Annotated[
        Optional[Path],
        typer.Option(
            "--engine",
            metavar="FILE",
            help="Serve this engine too, of efdn-export trt --runtime tensorrt and the same weights.",
        ),
    ] = None,
    name: Annotated[
        Optional[str],
        typer.Option("--name", help="Name to call the model by; efdn_x4 if not given. Engines: NAME_trt."),
    ] = None,
    fp16: Annotated[
        Optional[bool], typer.Option("--fp16/--fp32", help="Type inside the ONNX model; FP32 if not given.")
    ] = None,
    max_batch: Annotated[
        int,
        typer.Option("--max-batch", metavar="N", help="Most pictures of one size in a batch; engines have their own."),
    ] = 4,
    gpu: Annotated[
        Optional[bool],
        typer.Option("--gpu/--cpu", help="Where the ONNX model runs; a GPU where there is one if not given."),
    ] = None,
    instances: Annotated[int, typer.Option("--instances", metavar="N", help="How many run at once, on each GPU.")] = 1,
    threads: Annotated[
        Optional[int],
        typer.Option("--threads", metavar="N", help="Threads of an instance on the CPU; all cores if not given."),
    ] = None,
    warm_up: Annotated[
        Optional[list[str]],
        typer.Option(
            "--warm-up",
            metavar="HxW",
            help="Size to run before the model is ready; 256x256 if not given. May be repeated. 'none': no warm-up.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a repository that this command has written.")
    ] = False,
) -> None:
    """Write a model repository: 8-bit pictures in and out, ONNX verified, for Triton Inference Server."""
    if gpu and threads is not None:
        raise UsageError("--threads is for instances on the CPU, and --gpu asks for none: leave out one of them")
    texts = warm_up or ["256x256"]
    sides = () if texts == [NO_WARM_UP] else tuple(dict.fromkeys(parse_shape(text, "--warm-up") for text in texts))
    require_export_extra()
    from efdn.assets import DEFAULT_WEIGHTS
    from export.precision import Precision
    from export.triton.model_config import Kind
    from export.triton.repository import RepositoryOptions, export_repository

    try:
        options = RepositoryOptions(
            name=name,
            precision=Precision.FP16 if fp16 else Precision.FP32,
            max_batch=max_batch,
            kind=Kind.AUTO if gpu is None else Kind.GPU if gpu else Kind.CPU,
            instances=instances,
            threads=threads,
            warm_ups=sides,
        )
    except ConfigError as error:  # Of the user's, as they come from the command line.
        raise UsageError(str(error)) from error
    models = export_repository(
        folder, weights or DEFAULT_WEIGHTS, options=options, engine=engine, overwrite=overwrite, notify=notify
    )
    _show(folder, models)


def _show(folder: Path, models: tuple[ServedModel, ...]) -> None:
    for model in models:
        config, build = model.config, model.sidecar.build
        # How an engine compares was said when it was built.
        show_artefact(model.path, model.sidecar if build is None else replace(model.sidecar, parity={}))
        batches = f"batches of up to {config.max_batch}" if config.max_batch > 1 else "one picture at a time"
        count = f"{config.instances} instance{'s' if config.instances > 1 else ''}"
        show_line("served as", f"{config.name}: {batches}, {count}, {config.kind.value}")
        if build is not None:
            gpus = ", ".join(build.gpu_targets)
            show_line("needs", f"TensorRT {build.tensorrt_version} in the server, and a GPU: {gpus}")
        show_line("configured in", str(model.path.parent.parent / "config.pbtxt"))
    show_line("done in", f"{models[0].sidecar.seconds:.1f} s")
    on_gpus = "" if all(model.config.kind.value == "KIND_CPU" for model in models) else " --gpus all"
    volume = shlex.quote(f"{folder.resolve()}:/models:ro")
    ports = "-p 127.0.0.1:8000:8000 -p 127.0.0.1:8001:8001"
    typer.echo(
        f"next: docker run --rm{on_gpus} {ports} -v {volume} {IMAGE} tritonserver --model-repository=/models\n"
        f"then: python examples/triton_client.py photo.png photo_x4.png --model {models[-1].config.name}\n"
        "YY.MM is the month of a release of Triton, such as 25.06; "
        f"the client is in efdn's source folder and needs {CLIENT_PACKAGES}"
    )
