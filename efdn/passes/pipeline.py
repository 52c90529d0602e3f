"""The passes by name, in their order, and the pipelines made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from efdn.copying import copied
from efdn.deploy import DeployEFDN
from efdn.deployment import DEFAULT_PIPELINE as DEFAULT_PIPELINE
from efdn.deployment import as_trained as as_trained
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
    Pass(apply=channels.add_up_branches, excludes=("join_branches", "read_branches")),
    Pass(apply=channels.add_up_blocks),
    Pass(apply=head.fold_scale),
)
"""In the order in which they run."""

_BY_NAME = {item.name: item for item in PASSES}

_IN_PYTORCH = (
    "sum_head_repeats",
    "merge_narrow_bsconvs",
    "join_skip",
    "carry_scaled_trunk",
    "group_channels",
    "pad_channels",
    "wrap_once",
    "convolve_mixers",
)

_CPU = (*_IN_PYTORCH, "add_up_branches", "add_up_blocks")
"""Sums cost nothing where they are part of a convolution; in PyTorch each is a pass over memory."""

_TENSORRT = (
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
)

PIPELINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "pytorch": _IN_PYTORCH,
    "onnxruntime": _CPU,
    "openvino": _CPU,
    "tensorrt": _TENSORRT,
    "tensorrt-dynamic": (*_TENSORRT, "wrap_once", "convolve_mixers"),
}
"""Per engine, the passes that measured best there; see docs/passes.md."""

PICTURES_ONLY = "fold_scale"
"""The pass that changes the range of input and output: for graphs of pictures, to which it belongs unless left out."""


def find_passes(text: str = "", *, default: str = DEFAULT_PIPELINE, pictures: bool = False) -> tuple[str, ...]:
    """Reads a choice of passes, and brings it into order.

    Args:
        text: names separated by commas, of pipelines and passes; with a plus or a minus
            before it, a pass is added or left out. Where all have a sign, they change
            the default.
        default: name of a pipeline.
        pictures: whether the graph takes and gives 8-bit pictures.

    Raises:
        UsageError: an unknown name, a pass without those it needs, or two that exclude each other.
    """
    items = [part.strip() for part in text.split(",") if part.strip()]
    if text.strip() and not items:
        raise UsageError(f"--passes {text!r} names no pass: expected names separated by commas")
    signed = all(item[0] in "+-" for item in items)
    chosen = set(PIPELINES[default]) if signed else set()
    if pictures:
        chosen.add(PICTURES_ONLY)
    for item in items:
        name = item.lstrip("+-")
        if name in PIPELINES and name != item:
            raise UsageError(f"pipeline {name} takes no sign: name it alone, and change it with +PASS and -PASS")
        if item in PIPELINES:
            chosen.update(PIPELINES[item])
        elif name not in _BY_NAME:
            raise UsageError(
                f"no pass or pipeline {name!r}: expected {', '.join(PIPELINES)} or some of {', '.join(_BY_NAME)}"
            )
        elif item.startswith("-"):
            chosen.discard(name)
        else:
            chosen.add(name)
    return check_passes(tuple(item.name for item in PASSES if item.name in chosen), pictures=pictures)


def pipeline_passes(name: str, *, pictures: bool = False) -> tuple[str, ...]:
    """The passes of a pipeline, with those that graphs of pictures have besides.

    Raises:
        UsageError: no such pipeline.
    """
    if name not in PIPELINES:
        raise UsageError(f"no pipeline {name!r}: expected {', '.join(PIPELINES)}")
    return find_passes(default=name, pictures=pictures)


def check_passes(names: Sequence[str], *, pictures: bool = True) -> tuple[str, ...]:
    """Raises UsageError unless the passes go together and are in order; returns them."""
    if PICTURES_ONLY in names and not pictures:
        raise UsageError(f"pass {PICTURES_ONLY} changes the range of a graph's floats: it goes with --io uint8 alone")
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


def deploy_stages(network: EFDN, passes: Sequence[str]) -> Iterator[tuple[str, DeployEFDN]]:
    """Yields the deploy form after the folding and after each pass, with the name of what made it.

    In float64, so that in the end nothing but the final rounding is left.

    Args:
        network: any EFDN, in whatever mode; its running statistics are used.
        passes: names, see `PASSES`.

    Raises:
        UsageError: passes that do not exist, or do not go together.
    """
    check_passes(passes)
    deployed = fold_batch_norms(copied(network).double())
    yield FOLD, deployed
    for name in passes:
        deployed = _BY_NAME[name].apply(deployed)
        yield name, deployed


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
    *_, (_, deployed) = deploy_stages(network, passes)
    return as_trained(deployed, network)
