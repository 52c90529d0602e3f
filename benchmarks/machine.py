"""What figures depend on: processor, versions, threads."""

from __future__ import annotations

from typing import Any

import torch

from engines.profiling.machine import machine as processor_and_versions


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {**processor_and_versions(), "torch_threads": torch.get_num_threads()}
