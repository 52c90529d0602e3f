"""What `efdn-serve` says."""

from __future__ import annotations

import ipaddress
import json
import sys
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING

from engines.batch.names import printable

if TYPE_CHECKING:
    from engines.serving.journal import Notes
    from engines.serving.service import Service

PROGRAM = "efdn-serve"

UNTOLD = ("/health", "/ready", "/metrics", "/progress/", "/page/")
"""What programs ask for again and again; it is told where it fails."""


class Voice:
    """Tells each request in one line on stderr.

    Args:
        json_lines: whether lines are JSON.
        quiet: whether only what the server itself failed at is told.
    """

    def __init__(self, *, json_lines: bool, quiet: bool) -> None:
        self._json, self._quiet = json_lines, quiet

    def __call__(self, notes: Notes) -> None:
        """Takes a request that is over."""
        failed = notes.status == 500
        if (self._quiet and not failed) or (notes.status < 400 and notes.path.startswith(UNTOLD)):
            return
        _say(json.dumps(notes.to_json()) if self._json else f"{PROGRAM}: {request_line(notes)}")

    def ready(self, address: str, service: Service) -> None:
        """Says where the server is, and what runs."""
        engine, options = service.pool.default, service.options
        if self._json:
            _say(json.dumps({"ready": address, "engine": engine.name, "model": engine.model.name}))
            return
        _say(
            f"{PROGRAM}: {address} {engine.name} ({engine.detail}), model {engine.model.name}, "
            f"{options.jobs} at work and {options.queue} waiting at most"
        )

    def warn_of_others(self, listener: socket) -> None:
        """Warns where other machines reach the server."""
        host = listener.getsockname()[0].split("%")[0]
        if ipaddress.ip_address(host).is_loopback:
            return
        warning = f"{host} is reached by other machines, and there is no authentication: put a proxy before it that has"
        _say(json.dumps({"warning": warning}) if self._json else f"{PROGRAM}: warning: {warning}")

    def finishing(self, count: int) -> None:
        """Says that the end was asked for, and what comes before it."""
        if self._quiet:
            return
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        text = f"{PROGRAM}: finishing {pictures}; Ctrl-C again stops at once"
        _say(json.dumps({"finishing": count}) if self._json else text)

    def ended(self) -> None:
        """Says that the server has ended."""
        if not self._quiet:
            _say(json.dumps({"ended": True}) if self._json else f"{PROGRAM}: ended")


def request_line(notes: Notes) -> str:
    """A request in one line."""
    known = notes.to_json()
    words = [known["time"], str(notes.status), *map(printable, (notes.client, notes.method, notes.path))]
    if notes.source:
        words.append(f"{notes.source} -> {notes.result or '?'}")
    if notes.engine:
        words.append(printable(notes.engine))
    words += [f"{notes.received_bytes} B in", f"{notes.sent_bytes} B out", f"{notes.seconds:.3f} s", notes.id]
    return " ".join(words) + (f" {printable(notes.said)}" if notes.said else "")


def _say(line: str) -> None:
    # Whoever read the log may have gone; the server has not.
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
