"""The engines of a server: one open from the start, the others opened when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from efdn.errors import EfdnError, EngineError, MissingExtraError, OutOfMemoryError, UsageError
from engines.batch.names import printable
from engines.bicubic import NAME as BICUBIC
from engines.bicubic import BicubicEngine
from engines.options import DEFAULT_OPTIONS, RunOptions
from engines.protocol import Engine
from engines.registry import ENGINES, EngineEntry, model_kind
from engines.select import AUTO, PACKAGED, Choice, choose_engine
from engines.serving.turns import Turns

PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "pytorch": "torch"}
"""What engines need, by the first word of their names; importing it to know takes seconds and memory."""

Open = Callable[[Path | None, str, RunOptions], Choice]


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """An engine as it is told to clients.

    Attributes:
        name: in requests.
        state: "open", "closed" (opened when it is first asked for) or "unavailable".
        detail: versions and device; None of one that is not open.
        reason: why it is unavailable, and what to do.
    """

    name: str
    state: str
    detail: str | None = None
    reason: str | None = None


class EnginePool:
    """Opens engines, and keeps them open. Safe from any thread.

    Args:
        model: as for `choose_engine`.
        name: of the engine that requests get which name none, or "auto".
        open_engine: opens an engine.
        installed: tells whether a package is.
        options: how engines run.

    Attributes:
        default: the engine that requests get which name none.

    Raises:
        EfdnError: it cannot be opened, see `choose_engine`.
    """

    def __init__(
        self,
        model: Path | None = None,
        name: str = AUTO,
        open_engine: Open = choose_engine,
        installed: Callable[[str], bool] = lambda package: find_spec(package) is not None,
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._model, self._open_engine, self._options = model, open_engine, options
        choice = open_engine(model, name, options)
        self.default = choice.engine
        self._opened: dict[str, Engine] = {self.default.name: self.default}
        self._opened[BICUBIC] = BicubicEngine(self.default.model.scale)
        # A passed-over engine stands there as "name (reason)".
        self._failed = dict(text.removesuffix(")").split(" (", 1) for text in choice.passed_over)
        asked = {self.default.name} | ({name} - {AUTO})
        self._entries = [entry for entry in ENGINES if not entry.on_request or entry.name in asked]
        for entry in self._entries:
            reason = _without_model(entry, model) or _without_package(entry, installed)
            if entry.name not in self._opened and reason:
                self._failed.setdefault(entry.name, reason)
        self._guard = Lock()
        self._openings: dict[str, Lock] = {}
        self._closed = False
        self._turns: dict[str, Turns] = {}

    def states(self) -> list[EngineState]:
        """All engines, in the order in which they are chosen; bicubic is the last."""
        names = list(dict.fromkeys([entry.name for entry in self._entries] + list(self._opened)))
        return [self._state(name) for name in [*(name for name in names if name != BICUBIC), BICUBIC]]

    def check(self, name: str) -> str:
        """The name of the engine that a request gets.

        Raises:
            UsageError: there is none of that name, or it is known not to run here.
        """
        if name == AUTO:
            return self.default.name
        known = [state.name for state in self.states()]
        if name not in known:
            raise UsageError(f"no engine {printable(name)!r}: expected auto, {', '.join(known)}")
        if name not in self._opened and name in self._failed:
            raise UsageError(f"engine {name} does not run on this server: {self._failed[name]}")
        return name

    def get(self, name: str) -> Engine:
        """The engine of that name, opened if it was not.

        Raises:
            UsageError: see `check`.
            OutOfMemoryError: too little memory to open it now.
        """
        with self._guard:
            opening = self._openings.setdefault(name, Lock())
        with opening:  # Work on other engines goes on meanwhile.
            self.check(name)
            engine = self._opened.get(name)
            if engine is None:
                try:
                    engine = self._open_engine(self._model, name, self._options).engine
                except (OutOfMemoryError, MemoryError):
                    raise  # That may be otherwise the next time.
                except EfdnError as error:
                    self._failed[name] = " ".join(str(error).split())
                    self.check(name)
                    raise
            return self._kept(name, engine)

    def _kept(self, name: str, engine: Engine) -> Engine:
        """The engine, unless all are closed by now."""
        with self._guard:
            if not self._closed:
                self._opened[name] = engine
                return engine
            mine = self._opened.get(name) is not engine
        if mine:
            engine.close()
        raise EngineError("the server is ending: its engines are closed; ask it again when it is back")

    def turns_of(self, name: str) -> Turns | None:
        """What runs of an engine take turns by; None where any number may run at once.

        Two runs at once on a processor take longer than one after the other, and twice the memory. Engines of
        PyTorch take turns with each other: its settings are the process's, and a run that ends resets them.
        """
        if name == BICUBIC:
            return None
        with self._guard:
            return self._turns.setdefault(name.split("-")[0] if name.startswith("pytorch") else name, Turns())

    def close(self) -> None:
        """Closes all engines. Nothing may be at work."""
        with self._guard:
            self._closed = True
            for engine in self._opened.values():
                with suppress(EfdnError):
                    engine.close()

    def _state(self, name: str) -> EngineState:
        engine = self._opened.get(name)
        if engine is not None:
            return EngineState(name=name, state="open", detail=engine.detail)
        if name in self._failed:
            return EngineState(name=name, state="unavailable", reason=self._failed[name])
        return EngineState(name=name, state="closed")


def _without_model(entry: EngineEntry, model: Path | None) -> str | None:
    """Why there is nothing that the engine could run; None if there is."""
    if model is None:
        if entry.reads in PACKAGED:
            return None
        return f"it needs a {entry.reads.value} file: build one with 'efdn-export trt', and start the server with it"
    kind = model_kind(model)
    if kind is entry.reads:
        return None
    return f"it reads {entry.reads.value} files, the server's model is {kind.value}: start another server for it"


def _without_package(entry: EngineEntry, installed: Callable[[str], bool]) -> str | None:
    """Which package is missing; None if it is there, or only opening the engine can tell."""
    package = PACKAGES.get(entry.name.split("-")[0])
    if package is None or installed(package):
        return None
    return str(MissingExtraError(package, entry.extra, "it"))
