"""One run of an engine, timed stage by stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.protocol import Arrays, Engine, StagedEngine
from engines.whole import Pixels, to_network, to_pixels
from engines.worker.subject import Sample


def run_sample(engine: Engine, pictures: Pixels) -> tuple[Sample, Pixels]:
    """Upscales pictures and times it.

    Args:
        engine: an open engine that takes them.
        pictures: (N, H, W, 3) uint8, RGB.

    Returns:
        The times, and (N, scale * H, scale * W, 3) uint8.
    """
    started = time.perf_counter()
    feeds = {engine.inputs[0].name: as_input(engine, pictures)}
    before = time.perf_counter()
    if isinstance(engine, StagedEngine):
        outputs, stages = _run_staged(engine, feeds)
    else:
        outputs, stages = engine.infer(feeds), {}
    infer = (time.perf_counter() - before) * 1e3
    upscaled = as_pictures(engine, outputs)
    end_to_end = (time.perf_counter() - started) * 1e3
    return Sample(end_to_end=end_to_end, infer=infer, **{"compute": infer, **stages}), upscaled


def as_input(engine: Engine, pictures: Pixels) -> NDArray[Any]:
    """Pictures as an engine takes them."""
    if engine.inputs[0].picture:
        return np.ascontiguousarray(pictures)
    return np.concatenate([to_network(picture, engine.model.data_range) for picture in pictures])


def as_pictures(engine: Engine, outputs: Arrays) -> Pixels:
    """What an engine gave as pictures."""
    (output,) = outputs.values()
    if engine.outputs[0].picture:
        return output
    return np.stack([to_pixels(output[index : index + 1], engine.model.data_range) for index in range(len(output))])


def _run_staged(engine: StagedEngine, feeds: Mapping[str, NDArray[Any]]) -> tuple[Arrays, dict[str, float]]:
    engine.bind(feeds)
    marks = [engine.mark()]
    engine.upload()
    marks.append(engine.mark())
    before = time.perf_counter()
    engine.enqueue()
    enqueue = (time.perf_counter() - before) * 1e3
    marks.append(engine.mark())
    engine.download()
    marks.append(engine.mark())
    engine.wait()
    h2d, compute, d2h = (later.ms_since(earlier) for earlier, later in pairwise(marks))
    return engine.collect(), {"h2d": h2d, "compute": compute, "d2h": d2h, "enqueue": enqueue}
