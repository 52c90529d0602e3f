"""What `nvidia-smi` prints, read. The texts have the form that the program gives them, errors included."""

from collections.abc import Sequence

import pytest

from engines import nvidia_smi
from engines.nvidia_smi import FIELDS, MIB, GpuState, parse_gpus, query_gpus

BUSY = "NVIDIA GeForce RTX 3090, 550.54.14, 8.6, 24576, 1337, 1695, 2100, 71, 348.91, 0x{:016x}, 0x{:016x}"


def asked(command: Sequence[str]) -> list[str]:
    (query,) = [word for word in command if word.startswith("--query-gpu=")]
    return query.split("=")[1].split(",")


def test_all_fields_are_read() -> None:
    (gpu,) = query_gpus(lambda command: BUSY.format(4, 4) + "\n")
    assert gpu == GpuState(
        name="NVIDIA GeForce RTX 3090",
        driver_version="550.54.14",
        compute_capability="8.6",
        memory_total_bytes=24576 * MIB,
        memory_used_bytes=1337 * MIB,
        sm_clock_mhz=1695,
        max_sm_clock_mhz=2100,
        temperature_c=71,
        power_w=348.91,
        throttle_reasons=("power cap",),
    )
    assert gpu.as_json()["throttle_reasons"] == ["power cap"]


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        (0, ()),
        (1, ()),
        (0x20, ("software thermal slowdown",)),
        (0x48, ("hardware slowdown", "hardware thermal slowdown")),
        (0x8000, ()),
    ],
)
def test_throttle_reasons_are_named_and_idleness_is_none(mask: int, reasons: tuple[str, ...]) -> None:
    assert parse_gpus(BUSY.format(mask, mask))[0].throttle_reasons == reasons


@pytest.mark.parametrize("missing", ["[N/A]", "N/A", "[Not Supported]", "Not Supported", "[Unknown Error]", ""])
def test_what_a_gpu_does_not_tell_is_none(missing: str) -> None:
    (gpu,) = parse_gpus(", ".join(["Tesla", *[missing] * (len(FIELDS) - 1)]))
    assert gpu == GpuState(name="Tesla")


def test_several_gpus_keep_their_order() -> None:
    lines = [BUSY.format(0, 0), BUSY.format(0, 0).replace("3090", "4090")]
    assert [gpu.name[-4:] for gpu in parse_gpus("\n".join(lines))] == ["3090", "4090"]


def test_a_field_that_the_driver_does_not_know_is_left_out() -> None:
    calls = []

    def run(command: Sequence[str]) -> str:
        fields = asked(command)
        calls.append(fields)
        for unknown in ("compute_cap", "clocks_event_reasons.active"):
            if unknown in fields:
                return f'Field "{unknown}" is not a valid field to query.\n\n'
        return "Quadro, 460.32, 4096, 10, 1500, 1800, 50, 30.5, 0x0000000000000008\n"

    (gpu,) = query_gpus(run)
    assert len(calls) == 3
    assert (gpu.name, gpu.compute_capability, gpu.power_w) == ("Quadro", None, 30.5)
    assert gpu.throttle_reasons == ("hardware slowdown",)


@pytest.mark.parametrize(
    "printed",
    [
        None,
        "",
        "No devices were found\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
        "NVIDIA driver is installed and running.\n\n",
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.86\n",
    ],
)
def test_without_an_answer_there_are_no_gpus(printed: str | None) -> None:
    assert query_gpus(lambda command: printed) == ()


def test_without_the_program_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia_smi, "PROGRAM", "no-such-program-anywhere")
    assert query_gpus() == ()
