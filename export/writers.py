"""Which writer writes the networks of which architecture."""

from __future__ import annotations

from typing import Any

from efdn.upscaler import Upscaler
from export.graph_writer import GraphWriter
from export.network_writer import NetworkWriter
from export.parts_writer import PartsWriter, Shape
from export.rfdn_writer import RFDNWriter

WRITERS: dict[str, type[PartsWriter[Any]]] = {"EFDN": NetworkWriter, "RFDN": RFDNWriter}
"""By name of the architecture."""


def writer_of(
    writer: GraphWriter, network: Upscaler, shape: Shape | None = None, *, batched: bool = False
) -> PartsWriter[Any]:
    """The writer of a network in deploy form.

    Args:
        writer: takes the nodes.
        network: what to write.
        shape: of the input, where it is static.
        batched: whether it takes any number of pictures all the same.
    """
    return WRITERS[network.config.architecture](writer, network, shape, batched=batched)
