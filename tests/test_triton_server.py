"""The real Triton loads, warms up, batches and serves what is exported.

Runs where EFDN_TRITON_WHEEL and EFDN_TRITON_ENVIRONMENT name what docs/triton.md describes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.triton.server import Installation, served
from efdn.weights import save_network
from engines import open_engine, upscale
from export.triton.model_config import Kind
from export.triton.repository import RepositoryOptions, ServedModel, export_repository
from tests.conftest import make_network, noise
from tests.triton_samples import client, needed, parsed

WHEEL, ENVIRONMENT = "EFDN_TRITON_WHEEL", "EFDN_TRITON_ENVIRONMENT"

pytestmark = pytest.mark.skipif(
    not (os.environ.get(WHEEL) and os.environ.get(ENVIRONMENT)), reason=f"{WHEEL} and {ENVIRONMENT} name no Triton"
)


@dataclass(frozen=True)
class Service:
    url: str
    model: ServedModel


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("triton")
    save_network(make_network(), folder / "w.safetensors")
    options = RepositoryOptions(kind=Kind.CPU, instances=1, threads=1, max_batch=4, warm_ups=((64, 48),))
    (model,) = export_repository(folder / "models", folder / "w.safetensors", options=options)
    installation = Installation(wheel=Path(os.environ[WHEEL]), environment=Path(os.environ[ENVIRONMENT]))
    with served(folder / "models", installation) as url:
        yield Service(url, model)


@pytest.fixture
def server(service: Service) -> Iterator[Any]:
    with needed("tritonclient.grpc").InferenceServerClient(service.url) as connection:
        yield connection


def runs(server: Any) -> dict[int, int]:
    """How many batches of which size the model has run."""
    (model,) = server.get_inference_statistics("efdn_x4").model_stats
    return {entry.batch_size: entry.compute_infer.count for entry in model.batch_stats}


def ask(service: Service, picture: np.ndarray) -> np.ndarray:
    answer: np.ndarray = client().upscale(picture, service.url, "efdn_x4", pad=0)
    return answer


def test_it_takes_the_configuration_and_warms_up(service: Service, server: Any) -> None:
    ours = parsed((service.model.path.parent.parent / "config.pbtxt").read_text())
    theirs = server.get_model_config("efdn_x4").config
    for name in ("name", "backend", "max_batch_size", "default_model_filename", "input", "output", "parameters"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert [(group.kind, group.count) for group in theirs.instance_group] == [(2, 1)]
    assert {1, 4} <= set(runs(server))


def test_a_picture_comes_back_as_efdn_infer_upscales_it(service: Service) -> None:
    picture = noise(37, 52)
    with open_engine(service.model.path, "onnxruntime-cpu") as engine:
        expected = upscale(picture, engine, tile=0, pad=0)
    np.testing.assert_array_equal(ask(service, picture), expected)


def test_pictures_of_one_size_are_batched_and_none_is_mixed_up(service: Service, server: Any) -> None:
    before = runs(server)
    pictures = [noise(64, 48, seed) for seed in range(24)]
    with open_engine(service.model.path, "onnxruntime-cpu") as engine:
        expected = [upscale(picture, engine, tile=0, pad=0) for picture in pictures]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda picture: ask(service, picture), pictures))
    for answer, one in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer, one)
    formed = {size: count - before.get(size, 0) for size, count in runs(server).items()}
    assert sum(size * count for size, count in formed.items()) == len(pictures)
    assert any(formed.get(size, 0) for size in (2, 3, 4))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((5, 20, 24, 3), np.uint8), "batch-size must be <= 4"),
        (np.zeros((1, 20, 24, 4), np.uint8), "unexpected shape for input 'input'"),
        (np.zeros((20, 24, 3), np.uint8), "batch-size must be <= 4"),
        (np.zeros((3, 24, 3), np.uint8), "unexpected shape for input 'input'"),
        (np.zeros((1, 20, 24, 3), np.float32), "data-type"),
    ],
)
def test_what_the_model_does_not_take_never_reaches_it(picture: np.ndarray, message: str, server: Any) -> None:
    triton, before = needed("tritonclient.grpc"), runs(server)
    tensor = triton.InferInput("input", list(picture.shape), "UINT8" if picture.dtype == np.uint8 else "FP32")
    tensor.set_data_from_numpy(picture)
    with pytest.raises(triton.InferenceServerException, match=message):
        server.infer("efdn_x4", [tensor])
    assert runs(server) == before


def test_the_server_outlives_a_picture_that_is_too_small(service: Service) -> None:
    with pytest.raises(needed("tritonclient.grpc").InferenceServerException, match="Invalid input shape"):
        ask(service, noise(8, 8))
    assert ask(service, noise(13, 13)).shape == (52, 52, 3)
