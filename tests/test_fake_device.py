"""The fake GPU that other tests stand on: it must catch what a real one would punish."""

from collections.abc import Callable

import numpy as np
import pytest

from efdn.errors import DeviceMemoryError, EngineError
from tests.fakes.cuda import FREED, FRESH, FakeDevice


def test_nothing_happens_before_someone_waits() -> None:
    device = FakeDevice()
    address, up, down = device.allocate(8), device.pin(8), device.pin(8)
    assert down.tolist() == [FRESH] * 8
    up[:] = 1
    before = device.mark()
    device.upload(address, up)
    device.submit(lambda: np.add(device.array(address, (8,), "u1"), 1, out=device.array(address, (8,), "u1")))
    device.download(down, address)
    after = device.mark()
    up[:] = 5
    assert down.tolist() == [FRESH] * 8
    assert device.pending == ("mark", "upload", "kernel", "download", "mark")
    with pytest.raises(AssertionError, match="has not passed"):
        after.ms_since(before)
    device.wait()
    assert down.tolist() == [6] * 8
    assert after.ms_since(before) == 3.0


def test_a_recording_runs_when_replayed_with_the_addresses_it_was_made_with() -> None:
    device = FakeDevice()
    address, up, down = device.allocate(4), device.pin(4), device.pin(4)
    graph = device.record(lambda: device.upload(address, up))
    device.wait()
    assert device.done == []
    for value in (1, 2):
        up[:] = value
        device.replay(graph)
        device.download(down, address)
        device.wait()
        assert down.tolist() == [value] * 4
    device.free(address)
    device.replay(graph)
    with pytest.raises(AssertionError, match="not allocated, or was freed"):
        device.wait()


def test_a_recording_can_fail() -> None:
    device = FakeDevice()
    with pytest.raises(EngineError, match="allocate is not permitted"):
        device.record(lambda: device.free(device.allocate(4)))
    device.records = False
    with pytest.raises(EngineError, match="901"):
        device.record(lambda: device.submit(lambda: None))
    assert device.pending == ()


def test_leaks_are_counted_and_a_closed_device_takes_nothing_but_pinned_memory_back() -> None:
    device = FakeDevice()
    address, memory = device.allocate(100), device.pin(10)
    graph = device.record(lambda: None)
    assert (device.allocated_bytes, device.pinned_bytes, len(device.leaks())) == (100, 10, 4)
    device.free(address)
    device.forget(graph)
    device.close()
    device.close()
    assert device.leaks() == ["10 bytes pinned"]
    device.unpin(memory)
    assert memory.tolist() == [FREED] * 10
    assert device.leaks() == []
    with pytest.raises(AssertionError, match="closed"):
        device.allocate(1)


def test_memory_ends() -> None:
    device = FakeDevice(total_bytes=1000)
    device.allocate(600)
    with pytest.raises(DeviceMemoryError) as raised:
        device.allocate(600)
    assert (raised.value.needed_bytes, raised.value.free_bytes) == (600, 400)
    device.taken_bytes = 300
    assert device.memory() == (100, 1000)


def test_a_crashed_kernel_is_told_by_every_wait() -> None:
    device = FakeDevice()
    device.submit(lambda: None)
    device.failure = "illegal address"
    for _ in range(2):
        with pytest.raises(EngineError, match="illegal address"):
            device.wait()
    device.close()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda device, address, memory: device.free(address + 1), "not allocated"),
        (lambda device, address, memory: [device.free(address), device.free(address)], "freed before"),
        (lambda device, address, memory: [device.upload(address, memory), device.free(address)], "wait for it"),
        (lambda device, address, memory: [device.upload(address, memory), device.unpin(memory)], "wait for it"),
        (lambda device, address, memory: [device.upload(address, memory), device.close()], "wait for it"),
        (lambda device, address, memory: [device.unpin(memory), device.unpin(memory)], "unpinned before"),
        (lambda device, address, memory: device.unpin(memory[:]), "what `pin` did not give"),
        (lambda device, address, memory: [device.unpin(memory), device.upload(address, memory)], "no longer"),
        (lambda device, address, memory: device.upload(address, np.zeros(8, "u1")), "not page-locked"),
        (lambda device, address, memory: device.upload(address, device.pin(9)), "only 8 are allocated"),
        (lambda device, address, memory: device.upload(address + 300, memory), "not allocated"),
        (lambda device, address, memory: device.upload(address, memory[::2]), "C-contiguous"),
        (lambda device, address, memory: device.download(np.broadcast_to(memory[:1], (8,)), address), "C-contiguous"),
        (lambda device, address, memory: device.array(address + 4, (2,), "f4"), "only 4 are allocated"),
        (
            lambda device, address, memory: [g := device.record(lambda: None), device.forget(g), device.replay(g)],
            "forgotten",
        ),
        (lambda device, address, memory: FakeDevice(graphs=False).record(lambda: None), "cannot record"),
    ],
)
def test_mistakes_are_caught(mistake: Callable[..., object], message: str) -> None:
    device = FakeDevice()
    address, memory = device.allocate(8), device.pin(8)
    with pytest.raises(AssertionError, match=message):
        mistake(device, address, memory)
