"""The way to a cluster, without a word on stdout but results."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from efdn.errors import EngineError
from efdn.extras import import_extra
from engines.cluster.options import AUTOMATIC, LOCAL, check_address

ADDRESS = "RAY_ADDRESS"
TIMEOUT_S = 10
"""To reach the head of a cluster."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    # What is still at work when a run ends would start a cluster of its own.
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
"""Variables that Ray reads as it is imported, or hands on to the processes it starts."""

LOCAL_STORE_BYTES = 100 << 20
"""Of a cluster that is started here: nothing of the pictures goes through Ray's object store."""


@contextmanager
def connected(address: str) -> Iterator[tuple[Any, bool]]:
    """Yields the module `ray`, connected, and whether the cluster was started here; it is ended on leaving then.

    Args:
        address: "host:port", `AUTOMATIC` or `LOCAL`.

    Raises:
        UsageError: what the environment names is no address.
        MissingExtraError: Ray is not installed.
        EngineError: there is no such cluster, or it is another version's.
    """
    address = _named(address)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = import_extra("ray", "ray", "Running on a cluster")
    import_extra("ray.data", "ray", "Running on a cluster")
    if ray.is_initialized():
        _hush(ray)
        yield ray, False
        return
    before = _signals()
    try:
        own = _connect(ray, address)
        _hush(ray)
        _restore(before)
        yield ray, own
    finally:
        ray.shutdown()
        _restore(before)


def _named(address: str) -> str:
    """Where nothing is named, what the environment names."""
    if address == AUTOMATIC:
        address = os.environ.get(ADDRESS) or AUTOMATIC
        check_address(address, ADDRESS)
    return address


def _connect(ray: Any, address: str) -> bool:
    """Where nothing is named: a cluster that runs here, or a new one: True then."""
    if address == AUTOMATIC:
        try:
            _init(ray, address=AUTOMATIC)
        except ConnectionError:
            address = LOCAL
        else:
            return False
    if address == LOCAL:
        _init(ray, address=LOCAL, include_dashboard=False, object_store_memory=LOCAL_STORE_BYTES)
        return True
    _check_reachable(address)
    _init(ray, address=address)
    return False


def _init(ray: Any, address: str, **options: Any) -> None:
    usual = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with warnings.catch_warnings(), _without_stderr():
            warnings.simplefilter("ignore")
            ray.init(address=address, **usual, **options)
    except ConnectionError as error:
        if address == AUTOMATIC:
            raise
        raise EngineError(_unreachable(address, str(error))) from error
    except (RuntimeError, ValueError, OSError) as error:
        words = " ".join(str(error).split())
        if "ersion mismatch" in words:
            raise EngineError(
                f"the cluster at {address} runs another Ray or Python than this process ({words}): "
                "install the same on every node and here"
            ) from error
        raise EngineError(f"cannot use the cluster at {address}: {words[:300]}") from error


def _check_reachable(address: str) -> None:
    """Raises EngineError where nobody answers: Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:  # Names of hosts that no name server could know are the latter.
        raise EngineError(_unreachable(address, (getattr(error, "strerror", None) or str(error)).lower())) from error


def _unreachable(address: str, reason: str) -> str:
    return (
        f"no Ray cluster answers at {address} ({' '.join(reason.split())}): "
        "start one with 'ray start --head', or give its head's address"
    )


def _hush(ray: Any) -> None:
    """Keeps Ray from talking: what it says of dead workers goes to stdout, where results are."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    worker = sys.modules.get("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *given, **named: None  # type: ignore[union-attr]
    warnings.filterwarnings("ignore", module=r"ray\.")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


@contextmanager
def _without_stderr() -> Iterator[None]:
    """For what Ray's native part says as it starts, whatever level it is told."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _signals() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


def _restore(handlers: dict[int, Any]) -> None:
    """Ray takes over SIGTERM, which ends a run in good order here."""
    for number, handler in handlers.items():
        # In another thread than the main one there is nothing to restore; what is not Python's has no handler to give.
        with suppress(ValueError, TypeError):
            signal.signal(number, handler)
