"""The pictures of a report, and the maps of differences."""

from dataclasses import replace

import numpy as np
import pytest

from export.report import Report
from export.report_page import report_page
from export.report_pictures import LEAST_FACTOR, amplification, difference_map, difference_text
from tests.report_samples import Reader, images_of, make_report, picture


@pytest.fixture
def report() -> Report:
    return make_report()


def test_difference_maps_show_one_level_and_count_values(report: Report) -> None:
    one, none = report.pictures
    assert amplification(report.pictures) == 255
    drawn = difference_map(one, 255)
    assert drawn.shape == (8, 12)
    assert np.argwhere(drawn).tolist() == [[0, 0], [7, 11]]
    assert drawn.max() == 255
    assert difference_text(one) == "Difference: 3 of 288 values, by one level"
    assert difference_text(none) == "Difference: none of 288 values"
    assert not difference_map(none, 255).any()


def test_large_differences_leave_small_ones_visible() -> None:
    large = picture("x", {(0, 0, 0): 1, (1, 0, 0): -2, (2, 0, 0): 155, (3, 0, 0): -100})
    assert amplification([large]) == LEAST_FACTOR == 100
    assert difference_map(large, 100)[:4, 0].tolist() == [100, 200, 255, 255]
    assert difference_text(large) == "Difference: 4 of 288 values, by at most 155 levels"
    assert amplification([picture("x", {(0, 0, 0): 2})]) == 127


def test_how_maps_are_to_be_read(report: Report) -> None:
    large = replace(report, pictures=(picture("x", {(0, 0, 0): 155}),))
    assert "times 100. Black is none, one level is gray (100 of 255), and white is 3 levels or more." in report_page(
        large, "x", []
    )
    assert "times 255. Black is none, one level is white." in report_page(report, "x", [])


def test_quotes_in_a_name_stay_in_the_text_about_the_picture(report: Report) -> None:
    images = images_of(report_page(replace(report, pictures=(picture('x" onerror="y'),)), "x", []))
    assert images[0][0] == 'Input x" onerror="y, enlarged'


def test_pictures_are_embedded_as_they_are(report: Report) -> None:
    content = report_page(report, "x", [])
    images = images_of(content)
    assert [alt for alt, _ in images[3:]] == [
        "Input a <black> & b, enlarged",
        "Result of onnx fp16, uint8 on a <black> & b",
        "Difference map of a <black> & b. Difference: none of 288 values",
    ]
    first = report.pictures[0]
    for (_, pixels), expected in zip(images, (first.source, first.result, difference_map(first, 255)), strict=False):
        assert np.array_equal(pixels, expected)
    # The input is shown as large as the result.
    assert {(image["width"], image["height"]) for image in Reader(content).all("img")} == {("12", "8")}


def test_the_reference_is_shown_where_a_result_looks_different(report: Report) -> None:
    far = replace(report, pictures=(report.pictures[0], picture("far", {(0, 0, 0): 50})))
    images = images_of(report_page(far, "x", []))
    assert len(images) == 8
    assert np.array_equal(images[6][1], far.pictures[1].reference)
