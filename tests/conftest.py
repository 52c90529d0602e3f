"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import settings
from PIL import Image

from efdn.caches import VARIABLE
from efdn.config import EFDNConfig
from efdn.errors import EfdnError
from efdn.network import EFDN
from engines.cuda.open import open_device

# Timings on a shared machine say nothing; the same examples on every run do.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

# Shells have their background jobs ignore SIGINT, and what those start inherits it; tests of Ctrl-C need it.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
"""Of signals, before any test."""

# The tests start many a process; where none keeps what it compiles, each compiles the same modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Networks here are tiny: threads that wait for each other are most of the time, above all on a busy machine.
torch.set_num_threads(1)

VECTORS = Path(__file__).parent / "vectors"
EXAMPLES = Path(__file__).parent.parent / "examples"

SLOWEST = ("cluster", "slow", "browser")
"""Markers of tests that take long, the longest first."""


def installed(module: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(module) is not None


def has_gpu() -> bool:
    """Whether a TensorRT engine could run here."""
    try:
        open_device().close()
    except EfdnError:
        return False
    return True


def has_onnxruntime_cuda() -> bool:
    """Whether ONNX Runtime could run on CUDA here."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers() and has_gpu()


def pytest_configure(config: pytest.Config) -> None:
    """Gives all tests one cache of their own, which the processes of pytest-xdist inherit, and their order a say.

    Left alone, pytest-xdist begins files of few tests last, and among these are the slowest.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="efdn-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ[VARIABLE] = folder.name


def slowest_first(items: list[pytest.Item]) -> None:
    """Puts files with slow tests before the others, or the last of them would have one process wait for it alone."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = next((rank for rank, mark in enumerate(SLOWEST) if mark in item.keywords), len(SLOWEST))
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, visibly, what this machine cannot run; with EFDN_REQUIRE_RTX a missing TensorRT for RTX is an error."""
    if not installed("tensorrt_rtx") and os.environ.get("EFDN_REQUIRE_RTX"):
        pytest.exit("EFDN_REQUIRE_RTX is set, but TensorRT for RTX is not installed", returncode=1)
    without_rtx = pytest.mark.skip(reason="TensorRT for RTX is not installed: pip install '.[rtx]'")
    without_gpu = pytest.mark.skip(reason="no NVIDIA GPU that can be reached")
    gpu = has_gpu()
    for item in items:
        if "tensorrt" in item.keywords and not installed("tensorrt_rtx"):
            item.add_marker(without_rtx)
        if "gpu" in item.keywords and not gpu:
            item.add_marker(without_gpu)
    slowest_first(items)


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path: Path) -> Iterator[None]:
    """Commands write to the working folder; here that is never the checkout."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


@pytest.fixture(autouse=True)
def _signals_are_as_found() -> Iterator[None]:
    """Another test would get the signals that this one, or a fixture of it, kept for itself."""
    yield
    kept = {number: signal.getsignal(number) for number in HANDLERS}
    if kept != HANDLERS:
        for number, handler in HANDLERS.items():
            signal.signal(number, handler)
        pytest.fail(f"signals are still handled by {kept}")


def randomize(network: EFDN, seed: int, *, awkward: bool = False) -> EFDN:
    """Gives a network random weights and BN statistics, with negative gammas, and if asked tiny and zero ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            size = module.weight.shape
            module.running_mean.copy_(torch.randn(size, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(size, generator=generator) * 2 + 0.3)
            gammas = torch.randn(size, generator=generator) * 0.5 + 0.5
            if awkward:
                gammas[0], gammas[1] = 0.0, 1e-7
                gammas[2], gammas[3] = -1e-12, -2.0
            module.weight.data.copy_(gammas)
            module.bias.data.copy_(torch.randn(size, generator=generator) * 0.2)
    return network.eval()


def make_network(seed: int = 0, *, awkward: bool = False, scale: int = 4, data_range: float = 255.0) -> EFDN:
    """A small network with random weights."""
    torch.manual_seed(seed)
    config = EFDNConfig(upscale=scale, planes=12, num_modules=2, num_times=2, data_range=data_range)
    network = randomize(EFDN.from_config(config), seed, awkward=awkward)
    for name, parameter in network.named_parameters():
        if ".esa." in name:
            # Or the gates hardly move, and a wrong attention goes unnoticed.
            parameter.data.mul_(2)
    return network


def bias(network: EFDN) -> torch.Tensor:
    """The tail's bias, to be written to."""
    tail = network.tail[0]
    assert isinstance(tail, torch.nn.Conv2d)
    assert tail.bias is not None
    return tail.bias.data


@pytest.fixture
def small_network() -> EFDN:
    """Two blocks of twelve channels."""
    return make_network()


@pytest.fixture
def photo() -> Path:
    """An LR photo of 200x180 pixels with a colour profile."""
    return EXAMPLES / "lr" / "budgie-branch.png"


@pytest.fixture
def tiny_photo(tmp_path: Path) -> Path:
    """A 17x14 crop of a photo, quick to upscale."""
    path = tmp_path / "tiny.png"
    with Image.open(EXAMPLES / "lr" / "budgie-branch.png") as image:
        image.crop((80, 30, 97, 44)).save(path)
    return path


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
