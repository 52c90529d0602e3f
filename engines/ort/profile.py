"""Times of a graph's nodes, out of the profile that ONNX Runtime writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from engines.ort.runtime import Graph, open_session
from engines.protocol import LayerTime

KERNEL = "_kernel_time"
"""How the names of events end that are runs of nodes."""


def profile_nodes(ort: ModuleType, graph: Graph, feeds: Mapping[str, NDArray[Any]], runs: int) -> tuple[LayerTime, ...]:
    """Runs a graph in a session of its own that times its nodes; nothing of it is left behind.

    Args:
        ort: ONNX Runtime.
        graph: what to run, on the CPU: elsewhere it would be the times to start kernels.
        feeds: an array per input.
        runs: how often; one more is made first, and not counted.

    Raises:
        EngineError: the session does not open.
    """
    with TemporaryDirectory(prefix="efdn-", ignore_cleanup_errors=True) as folder:
        session = open_session(ort, graph, profile_in=Path(folder))
        try:
            for _ in range(1 + runs):
                session.run(None, dict(feeds))
        finally:
            path = Path(session.end_profiling())
        return read_profile(path.read_text(encoding="utf-8"), skipped=1)


def read_profile(text: str, *, skipped: int) -> tuple[LayerTime, ...]:
    """Mean times of nodes, in the order of execution.

    Args:
        text: a profile, JSON.
        skipped: so many first runs do not count.
    """
    names: dict[str, tuple[str, str]] = {}
    times_us: dict[str, list[float]] = defaultdict(list)
    events = [event for event in json.loads(text) if event.get("cat") == "Node" and event["name"].endswith(KERNEL)]
    for event in sorted(events, key=lambda event: float(event["ts"])):
        index = event["args"]["node_index"]  # Names need not be unique, nor be there.
        names.setdefault(index, (event["name"].removesuffix(KERNEL), event["args"].get("op_name", "")))
        times_us[index].append(float(event["dur"]))
    counted = {index: times[skipped:] for index, times in times_us.items()}
    return tuple(
        LayerTime(name=name, kind=kind, ms=fmean(counted[index]) / 1e3)
        for index, (name, kind) in names.items()
        if counted[index]
    )
