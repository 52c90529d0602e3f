"""An engine that is elsewhere, for planning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from efdn.errors import EngineError
from engines.cluster.facts import Facts
from engines.protocol import Arrays, Engine


class DescribedEngine(Engine):
    """Tells what an engine takes and gives, but cannot run.

    Args:
        facts: of the engine, as a node told them.
    """

    def __init__(self, facts: Facts) -> None:
        self.name, self.detail, self.model = facts.name, facts.detail, facts.model
        self.inputs, self.outputs, self.shapes = facts.inputs, facts.outputs, facts.shapes

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        raise EngineError(f"{self.name} is on the nodes of a cluster and does not run here: this is a mistake of efdn")
