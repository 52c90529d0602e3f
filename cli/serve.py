"""`efdn-serve`: an HTTP server that upscales pictures, with a page to look at."""

from __future__ import annotations

from contextlib import suppress
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
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Pictures at work at once.")] = 2,
    queue: Annotated[int, typer.Option("--queue", help="Requests that may wait besides; more get 503.")] = 16,
    max_bytes: Annotated[str, typer.Option("--max-bytes", help="Largest file to take, such as 64M.")] = "64M",
    max_pixels: Annotated[
        Optional[int], typer.Option("--max-pixels", help="Largest picture to take, in pixels; 16 million.")
    ] = None,
    max_whole_pixels: Annotated[
        Optional[int],
        typer.Option("--max-whole-pixels", help="Largest JPEG, WebP, AVIF or BMP to make; 40 million."),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds from a picture's upload to its answer.")] = 300,
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

    POST a picture to /upscale and get it upscaled, with everything kept that
    efdn-infer keeps: curl -T photo.jpg -X POST http://127.0.0.1:8000/upscale -o photo_x4.png
    Ctrl-C ends it once accepted work is done; again, at once. See docs/serving.md.
    """
    from cli.serve_text import Voice
    from efdn.errors import ConfigError, UsageError
    from efdn.extras import import_extra

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        import_extra(module, "serve", "Serving")
    from engines.serving.options import MAX_PIXELS, MAX_WHOLE_PIXELS, ServeOptions
    from engines.serving.pool import EnginePool
    from engines.serving.server import GracefulServer, address_of, listen, serve_on
    from engines.serving.service import Service

    try:
        options = ServeOptions(
            host=host,
            port=port,
            model=model,
            engine=engine,
            jobs=jobs,
            queue=queue,
            max_bytes=parse_bytes(max_bytes),
            max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
            max_whole_pixels=MAX_WHOLE_PIXELS if max_whole_pixels is None else max_whole_pixels,
            seconds=timeout,
            grace_seconds=grace,
            allow_hosts=tuple(allow_host or ()),
            folder=temporary,
        )
    except ConfigError as error:  # Of the user's, as they come from the command line.
        raise UsageError(str(error)) from error
    voice = Voice(json_lines=json_lines, quiet=quiet)
    listener = listen(options.host, options.port)
    with listener:
        service = Service(options, EnginePool(options.model, options.engine), voice)
        address = address_of(listener)
        server = GracefulServer(service, lambda: voice.ready(address, service))
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


def parse_bytes(text: str) -> int:
    """ "64M" as 67108864; k, M and G are powers of 1024.

    Raises:
        UsageError: no such number.
    """
    import re

    from efdn.errors import UsageError

    found = re.fullmatch(r"\s*(\d{1,15})\s*([kKmMgG]?)(i?[bB])?\s*", text)
    if found is None:
        raise UsageError(f"--max-bytes takes a number of bytes such as 64M, got {text!r}")
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2].lower()]


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
