"""`efdn-serve`: an HTTP server that upscales pictures, with a page to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from cli.runner import new_app, run, show_version

PROGRAM = "efdn-serve"

app = new_app("Serve pictures upscaled with EFDN over HTTP.")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; there is no authentication.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="Port to listen at; 0 takes a free one.")] = 8000,
    model: Annotated[
        Optional[Path],
        typer.Option(
            "--model", "-m", help="Weights, ONNX file or TensorRT engine; the packaged x4 model if not given."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", "-e", help="For requests that name none: auto, onnxruntime-cpu, openvino ...")
    ] = "auto",
    threads: Annotated[
        Optional[int],
        typer.Option("--threads", help="Of engines on the CPU; one for each core they may use if not given."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Pictures at work at once.")] = 2,
    queue: Annotated[int, typer.Option("--queue", help="Requests that may wait besides; more get 503.")] = 16,
    max_bytes: Annotated[str, typer.Option("--max-bytes", help="Largest file to take, such as 64M.")] = "64M",
    max_pixels: Annotated[
        str, typer.Option("--max-pixels", help="Largest picture to take, in pixels, such as 16M (million).")
    ] = "16M",
    max_whole_pixels: Annotated[
        str, typer.Option("--max-whole-pixels", help="Largest JPEG, WebP, AVIF or BMP to make, in pixels.")
    ] = "40M",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds from a picture's upload to its answer.")] = 1800,
    grace: Annotated[float, typer.Option("--grace", help="Seconds for accepted work when told to end.")] = 30,
    allow_host: Annotated[
        Optional[list[str]],
        typer.Option("--allow-host", help="Name under which the server may be asked; * for any. Repeatable."),
    ] = None,
    temporary: Annotated[
        Optional[Path], typer.Option("--temp", help="Folder for uploads and results while they are needed.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="Log JSON on stderr, one object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log no requests.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Serve pictures upscaled with EFDN over HTTP, and a page to try it.

    POST a picture to /upscale and get it upscaled, with everything kept that efdn-infer keeps:

    curl -f -T photo.jpg -X POST http://127.0.0.1:8000/upscale -o photo_x4.png

    Ctrl-C ends it once accepted work is done; again, at once. See docs/serving.md.
    """
    from cli.serve_text import Voice
    from efdn.errors import ConfigError, UsageError
    from efdn.extras import import_extra

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        import_extra(module, "serve", "Serving")
    from engines.options import RunOptions
    from engines.serving.options import ServeOptions
    from engines.serving.pool import EnginePool
    from engines.serving.server import GracefulServer, address_of, listen, serve_on
    from engines.serving.service import Service

    try:
        options = ServeOptions(
            host=host,
            port=port,
            model=model,
            engine=engine,
            threads=threads,
            jobs=jobs,
            queue=queue,
            max_bytes=parse_amount("--max-bytes", max_bytes, 1024),
            max_pixels=parse_amount("--max-pixels", max_pixels, 1000),
            max_whole_pixels=parse_amount("--max-whole-pixels", max_whole_pixels, 1000),
            seconds=timeout,
            grace_seconds=grace,
            allow_hosts=tuple(allow_host or ()),
            folder=checked_folder(temporary),
        )
    except ConfigError as error:  # Of the user's, as they come from the command line.
        raise UsageError(in_options(str(error))) from error
    voice = Voice(json_lines=json_lines, quiet=quiet)
    listener = listen(options.host, options.port)
    with listener:
        pool = EnginePool(options.model, options.engine, options=RunOptions(threads=options.threads))
        with writable(temporary):
            service = Service(options, pool, voice)
        address = address_of(listener)
        server = GracefulServer(service, lambda: voice.ready(address, service), voice.finishing)
        voice.warn_of_others(listener)
        ended = serve_on(listener, server, service)
    voice.ended()
    if not ended:
        leave()


def leave() -> NoReturn:
    """Ends the process with work under way that cannot be stopped, such as the encoding of a picture."""
    import os
    import sys

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def parse_amount(option: str, text: str, thousand: int) -> int:
    """ "64M" as 64 million, or as 67108864 where a thousand is 1024.

    Args:
        option: that takes it.
        text: of the user.
        thousand: what k stands for; M and G are its powers.

    Raises:
        UsageError: no such number.
    """
    import re

    from efdn.errors import UsageError

    found = re.fullmatch(r"\s*(\d{1,15})\s*([kKmMgG]?)(i?[bB])?\s*", text)
    if found is None or (found[3] and thousand == 1000):
        what, example = ("pixels", "16M") if thousand == 1000 else ("bytes", "64M")
        raise UsageError(f"{option} takes a number of {what} such as {example}, got {text!r}")
    amount: int = int(found[1]) * thousand ** {"": 0, "k": 1, "m": 2, "g": 3}[found[2].lower()]
    return amount


def in_options(message: str) -> str:
    """A message on a field of the server's options, in words of the command line."""
    name, _, rest = message.partition(" ")
    option = {"seconds": "timeout", "grace_seconds": "grace"}.get(name, name).replace("_", "-")
    return f"--{option} {rest}"


def checked_folder(folder: Path | None) -> Path | None:
    """The folder, if it is one.

    Raises:
        UsageError: it is none.
    """
    from efdn.errors import UsageError

    if folder is not None and not folder.is_dir():
        raise UsageError(f"--temp takes a folder that is there, got {folder}: make it, or give another one")
    return folder


@contextmanager
def writable(folder: Path | None) -> Iterator[None]:
    """Has what the system says of the folder of temporary files name that, not a file in it.

    Raises:
        OutputError: nothing can be written there.
    """
    from efdn.errors import OutputError
    from efdn.files import reason_of

    try:
        yield
    except OSError as error:
        named = "the system's temporary folder" if folder is None else f"--temp {folder}"
        raise OutputError(f"{named} takes no files: {reason_of(error)}; give another --temp") from error


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
