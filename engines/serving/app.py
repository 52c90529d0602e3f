"""The routes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from efdn.errors import OutputError
from efdn.pictures.formats import FORMATS, format_of
from efdn.version import __version__
from engines.batch.names import printable
from engines.serving import schema
from engines.serving.answers import TYPES, error_answer
from engines.serving.asked import ID_PATTERN, Asked, misunderstood
from engines.serving.errors import BusyError, ServeError, answer_to
from engines.serving.gate import Gate
from engines.serving.journal import notes_of
from engines.serving.metrics import CONTENT_TYPE
from engines.serving.page_files import INDEX, page_file
from engines.serving.queue import State
from engines.serving.service import Service
from engines.serving.upscaling import Upscaling

NAMES = {"WEBP": "WebP"}
"""Of formats that Pillow calls otherwise than people do."""

SEND = "send the picture with POST: curl -f -T photo.png -X POST .../upscale -o photo_x4.png"
"""curl alone sends files with PUT."""

SUMMARY = "Upscales pictures with EFDN, with the fidelity of efdn-infer."


def new_app(service: Service) -> ASGIApp:
    """The application.

    Args:
        service: what its requests share; whoever made it closes it.
    """
    app = FastAPI(
        title="efdn-serve",
        summary=SUMMARY,
        version=__version__,
        docs_url=None,  # Its page would load scripts from elsewhere.
        redoc_url=None,
        redirect_slashes=False,
        responses=schema.EVERYWHERE,
    )
    _add_pictures(app, service)
    _add_state(app, service)
    _add_page(app)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ServeError, _error)
    app.add_exception_handler(Exception, _error)
    return Gate(app, service)


def _add_pictures(app: FastAPI, service: Service) -> None:
    @app.post("/upscale", responses=schema.UPSCALING, openapi_extra=schema.BODY, response_class=Response)
    async def upscale(asked: Annotated[Asked, Query()], request: Request) -> Response:
        """Upscales the picture in the body. Closing the connection cancels."""
        names = [name for name, _ in request.query_params.multi_items()]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ServeError(422, f"{', '.join(repeated)}: expected once, got it several times: give one value")
        return Upscaling(service, asked)

    @app.get(
        "/progress/{id}",
        responses=schema.problems(_404="No request of that id is at work.", _422="No id."),
        response_model_exclude_none=True,
    )
    async def progress(known_as: Annotated[str, Path(alias="id", pattern=ID_PATTERN)]) -> schema.Progress:
        """Tells how far the request with that id is."""
        job = service.find(known_as)
        if job is None:
            raise ServeError(404, f"no request {known_as} is at work: it is over, or has not come yet")
        if job.place.state is State.WORKING:
            return schema.Progress(state="working", share=round(job.watch.share, 4), phase=job.watch.phase)
        return schema.Progress(state="waiting", position=job.place.position)


def _add_state(app: FastAPI, service: Service) -> None:
    options = service.options

    @app.get("/engines")
    async def engines() -> schema.Engines:
        """Tells what can be asked for."""
        default = service.pool.default
        return schema.Engines(
            version=__version__,
            default=default.name,
            engines=[schema.EngineEntry(**vars(state)) for state in service.pool.states()],
            scale=default.model.scale,
            model=default.model.name,
            formats=_formats(),
            limits=schema.Limits(bytes=options.max_bytes, pixels=options.max_pixels, seconds=options.seconds),
        )

    @app.get("/health")
    async def health() -> schema.Health:
        """Tells that the server is there."""
        return schema.Health()

    @app.head("/health", include_in_schema=False)
    async def look_after_health() -> Response:
        return Response()

    @app.get("/ready", responses=schema.problems(_503="It takes no picture now, and why."))
    async def ready() -> schema.Ready:
        """Tells whether a picture would be taken now."""
        if (reason := service.refusal()) is not None:
            raise BusyError(f"{reason}: try again later", service.line.retry_after_s)
        line = service.line
        return schema.Ready(engine=service.pool.default.name, waiting=len(line.waiting), working=line.working)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counts and times, as Prometheus reads them."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return page_file(INDEX, request.headers.get("if-none-match"))

    @app.get("/page/{name}", include_in_schema=False)
    async def page(name: str, request: Request) -> Response:
        return page_file(name, request.headers.get("if-none-match"))


def _formats() -> list[schema.FormatEntry]:
    return [
        schema.FormatEntry(
            ending=known.endings[0][1:],
            name=NAMES.get(known.name, known.name),
            type=TYPES[known.endings[0]],
            lossy=known.lossy,
            qualities=(1, 100) if known.lossy else None,
        )
        for known in FORMATS
        if _is_written(known.endings[0])
    ]


def _is_written(ending: str) -> bool:
    """Whether this machine's Pillow can write such files."""
    with suppress(OutputError):
        format_of(FilePath(f"result{ending}"))
        return True
    return False


async def _error(request: Request, error: Exception) -> JSONResponse:
    answer = answer_to(error)
    notes = notes_of(request.scope)
    notes.said = notes.said or str(answer)
    return error_answer(answer)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own: no such path, or method."""
    assert isinstance(error, HTTPException)
    headers: dict[str, Any] = dict(error.headers or {})
    path, method = printable(request.url.path[:80]), request.method
    advice = SEND if path == "/upscale" else "see /openapi.json"
    said = {404: f"no page {path}: begin at /", 405: f"{path} does not take {method}: {advice}"}
    message = said.get(error.status_code, str(error.detail))
    return await _error(request, ServeError(error.status_code, message, headers))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A parameter that is none, or out of range."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1]) if first["loc"] else "the request"
    return await _error(request, ServeError(422, misunderstood(name, first.get("input"))))
