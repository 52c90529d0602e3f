"""Serves a model repository with the real Triton: `python -m benchmarks.triton --wheel DIR --environment DIR`.

Tells what a request takes, which batches Triton forms of requests of one size and of two, and whether every
answer is that of ONNX Runtime in this process; `benchmarks/results/triton.json` has the raw times. docs/triton.md
says where wheel and environment come from.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.triton.server import Installation, served
from efdn.errors import EfdnError
from efdn.files import write_json
from export.precision import Precision
from export.triton.repository import RepositoryOptions, ServedModel, export_repository

CLIENTS, REQUESTS = 8, 64
SIZES = ((64, 64), (48, 80))
RESULTS = Path(__file__).parents[1] / "results" / "triton.json"

Array = NDArray[Any]


def main() -> None:
    """Exports a repository, serves it, and prints what came of it."""
    parser = argparse.ArgumentParser(description="Serve a model repository with Triton and measure it.")
    parser.add_argument("--wheel", type=Path, required=True, help="folder of the unpacked nvidia-pytriton")
    parser.add_argument("--environment", type=Path, required=True, help="its Python, with numpy<2 and onnxruntime")
    parser.add_argument("--max-batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where results go")
    wanted = parser.parse_args()
    options = RepositoryOptions(
        precision=Precision.FP16 if wanted.fp16 else Precision.FP32,
        max_batch=wanted.max_batch,
        threads=wanted.threads,
        instances=wanted.instances,
        warm_ups=SIZES[:1],
    )
    with TemporaryDirectory() as folder:
        (model,) = export_repository(Path(folder) / "models", options=options)
        started = time.perf_counter()
        with served(Path(folder) / "models", Installation(wheel=wanted.wheel, environment=wanted.environment)) as url:
            ready_s = time.perf_counter() - started
            print(f"ready in {ready_s:.1f} s, warm-ups included")
            runs = measure(url, model)
    asked = {name: str(value) for name, value in vars(wanted).items() if name not in ("wheel", "environment", "json")}
    write_json(wanted.json, {"machine": machine(), "options": asked, "ready_s": ready_s, "runs": runs})
    if any(run["wrong_answers"] for run in runs):
        raise SystemExit("triton: answers differ from ONNX Runtime's")


def measure(url: str, model: ServedModel) -> list[dict[str, Any]]:
    """One client after the other's answer, then many at once: of one size, and of two."""
    pictures = [np.random.default_rng(seed).integers(0, 256, (1, *SIZES[0], 3), np.uint8) for seed in range(4)]
    others = [np.random.default_rng(seed).integers(0, 256, (1, *SIZES[1], 3), np.uint8) for seed in range(4)]
    mixed = [picture for pair in zip(pictures, others, strict=True) for picture in pair]
    return [
        run(url, model, "one client", pictures, clients=1, requests=REQUESTS // 4),
        run(url, model, f"{CLIENTS} clients, one size", pictures, clients=CLIENTS, requests=REQUESTS),
        run(url, model, f"{CLIENTS} clients, two sizes in turn", mixed, clients=CLIENTS, requests=REQUESTS),
    ]


def run(
    url: str, model: ServedModel, title: str, pictures: Sequence[Array], *, clients: int, requests: int
) -> dict[str, Any]:
    """Sends the pictures in turn, prints a line, and gives back the figures."""
    expected = [local(model.path, picture) for picture in pictures]
    before = batches(url, model.config.name)
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(ask, url, model.config.name, pictures[at % len(pictures)]) for at in range(requests)]
        answers = [job.result() for job in jobs]
    seconds = time.perf_counter() - started
    wrong = sum(not np.array_equal(answer, expected[at % len(expected)]) for at, (answer, _) in enumerate(answers))
    formed = batches(url, model.config.name) - before
    latencies_s = [seconds for _, seconds in answers]
    print(
        f"{title}: {requests / seconds:.1f} pictures/s, median {1e3 * median(latencies_s):.0f} ms, "
        f"batches {dict(sorted(formed.items()))}, {wrong} of {requests} answers differ from ONNX Runtime's"
    )
    sizes = {str(size): count for size, count in sorted(formed.items())}
    return {"title": title, "seconds": seconds, "latencies_s": latencies_s, "batches": sizes, "wrong_answers": wrong}


def ask(url: str, name: str, picture: Array) -> tuple[Array, float]:
    """The server's answer, and the seconds it took."""
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(url) as server:
        tensor = triton.InferInput("input", list(picture.shape), "UINT8")
        tensor.set_data_from_numpy(picture)
        started = time.perf_counter()
        result = server.infer(name, [tensor]).as_numpy("output")
        return result, time.perf_counter() - started


def batches(url: str, name: str) -> Counter[int]:
    """How many batches of which size the model has run."""
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(url) as server:
        (model,) = server.get_inference_statistics(name).model_stats
        return Counter({entry.batch_size: entry.compute_infer.count for entry in model.batch_stats})


def local(path: Path, picture: Array) -> Array:
    """What ONNX Runtime makes of it here."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    result: Array = session.run(["output"], {"input": picture})[0]
    return result


if __name__ == "__main__":
    try:
        main()
    except EfdnError as error:
        raise SystemExit(f"triton: {error}") from error
