"""What a pickle would build, without building it.

Unpickling runs what the pickle names. Here its instructions are followed with inert
records in place of every class and call: nothing is imported and nothing is run.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import IO

MARK = object()

# Instructions that push their own argument. Those of protocols 0 and 1 are left out: torch.save begins at 2.
NUMBERS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"))
TEXTS = frozenset(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"))
BYTES = frozenset(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING"))
LITERALS = NUMBERS | TEXTS | BYTES
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY = {"EMPTY_DICT": "dict", "EMPTY_LIST": "list", "EMPTY_SET": "set"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = ("PROTO", "FRAME", "STOP")


class UnknownPickleError(ValueError):
    """An instruction that is not followed here, or a broken pickle."""


@dataclass(eq=False)
class Record:
    """What would have been an object.

    Attributes:
        what: "dict", "list", "set", "global torch.FloatStorage", "call", or "persistent".
        arguments: what a call was given, or the identity of a persistent object.
        items: entries by key, of a dict or of what is filled like one.
    """

    what: str
    arguments: tuple[object, ...] = ()
    items: list[tuple[object, object]] = field(default_factory=list)


def follow_pickle(file: IO[bytes]) -> object:
    """Follows the next pickle of a file.

    Returns:
        Numbers, texts and tuples as they are, everything else as a `Record`.

    Raises:
        UnknownPickleError: broken, or more than plain data and calls.
    """
    stack: list[object] = []
    memo: dict[int, object] = {}
    try:
        for instruction, argument, _ in pickletools.genops(file):
            _step(instruction.name, argument, stack, memo)
        return stack.pop()
    except UnknownPickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise UnknownPickleError(f"broken ({' '.join(str(error).split())})") from error


def _step(name: str, argument: object, stack: list[object], memo: dict[int, object]) -> None:
    if name in LITERALS:
        stack.append(argument)
    elif name in CONSTANTS:
        stack.append(CONSTANTS[name])
    elif name in EMPTY:
        stack.append(Record(EMPTY[name]))
    elif name == "MARK":
        stack.append(MARK)
    elif name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name in TUPLES:
        stack[-TUPLES[name] :] = [tuple(stack[-TUPLES[name] :])]
    elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if argument is None else int(str(argument))] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[int(str(argument))])
    elif name not in IGNORED:
        _step_of_objects(name, argument, stack)


def _step_of_objects(name: str, argument: object, stack: list[object]) -> None:
    if name == "GLOBAL":
        stack.append(Record("global " + str(argument).replace(" ", ".")))
    elif name == "STACK_GLOBAL":
        module, attribute = stack[-2:]
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise UnknownPickleError("broken (a class without a name)")
        stack[-2:] = [Record(f"global {module}.{attribute}")]
    elif name in ("REDUCE", "NEWOBJ"):
        callee, arguments = stack[-2:]
        stack[-2:] = [Record("call", (callee, arguments))]
    elif name == "BINPERSID":
        stack[-1] = Record("persistent", (stack[-1],))
    elif name == "BUILD":
        stack.pop()  # An object's own attributes: nothing that is asked for here.
    elif name in ("SETITEM", "SETITEMS"):
        flat = _since_mark(stack) if name == "SETITEMS" else [stack.pop() for _ in range(2)][::-1]
        _record(stack[-1]).items += zip(flat[::2], flat[1::2], strict=True)
    elif name in ("APPEND", "APPENDS"):
        added = _since_mark(stack) if name == "APPENDS" else [stack.pop()]
        known = _record(stack[-1]).items
        known += enumerate(added, len(known))
    else:
        raise UnknownPickleError(f"holds the instruction {name}, which is not followed here")


def _since_mark(stack: list[object]) -> list[object]:
    """Takes what was pushed since the last mark, and the mark, off the stack."""
    start = next((index for index in reversed(range(len(stack))) if stack[index] is MARK), None)
    if start is None:
        raise UnknownPickleError("broken (a mark is missing)")
    taken = stack[start + 1 :]
    del stack[start:]
    return taken


def _record(value: object) -> Record:
    if not isinstance(value, Record):
        raise UnknownPickleError("fills something that is no container")
    return value
