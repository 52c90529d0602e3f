"""Runs the passes, and holds every one to the network before it."""

from __future__ import annotations

from collections.abc import Sequence

from efdn.copying import copied
from efdn.deployment import as_trained, deploy_stages
from efdn.upscaler import Upscaler
from export.verification import EXACT, compare, one_thread, require, run_network, verification_input

PROBE = (24, 32)
"""Height and width of the crop that passes are checked on, in float64."""


def checked_deploy(network: Upscaler, passes: Sequence[str]) -> Upscaler:
    """The deploy form of a network, with a check after every stage.

    A pass that changes the function is named here, rather than found in the sum of all.

    Raises:
        ParityError: a stage changed the output.
        UsageError: passes that do not exist, or do not go together.
    """
    data_range = network.config.data_range
    x = verification_input(data_range, PROBE).astype("float64")
    with one_thread():
        before = run_network(copied(network).double().eval(), x, data_range)
        for index, (name, deployed) in enumerate(deploy_stages(network, passes)):
            after = run_network(deployed, x, data_range)
            label = f"pass {name}" if index else "fold"
            require(label, compare(before, after, data_range), EXACT, ": it changed the output, which is a bug")
            before = after
    return as_trained(deployed, network)
