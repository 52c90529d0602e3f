"""The page about a profile, and its chart of distributions."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.nvidia_smi import GpuState
from engines.profiling.comparison import Difference
from engines.profiling.distribution_chart import LABEL_WIDTH, RIGHT, WIDTH, distribution_chart
from engines.profiling.figures_table import fitted
from engines.profiling.layers_section import by_kind
from engines.profiling.measure import Settings
from engines.profiling.page import profile_page
from engines.profiling.percentiles import percentile
from engines.profiling.record import Profile
from engines.profiling.result import ShapeProfile
from engines.protocol import LayerTime
from tests.profiling_fakes import START, lane, shape_profile, staged

SVG = "{http://www.w3.org/2000/svg}"
ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b <c>"]), st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=30)),
    min_size=1,
    max_size=4,
)


def of_class(chart: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [rect for rect in chart.findall(f"{SVG}rect") if rect.get("class") == kind]


def middle(rect: ElementTree.Element) -> float:
    return float(rect.attrib["x"]) + float(rect.attrib["width"]) / 2


@given(ROWS)
def test_every_run_is_in_a_bar_and_every_bar_in_the_picture(rows: list[tuple[str, list[float]]]) -> None:
    chart = ElementTree.fromstring(distribution_chart("times", rows))
    bins = of_class(chart, "bin")
    counted = [int((rect.findtext(f"{SVG}title") or "").split(" of ")[0]) for rect in bins]
    assert sum(counted) == sum(len(samples) for _, samples in rows)
    for rect in (*bins, *of_class(chart, "mark")):
        assert float(rect.attrib["x"]) >= LABEL_WIDTH - 5
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= WIDTH - RIGHT + 5


@pytest.mark.parametrize("factor", [1.2, 50.0])
def test_marks_stand_at_median_and_95th_percentile_in_the_order_of_time(factor: float) -> None:
    quick, slow = [10.0, 10.5, 12.0], [10.0 * factor, 10.6 * factor, 13.0 * factor]
    chart = ElementTree.fromstring(distribution_chart("times", [("quick", quick), ("slow", slow)]))
    marks = of_class(chart, "mark")
    values = [percentile(samples, share) for samples in (quick, slow) for share in (0.5, 0.95)]
    assert sorted(range(4), key=values.__getitem__) == sorted(range(4), key=lambda index: middle(marks[index]))
    assert (marks[0].findtext(f"{SVG}title") or "") == "quick: median 10.500 ms"


def test_a_chart_of_equal_times_and_one_of_nothing_are_charts() -> None:
    for rows in ([("a", [5.0] * 3)], []):
        assert ElementTree.fromstring(distribution_chart("times", rows)).tag == f"{SVG}svg"


def profile(*shapes: ShapeProfile) -> Profile:
    return Profile(
        command=("efdn-profile", "--page", "a b.html"),
        date="2026-01-02T03:04:05+00:00",
        commit=None,
        machine={"processor": "P & Q", "cores": 4, "usable_cores": 2, "efdn": "1", "python": "3", "packages": {}},
        gpus=(GpuState(name="GPU <1>", driver_version="550.1"),),
        load=None,
        settings=Settings(),
        shapes=shapes,
        warnings=(),
    )


def test_page_shows_every_engine_and_stands_alone() -> None:
    difference = Difference(grey_levels=2, differing_share=0.25, psnr_db=50.0)
    layers = (LayerTime(name="first <layer>", kind="Conv", ms=1.0), LayerTime(name="second", kind="Add", ms=3.0))
    shape = shape_profile(
        lane("slow <one>", [[20.0, 22.0]] * 3, cold=START, warm=START),
        lane("quick", [[5.0]] * 3, make=staged(1.0), difference=difference, layers=layers),
        lane("broken", [], error="it broke"),
    )
    content = profile_page(profile(shape))
    for said in ("slow &lt;one&gt;", "P &amp; Q", "GPU &lt;1&gt;, driver 550.1", "'a b.html'", "first &lt;layer&gt;"):
        assert said in content or said.replace("'", "&#x27;") in content
    assert "4.20x" in content
    assert 'class="bad">2<' in content
    assert "25.000%" in content
    assert not re.search(r"<script|<link|\bsrc=|url\(", content)
    for picture in re.findall(r"<svg.*?</svg>", content, re.DOTALL):
        ElementTree.fromstring(picture)
    # Distribution, stages, starts, kinds of layers, layers.
    assert content.count("<svg") == 5


def test_stages_are_in_proportion_and_only_those_that_are_told() -> None:
    def drawn(content: str) -> list[float]:
        (picture,) = (text for text in re.findall(r"<svg.*?</svg>", content, re.DOTALL) if "End to end, ms" in text)
        return [float(rect.attrib["width"]) for rect in of_class(ElementTree.fromstring(picture), "segment")]

    on_device = drawn(profile_page(profile(shape_profile(lane("a", [[50.0]], make=lambda ms: staged(1.0)(ms))))))
    assert len(on_device) == 4
    (network, rest) = drawn(profile_page(profile(shape_profile(lane("a", [[9.0]])))))
    assert (network + 1) / (rest + 1) == pytest.approx(9, rel=0.02)


def test_a_page_without_engines_that_ran_says_so() -> None:
    content = profile_page(profile(shape_profile(lane("a", [], error="it broke"))))
    assert "No engine ran." in content


def test_layers_are_summed_by_kind_where_kinds_are_told() -> None:
    layers = [LayerTime(name=str(index), kind=kind, ms=2.0) for index, kind in enumerate(["Conv", "Add", "Conv", ""])]
    assert by_kind(layers) == [("Conv (2)", 4.0), ("Add (1)", 2.0), ("other (1)", 2.0)]
    assert by_kind(layers[3:]) == []


@given(st.text("abc. <", max_size=80), st.integers(8, 40))
def test_names_are_cut_in_their_middle(name: str, most: int) -> None:
    short = fitted(name, most)
    assert len(short) == min(len(name), most)
    assert name.startswith(short.split("...")[0]) or "..." in name
