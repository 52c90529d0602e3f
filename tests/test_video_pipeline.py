"""Video: decoding, upscaling and encoding at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

av = pytest.importorskip("av")

from efdn.errors import OutputError, VideoError  # noqa: E402
from engines.video.channel import Abandoned, Channel  # noqa: E402
from engines.video.pipeline import PipelineTimes, run_pipeline  # noqa: E402
from engines.video.reader import Portion  # noqa: E402
from tests.video_samples import Pixels  # noqa: E402


@pytest.mark.parametrize("slow", ["read", "engine", "write"])
def test_the_calling_threads_waits_are_counted(slow: str) -> None:
    """Twelve times 20 ms in one stage; sleeping may take longer, never less."""

    def pause(stage: str) -> None:
        if slow == stage:
            time.sleep(0.02)

    class Patient:
        def write(self, portion: Portion, upscaled: object) -> None:
            pause("write")

        def finish(self) -> None:
            pass

        def close(self) -> None:
            pass

    def portions() -> Iterator[Portion]:
        for _ in range(12):
            pause("read")
            yield Portion(pixels=np.zeros((2, 2, 3), np.uint8))

    def upscale(frame: Pixels) -> Pixels:
        pause("engine")
        return frame

    times, began = PipelineTimes(), time.perf_counter()
    assert run_pipeline(portions(), upscale, Patient(), times) is False
    elapsed = time.perf_counter() - began
    waited = times.read_wait_s + times.queue_wait_s + times.end_wait_s
    if slow == "read":
        assert min(times.read_s, times.read_wait_s) >= 0.23
    elif slow == "write":
        assert times.write_s >= 0.23
        assert times.queue_wait_s >= 0.15  # All but the frames that the queue holds, and the one being written.
        assert times.end_wait_s >= 0.02
    else:
        assert waited <= elapsed - 0.23
    assert waited <= elapsed


def test_a_slow_side_bounds_what_waits() -> None:
    channel: Channel[int] = Channel(3)
    put: list[int] = []

    def fill() -> None:
        for number in range(50):
            channel.put(number)
            put.append(number)
        channel.end()

    thread = threading.Thread(target=fill)
    thread.start()
    taken = []
    for number in channel:
        assert len(put) <= number + 1 + 3 + 1  # Taken, waiting, and one on the way.
        taken.append(number)
        time.sleep(0.0005)
    thread.join()
    assert taken == list(range(50))


def test_whoever_abandons_a_queue_frees_the_other_side() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    thread = threading.Timer(0.05, channel.abandon, [OutputError("full")])
    thread.start()
    with pytest.raises(Abandoned) as ended:
        channel.put(2)
    thread.join()
    assert isinstance(ended.value.__cause__, OutputError)
    with pytest.raises(OutputError):
        list(channel)


def test_errors_of_reading_and_writing_reach_the_caller() -> None:
    def broken() -> Iterator[Portion]:
        yield Portion(pixels=np.zeros((2, 2, 3), np.uint8))
        raise VideoError("reading")

    class Broken:
        closed = finished = False

        def write(self, portion: object, upscaled: object) -> None:
            raise OutputError("writing")

        def finish(self) -> None:
            self.finished = True

        def close(self) -> None:
            self.closed = True

    class Patient(Broken):
        def write(self, portion: object, upscaled: object) -> None:
            pass

    for sink, error in ((Patient(), VideoError), (Broken(), OutputError)):

        def slowly(frame: Pixels) -> Pixels:
            time.sleep(0.01)
            return frame

        portions = broken() if error is VideoError else iter([Portion(pixels=np.zeros((2, 2, 3), np.uint8))] * 9)
        with pytest.raises(error):
            run_pipeline(portions, slowly, sink, PipelineTimes())
        assert (sink.closed, sink.finished) == (True, False)
    assert threading.active_count() == 1
