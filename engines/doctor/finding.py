"""One thing found on a machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from engines.doctor.privacy import private


class State(str, Enum):
    """How a thing is; values are the words that are shown."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A thing, how it is, and what to do about it.

    Attributes:
        topic: title it stands under.
        name: of the thing.
        state: how it is; an absent thing is one that nobody has to have.
        text: what was found, in one line.
        remedy: what to do; commands stand alone on their lines, so that they can be copied.
    """

    topic: str
    name: str
    state: State
    text: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "state": self.state.value}


def cleaned(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same, fit to be shown to anybody; see `private`."""
    return tuple(
        replace(
            finding,
            text=private(finding.text),
            remedy=None if finding.remedy is None else "\n".join(map(private, finding.remedy.splitlines())),
        )
        for finding in findings
    )
