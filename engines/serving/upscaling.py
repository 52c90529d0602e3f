"""`POST /upscale`: one request from its body to its result."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from efdn.pictures.picture import Header
from engines.serving.answers import error_answer, result_headers
from engines.serving.asked import Asked, Order, understood
from engines.serving.errors import ClientLeftError, ServeError, answer_to, told
from engines.serving.journal import Notes, notes_of
from engines.serving.naming import NAMELESS, safe_name
from engines.serving.service import Job, Service
from engines.serving.upload import check_headers, receive_file
from engines.serving.watch import watched
from engines.serving.work import Upscaled, look, upscale_file

SENT_BYTES = 64 << 10
"""Of a result, at a time."""

SOURCE = "source"
"""The upload's file, in the folder of its request."""

T = TypeVar("T")


class Upscaling(Response):
    """Does the work when the answer is asked for, so that it sees body, client and answer in one place.

    Args:
        service: of the server.
        asked: the request's parameters.
    """

    def __init__(self, service: Service, asked: Asked) -> None:
        super().__init__()
        self._service, self._asked = service, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        errand = Errand(self._service, notes_of(scope), Headers(scope=scope), receive)
        try:
            await errand.send(await errand.run(self._asked), send)
        except Exception as error:
            answer = errand.answer_to(error)
            if not errand.sending and not isinstance(answer, ClientLeftError):
                await error_answer(answer)(scope, receive, send)
        finally:
            await errand.close()


class Errand:
    """A request's way. Whatever happens, `close` leaves nothing behind.

    Args:
        service: of the server.
        notes: of the request.
        headers: likewise.
        receive: likewise.

    Attributes:
        sending: whether the result is on its way, so that no other answer can be.
    """

    def __init__(self, service: Service, notes: Notes, headers: Headers, receive: Receive) -> None:
        self.sending = False
        self._service, self._notes, self._headers, self._receive = service, notes, headers, receive
        self._order: Order | None = None
        self._name = NAMELESS
        self._job: Job | None = None
        self._left: asyncio.Task[None] | None = None
        self._thread: Future[Any] | None = None
        self._work: asyncio.Future[Any] | None = None
        self._ends = 0.0

    async def run(self, asked: Asked) -> Upscaled:
        """Receives, waits and works.

        Raises:
            EfdnError: whatever goes wrong.
        """
        service, notes = self._service, self._notes
        order = self._order = understood(asked, service.options.max_pixels)
        notes.engine = service.pool.check(order.engine)
        check_headers(self._headers, service.options)
        job = self._job = service.enter(order.id)
        source = job.folder / SOURCE
        began = perf_counter()
        upload = await receive_file(self._receive, self._headers, source, service.options)
        notes.upload_s, notes.received_bytes = perf_counter() - began, upload.size
        self._name = safe_name(order.name or upload.name)
        return await self._do(job, source, order)

    async def _do(self, job: Job, source: Path, order: Order) -> Upscaled:
        service, notes = self._service, self._notes
        self._ends = monotonic() + service.options.seconds
        self._left = asyncio.get_running_loop().create_task(_until_left(self._receive))
        began = perf_counter()
        most = service.options.max_whole_pixels
        looking = partial(look, source, order.wanted, service.pool.default, most)
        header = await self._unless_over(self._begin(service.lookers, looking))
        notes.source = f"{header.layout.width}x{header.layout.height}"
        await self._unless_over(job.place.turn())
        notes.wait_s = perf_counter() - began
        working = partial(self._upscale, job, source, header, order)
        done = await self._unless_over(self._begin(service.workers, working))
        notes.stages, notes.result = done.stages, f"{done.width}x{done.height}"
        return done

    def _begin(self, threads: ThreadPoolExecutor, act: Callable[[], T]) -> asyncio.Future[T]:
        """Has something done with the request's files in a thread; they stay until it has ended."""
        self._thread = self._service.begin(threads, act)
        work: asyncio.Future[T] = asyncio.wrap_future(self._thread)
        work.add_done_callback(_look_at)
        self._work = work
        return work

    def _upscale(self, job: Job, source: Path, header: Header, order: Order) -> Upscaled:
        """In a worker's thread."""
        pool, name = self._service.pool, self._notes.engine
        engine = watched(pool.get(name), job.watch, pool.turns_of(name))
        done = upscale_file(source, header, engine, order.wanted, job.watch)
        with suppress(OSError):
            source.unlink()
        return done

    async def send(self, done: Upscaled, send: Send) -> None:
        """Sends the result.

        Raises:
            ClientLeftError: the client did not wait for all of it.
        """
        assert self._order is not None
        assert self._job is not None
        # The worker is free for the next one while this result is sent; only its file stays.
        self._job.place.send(self._notes.stages.seconds if self._notes.stages else 0.0)
        self._service.answered(self._job)
        warnings = [told(text, self._job.folder, self._name) for text in done.warnings]
        size = done.target.stat().st_size
        scale = self._service.pool.default.model.scale
        headers = result_headers(done, warnings, self._order, self._name, scale, size, self._notes)
        file = await asyncio.to_thread(done.target.open, "rb")
        try:
            self.sending = True
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while chunk := await asyncio.to_thread(file.read, SENT_BYTES):
                if self._left is not None and self._left.done():
                    raise ClientLeftError
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            file.close()

    def answer_to(self, error: Exception) -> ServeError:
        """What the request is answered with, noted for the log."""
        folder = None if self._job is None else self._job.folder
        answer = answer_to(error, folder=folder, name=self._name)
        self._notes.status, self._notes.said = answer.status, str(answer)
        if answer.status == 500:
            self._notes.said = " ".join(f"{type(error).__name__}: {error}".split())
        return answer

    async def close(self) -> None:
        """Stops the work if it is not done, and removes the request's files as soon as nobody uses them."""
        if self._left is not None:
            self._left.cancel()
        job = self._job
        if job is None:
            return
        self._service.answered(job)
        job.watch.stop(ClientLeftError())
        if self._work is None or self._thread is None or self._thread.cancel() or self._thread.done():
            await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)
            self._over(job)
        else:
            self._work.add_done_callback(lambda _: self._remove_and_leave(job))

    def _remove_and_leave(self, job: Job) -> None:
        shutil.rmtree(job.folder, ignore_errors=True)
        self._over(job)

    def _over(self, job: Job) -> None:
        job.place.leave()
        self._service.left(job)

    async def _unless_over(self, doing: Awaitable[T]) -> T:
        """Waits for something while the client does, and there is time.

        Raises:
            ClientLeftError: it does no longer.
            ServeError: the time is over.
            BusyError: the server is about to end, and does not wait any longer.
        """
        assert self._left is not None
        assert self._job is not None
        given_up = asyncio.ensure_future(self._job.given_up.wait())
        future: asyncio.Future[T] = asyncio.ensure_future(doing)
        try:
            patience = max(0.0, self._ends - monotonic())
            any_of: set[asyncio.Future[Any]] = {future, self._left, given_up}
            await asyncio.wait(any_of, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            if given_up.done():
                raise self._service.ending()
            if self._left.done():
                raise ClientLeftError
            seconds = self._service.options.seconds
            raise ServeError(
                504,
                f"the work was not done within {seconds:g} s, and is stopped: send a smaller picture, "
                "ask when less is going on, or have the server started with a larger --timeout",
            )
        finally:
            given_up.cancel()
            if future is not self._work:
                future.cancel()


async def _until_left(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _look_at(future: asyncio.Future[Any]) -> None:
    """Takes note of an error that nobody waits for any more, or asyncio complains."""
    if not future.cancelled():
        with suppress(Exception):
            future.exception()
