"""The passes by name, in their order, and the pipelines made of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from efdn.deploy import DeployEFDN
from efdn.errors import UsageError
from efdn.folding import fold_batch_norms
from efdn.network import EFDN
from efdn.passes import attention, channels, head, trunk

FOLD = "fold_batch_norms"
"""The stage before all passes: norms of mixers and blocks go into their neighbours. It is never left out."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One transform of the deploy form.

    Attributes:
        apply: returns a new network that computes the same, and leaves its argument as it was.
        requires: names of passes that must run too; they stand before this one.
        excludes: names of passes that it does not go with.
    """

    apply: Callable[[DeployEFDN], DeployEFDN]
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What users type."""
        return self.apply.__name__

    @property
    def summary(self) -> str:
        """One line on what it does."""
        return (self.apply.__doc__ or "").strip().splitlines()[0]


PASSES = (
    Pass(apply=head.sum_head_repeats),
    Pass(apply=attention.merge_narrow_bsconvs),
    Pass(apply=head.merge_refine_bsconv),
    Pass(apply=attention.read_branches),
    Pass(apply=attention.join_skip, excludes=("lower_tail",)),
    Pass(apply=attention.lower_tail, requires=("merge_narrow_bsconvs",), excludes=("join_skip",)),
    Pass(apply=attention.skip_terms, requires=("lower_tail",)),
    Pass(apply=trunk.carry_scaled_trunk),
    Pass(apply=channels.group_channels),
    Pass(apply=channels.pad_channels, requires=("group_channels",)),
    Pass(apply=channels.join_branches),
    Pass(apply=channels.wrap_once, requires=("group_channels",)),
    Pass(apply=channels.convolve_mixers),
    Pass(apply=head.fold_scale),
)
"""In the order in which they run."""

_BY_NAME = {item.name: item for item in PASSES}

PIPELINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "onnxruntime": (
        "sum_head_repeats",
        "merge_narrow_bsconvs",
        "carry_scaled_trunk",
        "group_channels",
        "fold_scale",
    ),
    "openvino": (
        "sum_head_repeats",
        "merge_narrow_bsconvs",
        "carry_scaled_trunk",
        "group_channels",
        "fold_scale",
    ),
    "tensorrt": (
        "sum_head_repeats",
        "merge_narrow_bsconvs",
        "merge_refine_bsconv",
        "read_branches",
        "lower_tail",
        "skip_terms",
        "carry_scaled_trunk",
        "group_channels",
        "pad_channels",
        "join_branches",
        "fold_scale",
    ),
}
"""Per engine, the passes that measured best there; see docs/passes.md."""

DEFAULT_PIPELINE = "onnxruntime"


def find_passes(text: str, default: str = DEFAULT_PIPELINE) -> tuple[str, ...]:
    """Reads a choice of passes, and brings it into order.

    Args:
        text: names separated by commas: of a pipeline ("default" is `default`), of a
            pass to add, or with a minus before it, of a pass to leave out.
        default: what "default" stands for.

    Raises:
        UsageError: an unknown name, a pass without those it needs, or two that exclude each other.
    """
    chosen: set[str] = set()
    for item in filter(None, (part.strip() for part in text.split(","))):
        name = item.lstrip("+-")
        pipeline = default if name == "default" else name
        if pipeline in PIPELINES and not item.startswith("-"):
            chosen.update(PIPELINES[pipeline])
        elif name not in _BY_NAME:
            raise UsageError(
                f"no pass or pipeline {name!r}: expected {', '.join(PIPELINES)} or some of {', '.join(_BY_NAME)}"
            )
        elif item.startswith("-"):
            chosen.discard(name)
        else:
            chosen.add(name)
    return check_passes(tuple(item.name for item in PASSES if item.name in chosen))


def check_passes(names: Sequence[str]) -> tuple[str, ...]:
    """Raises UsageError unless the passes go together and are in order; returns them."""
    known = [item.name for item in PASSES]
    for name in names:
        if name not in _BY_NAME:
            raise UsageError(f"no pass {name!r}: expected some of {', '.join(_BY_NAME)}")
        item = _BY_NAME[name]
        missing = [other for other in item.requires if other not in names]
        if missing:
            raise UsageError(f"pass {name} needs {' and '.join(missing)}: add it, or leave {name} out with -{name}")
        clashing = [other for other in item.excludes if other in names]
        if clashing:
            raise UsageError(f"passes {name} and {clashing[0]} exclude each other: leave one out with -{clashing[0]}")
    if list(names) != sorted(set(names), key=known.index):
        raise UsageError(f"passes run in a fixed order, each once: expected {sorted(set(names), key=known.index)}")
    return tuple(names)


def run_pass(name: str, network: DeployEFDN) -> DeployEFDN:
    """One pass, by name."""
    return _BY_NAME[name].apply(network)


def exact_fold(network: EFDN) -> DeployEFDN:
    """The deploy form before any pass, in float64, so that passes leave nothing but the final rounding."""
    return fold_batch_norms(copy.deepcopy(network).double())


def as_trained(deployed: DeployEFDN, network: EFDN) -> DeployEFDN:
    """A deploy form in the dtype and on the device of the network it came from, ready to run."""
    like = network.head.pw.weight
    return deployed.to(dtype=like.dtype, device=like.device).eval().requires_grad_(False)


def deploy_network(network: EFDN, passes: Sequence[str] = PIPELINES[DEFAULT_PIPELINE]) -> DeployEFDN:
    """The form of a trained network that is exported.

    Args:
        network: any EFDN, in whatever mode; its running statistics are used.
        passes: names, see `PASSES`.

    Returns:
        A network of the dtype and on the device that came.

    Raises:
        UsageError: passes that do not exist, or do not go together.
    """
    deployed = exact_fold(network)
    for name in check_passes(passes):
        deployed = run_pass(name, deployed)
    return as_trained(deployed, network)
