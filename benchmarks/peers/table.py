"""Recorded figures as Markdown: the README's table, and one of everything for each shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Content = Mapping[str, Any]
"""As `Findings.as_json` gives it."""

TOLD_AT = (256, 256)
"""The shape whose memory the short table tells, where it was measured; the largest without."""

LISTS = "[peers.md](benchmarks/results/peers.md)"

ENGINES = {"pytorch-published": "PyTorch", "onnxruntime-cpu": "ONNX Runtime", "openvino": "OpenVINO"}


def short_table(content: Content) -> str:
    """A row for each subject: time and ratio at each shape, and what else people ask for."""
    shapes = table_shapes(content)
    told = told_shape(content)
    header = ["", *(shape["title"] for shape in shapes), "memory", "start", "file", "output"]
    lines = [_line(header), _line(["---"] * len(header))]
    for row in content["rows"]:
        found = [_figures(content, shape, row["key"]) for shape in shapes]
        if any(found):
            lines.append(_line([row["name"], *map(_time, found), *_beside(content, row["key"], told)]))
    return "\n\n".join(["\n".join(lines), *_remarks(content, told)])


def full_tables(content: Content) -> str:
    """Everything of each shape, `torch.compile` last."""
    parts = [f"# EFDN and its peers\n\n{facts(content)}"]
    for shape in [*sorted(content["shapes"], key=_pixels), *_compiled(content)]:
        header = (
            *("", "end to end, ms", "quartiles", "network, ms", "cv", "times as fast", "quartiles", "range"),
            *("in the network", "pictures/s", "memory", "cold start", "warm start", "levels", "PSNR, dB", "runs"),
        )
        rows = [
            _line([row["name"], *_everything(figures)])
            for row in content["rows"]
            if (figures := shape["figures"].get(row["key"])) is not None
        ]
        parts.append("\n".join([f"## {shape['title']}", "", _line(header), _line(["---"] * len(header)), *rows]))
    return "\n\n".join([*parts, *_lists(content)]) + "\n"


def table_shapes(content: Content) -> list[dict[str, Any]]:
    """Shapes of all rows, small ones first."""
    return sorted((shape for shape in content["shapes"] if not shape["scaling"]), key=_pixels)


def told_shape(content: Content) -> dict[str, Any] | None:
    """The shape that stands for all where there is room for one; None where nothing was measured."""
    shapes = table_shapes(content)
    found = [shape for shape in shapes if tuple(shape["shape"]) == TOLD_AT]
    return next(iter(found or shapes[::-1]), None)


def facts(content: Content) -> str:
    """On what, when and how, in a line."""
    machine = content["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    commit = f", commit {content['commit'][:12]}{content['commit'][40:]}" if content["commit"] else ""
    return (
        f"{machine['processor']}, {machine['usable_cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"{packages}; {content['date'][:10]}{commit}; `{content['command']}`, {content['minutes']:.0f} minutes."
    )


def milliseconds(value: float) -> str:
    """A time with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio with as many digits as count."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _compiled(content: Content) -> list[dict[str, Any]]:
    """`torch.compile`'s run of its own, under a title of its own; nothing where there was none."""
    compiled = content["compiled"]
    return [] if compiled is None else [{**compiled, "title": f"{compiled['title']}, torch.compile"}]


def _figures(content: Content, shape: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """What is known of a row at a shape, `torch.compile`'s run of its own included; None without times."""
    compiled = content["compiled"]
    apart = compiled is not None and compiled["shape"] == shape["shape"] and key not in shape["figures"]
    found = (compiled if apart else shape)["figures"].get(key)
    return found if found is not None and found.get("error") is None else None


def _time(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    time = f"{milliseconds(figures['end_to_end_ms'])} ms"
    if figures["ratio"] is None or figures["ratio_range"] == [1.0, 1.0]:
        return time
    low, high = figures["ratio_quartiles"]
    return f"{time}, **{times(figures['ratio'])}x** ({times(low)}-{times(high)})"


def _beside(content: Content, key: str, told: Mapping[str, Any] | None) -> Iterator[str]:
    """Cells of memory, start, file and output."""
    found = [figures for shape in table_shapes(content) if (figures := _figures(content, shape, key)) is not None]
    here = None if told is None else _figures(content, told, key)
    memory = None if here is None else here["memory_bytes"]
    starts = [figures["cold_start_s"] for figures in found if figures["cold_start_s"] is not None]
    sizes = [figures["model_bytes"] for figures in found if figures["model_bytes"] is not None]
    levels = [figures["grey_levels"] for figures in found if figures["grey_levels"] is not None]
    yield "-" if memory is None else f"{memory / 1e6:,.0f} MB"
    yield f"{starts[0]:.1f} s" if starts else "-"
    yield f"{sizes[-1] / 1e6:.2f} MB" if sizes else "-"
    yield f"within {max(levels)}" if levels else "-"


def _everything(figures: Mapping[str, Any]) -> list[str]:
    if figures.get("error") is not None:
        reason = figures["error"].splitlines()[0].replace("|", r"\|")
        return [f"did not run: {reason}", *[""] * 14]
    low, high = figures["quartiles_ms"]
    memory, levels = figures["memory_bytes"], figures["grey_levels"]
    return [
        milliseconds(figures["end_to_end_ms"]),
        f"{milliseconds(low)}-{milliseconds(high)}",
        milliseconds(figures["network_ms"]),
        f"{figures['cv']:.1%}",
        _optional(figures["ratio"], ".2f", "x"),
        *(_between(figures[name]) for name in ("ratio_quartiles", "ratio_range")),
        _optional(figures["network_ratio"], ".2f", "x"),
        _optional(figures["pictures_per_s"], ".3g"),
        "-" if memory is None else f"{memory / 1e6:,.0f} MB",
        _optional(figures["cold_start_s"], ".2f", " s"),
        _optional(figures["warm_start_s"], ".2f", " s"),
        "-" if levels is None else str(levels),
        _optional(figures["psnr_db"], ".1f") if levels != 0 else "equal",
        str(figures["runs"]),
    ]


def _between(ratios: Sequence[float] | None) -> str:
    return "-" if ratios is None else f"{times(ratios[0])}-{times(ratios[1])}"


def _optional(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _remarks(content: Content, told: Mapping[str, Any] | None) -> Iterator[str]:
    """What the table means, and what is not in it."""
    where = "" if told is None else f", at {told['title']}"
    yield (
        "Rows with efdn are this toolkit's graph. End to end, medians; in bold how many times as fast as the baseline, "
        f"the median over rounds in which all take turns{_fewest(content)}, in brackets their middle half. "
        f"Memory is by how much the process grew from just before its first picture{where}. Start is from nothing to "
        "the first picture, at the smallest shape, with empty caches. Output is the largest difference, in grey "
        "levels, from the same network in PyTorch."
    )
    if told is not None and told["efdn_over_rfdn"]:
        said = ", ".join(
            f"{ENGINES.get(name, name)} {ratio['median']:.2f} ({ratio['quartiles'][0]:.2f}-{ratio['quartiles'][1]:.2f})"
            for name, ratio in told["efdn_over_rfdn"].items()
        )
        yield f"Time of EFDN over that of RFDN through the same engine{where}: {said}."
    yield facts(content)
    missing = "; ".join(f"{what} ({why})" for what, why in _missing(content, table_shapes(content)))
    not_measured = f"Not measured: {missing}. " if missing else ""
    left_out = ", and what else was left out" if content["left_out"] else ""
    yield f"{not_measured}How each row was made{left_out}: {LISTS}."


def _fewest(content: Content) -> str:
    """How many rounds there were at least, in words."""
    counts = [
        len(lane["rounds_ms"]["end_to_end"])
        for shape in table_shapes(content)
        for lane in shape["raw"]["engines"]
        if lane["error"] is None
    ]
    return f" ({min(counts)} or more)" if counts else ""


def _lists(content: Content) -> Iterator[str]:
    """Notes on rows, and what was left out with its reason."""
    names = {row["key"]: row["name"] for row in content["rows"]}
    missing = _missing(content, content["shapes"])
    for title, reasons in content["left_out"].items():
        missing += _at(names, title, reasons)
    notes = [
        f"- {row['name']}: {row['note']}"
        for row in content["rows"]
        if row["note"] and row["key"] not in content["absent"]
    ]
    if notes:
        yield "\n".join(["How rows were made:", "", *notes])
    if missing:
        yield "\n".join(["Not measured:", "", *dict.fromkeys(f"- {what}: {why}" for what, why in missing)])


def _missing(content: Content, shapes: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What was not measured anywhere, or failed or was left out at these shapes, each with its reason."""
    names = {row["key"]: row["name"] for row in content["rows"]}
    missing = [(names[key], _line_of(why)) for key, why in content["absent"].items() if key in names]
    for shape in [*shapes, *_compiled(content)]:
        missing += _at(names, shape["title"], shape["left_out"])
        errors = {key: found["error"] for key, found in shape["figures"].items() if found.get("error")}
        missing += _at(names, shape["title"], errors)
    return missing


def _at(names: Mapping[str, str], title: str, reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"{names.get(key, key)} at {title}", _line_of(why)) for key, why in reasons.items()]


def _line_of(why: str) -> str:
    return why.splitlines()[0]


def _pixels(shape: Mapping[str, Any]) -> int:
    height, width = shape["shape"]
    return int(height * width)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
