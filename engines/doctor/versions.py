"""Version numbers, and the ranges that this distribution's metadata asks for."""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A package that an extra brings.

    Attributes:
        extra: of this distribution.
        name: of the package's distribution, normalised.
        versions: such as ">=1.23,<2"; empty for any.
    """

    extra: str
    name: str
    versions: str


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it: "tensorrt_rtx" is "tensorrt-rtx"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def within(version: str, versions: str) -> bool:
    """Whether a version fulfils every clause of a range; releases alone count, not what comes after them."""
    clauses = re.findall(r"(>=|<=|==|!=|>|<)\s*([\d.]+)", versions)
    return all(_compared(version, limit, COMPARISONS[sign]) for sign, limit in clauses)


def parse_requirements(lines: Iterable[str], platform: str = sys.platform) -> tuple[Requirement, ...]:
    """The extras' packages out of a distribution's metadata, as far as they are meant for a platform.

    Understands the markers that this project's pyproject.toml uses, and no others.
    """
    found = []
    for line in lines:
        wanted, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*[\"']([\w-]+)[\"']", marker)
        name = re.match(r"\s*([\w.-]+)", wanted)
        excluded = re.findall(r"sys_platform\s*!=\s*[\"'](\w+)[\"']", marker)
        if extra and name and platform not in excluded:
            found.append(
                Requirement(extra=extra[1], name=normalised(name[1]), versions=wanted[name.end() :].strip(" ()"))
            )
    return tuple(found)


def numbers(version: str) -> tuple[int, ...]:
    """ "2.13.0+cpu" as (2, 13, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _compared(version: str, limit: str, compare: object) -> bool:
    left, right = numbers(version), numbers(limit)
    width = max(len(left), len(right))
    assert callable(compare)
    return bool(compare(left + (0,) * (width - len(left)), right + (0,) * (width - len(right))))
