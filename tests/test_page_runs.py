"""The page of the server: several runs and pictures, what ends them, and what browsers do not show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.page_samples import File, addresses, picture, size_of
from tests.page_visit import Visit, browsers, guests, tabs

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.browser

PICTURE = picture()
EFDN = "**/upscale?engine=onnxruntime*"
SECOND = {"name": "second", "state": "closed", "detail": None, "reason": None}
BROKEN = {"name": "broken", "state": "unavailable", "detail": None, "reason": "no such card: buy one"}

browser = pytest.fixture(scope="module")(browsers)
address = pytest.fixture(scope="module")(addresses)
tab = pytest.fixture(scope="module")(tabs)
guest = pytest.fixture(guests)


def with_more_engines(guest: Visit) -> None:
    """One that can be chosen, and runs as another; one that cannot."""

    def listed(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json={**told, "engines": [*told["engines"], SECOND, BROKEN]})

    def as_another(route: Route) -> None:
        route.continue_(url=route.request.url.replace("engine=second", "engine=onnxruntime-cpu"))

    guest.page.route("**/engines", listed)
    guest.page.route("**/upscale?engine=second*", as_another)
    guest.page.reload()
    guest.page.wait_for_selector("#engine option[value=second]", state="attached")


def test_another_engine_runs_on_the_same_picture_and_is_listed_beside_the_first(guest: Visit) -> None:
    with_more_engines(guest)
    guest.finished(PICTURE)
    guest.page.select_option("#engine", "second")
    assert "Opened when first used" in guest.text("#engine-detail")
    guest.page.click("#again")
    guest.page.wait_for_selector("#runs tr:nth-child(2)")
    assert guest.page.locator("#runs th").all_inner_texts() == ["onnxruntime-cpu", "second"]
    assert all(time.endswith("s") for time in guest.page.locator("#runs td:last-child").all_inner_texts())
    assert sum("engine=bicubic" in url for url in guest.asked) == 1, "bicubic is the same for both"
    assert guest.page.locator("#runs tr[aria-current] th").all_inner_texts() == ["second"]
    guest.page.click("#runs button:text-is('onnxruntime-cpu')")
    assert guest.page.locator("#runs tr[aria-current] th").all_inner_texts() == ["onnxruntime-cpu"]


def test_an_engine_that_cannot_run_is_not_to_be_chosen_and_says_why(guest: Visit) -> None:
    with_more_engines(guest)
    assert guest.page.locator("#engine option[value=broken]").is_disabled()
    guest.page.click("#missing summary")
    assert "broken: no such card: buy one" in guest.text("#closed")


def test_settings_reach_the_server_and_outlast_a_run(guest: Visit) -> None:
    guest.page.select_option("#size", "other")
    guest.page.fill("#size-text", "100 x 90")
    guest.page.select_option("#format", "jpg")
    guest.page.fill("#quality", "60")
    guest.finished(PICTURE)
    assert size_of(100, 90) in guest.text("#facts")
    bicubic, efdn = guest.asked
    assert "size=100x90" in bicubic
    assert "size=100x90" in efdn
    assert "format=jpg" in efdn
    assert "quality=60" in efdn
    assert guest.page.input_value("#size") == "other"
    assert guest.page.input_value("#format") == "jpg"


def test_times_add_up_to_the_whole(guest: Visit) -> None:
    guest.finished(PICTURE)
    names = guest.page.locator("#times dt").all_inner_texts()
    assert names == ["Sending", "Waiting", "Reading", "Network", "Writing", "Receiving", "Whole"]
    units = {"ms": 1.0, "s": 1000.0}
    told = [text.split() for text in guest.page.locator("#times dd").all_inner_texts()]
    *parts, whole = (float(number) * units[unit] for number, unit in told)
    assert parts[names.index("Network")] > 0
    assert sum(parts) == pytest.approx(whole, rel=0.02, abs=5), "rounded to the digits that are shown"


def test_cancelling_ends_the_request_and_leaves_the_page_ready(guest: Visit) -> None:
    ended: list[str] = []
    guest.page.on("requestfailed", lambda request: ended.append(request.url))
    held: list[Route] = []
    guest.page.route(EFDN, lambda route: held.append(route))
    guest.drop(PICTURE)
    guest.page.wait_for_selector("#before-label:text-is('bicubic')")
    guest.page.click("#cancel")
    guest.page.wait_for_selector("body[data-mode=stopped]")
    assert guest.text("#notice") == "Cancelled."
    assert len([url for url in ended if "engine=onnxruntime" in url]) == 1
    guest.page.unroute(EFDN)
    guest.finished(PICTURE)


def test_the_newest_picture_wins(guest: Visit) -> None:
    ended: list[str] = []
    guest.page.on("requestfailed", lambda request: ended.append(request.url))
    guest.page.route("**/upscale?*name=first*", lambda route: None)
    guest.drop(picture("first.png"))
    guest.page.wait_for_selector("body[data-mode=work]")
    guest.finished(picture("second.png", seed=1))
    assert guest.text("#result-title") == "second_x4.png"
    assert len([url for url in ended if "name=first" in url]) == 1
    assert not guest.page.is_visible("#alert")


def test_of_several_files_the_first_is_taken_and_the_page_says_so(guest: Visit) -> None:
    guest.finished(PICTURE, picture("other.png"))
    assert guest.text("#notice") == "2 files came; shapes.png is taken, the others are left."
    assert guest.text("#result-title") == "shapes_x4.png"


def test_a_server_that_is_gone_is_told_and_asked_again_on_request(guest: Visit) -> None:
    guest.page.route(EFDN, lambda route: route.abort("connectionrefused"))
    guest.drop(PICTURE)
    guest.page.wait_for_selector("#alert p")
    assert "does not answer" in guest.text("#alert p")
    guest.page.unroute(EFDN)
    guest.page.click("#alert button:text-is('Try again')")
    guest.done()
    assert not guest.page.is_visible("#alert")


def test_after_a_refusal_the_earlier_result_is_still_there(guest: Visit) -> None:
    guest.finished(PICTURE)
    guest.page.select_option("#size", "other")
    guest.page.fill("#size-text", "nonsense")
    guest.page.click("#again")
    guest.page.wait_for_selector("#alert p")
    assert guest.page.is_visible("#divider")
    assert guest.text("#result-title") == "shapes_x4.png"


def test_a_tiff_is_compared_although_browsers_do_not_show_it(guest: Visit) -> None:
    guest.finished(picture("scan.tif", kind="TIFF"))
    assert guest.page.is_visible("#divider")
    assert guest.text("#result-title") == "scan_x4.png"


def test_a_result_that_browsers_do_not_show_is_offered_with_a_word_why(guest: Visit) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 20, 4), 90, np.uint8), "CMYK").save(stream, "TIFF")
    guest.finished(File("print.tif", "image/tiff", stream.getvalue()))
    assert (
        guest.text("#unseen")
        == f"This browser cannot show the result (TIFF, {size_of(80, 80)}): download it. Bicubic is shown."
    )
    assert not guest.page.is_visible("#divider")
    with guest.page.expect_download() as download:
        guest.page.click("#download")
    assert download.value.path().read_bytes()[:2] == b"II"


def test_transparent_parts_show_what_lies_behind_and_not_the_other_picture(guest: Visit) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :20] = (255, 0, 0, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    guest.finished(File("half.png", "image/png", stream.getvalue()))
    guest.page.focus("#divider")
    guest.page.keyboard.press("Home")
    seen = guest.seen()
    middle = seen.shape[1] // 2
    reddish = (seen[..., 0] - seen[..., 1] > 100).mean(axis=0)
    assert reddish[middle - 60] > 0.5
    assert reddish[middle + 60] == 0


def test_webp_stays_lossless_until_its_slider_is_moved(guest: Visit) -> None:
    guest.page.select_option("#format", "webp")
    guest.page.focus("#quality")
    # As the form hears of other controls, and of a slider that was pressed where it stands.
    for kind in ("input", "change"):
        guest.page.evaluate(f"settings.dispatchEvent(new Event('{kind}'))")
    guest.page.evaluate("quality.dispatchEvent(new Event('change', {bubbles: true}))")
    assert guest.text("#quality-value") == "lossless"
    guest.finished(PICTURE)
    assert not [url for url in guest.asked if "quality=" in url]
    guest.page.focus("#quality")
    guest.page.keyboard.press("ArrowLeft")
    assert guest.text("#quality-value") == "99"
    guest.page.click("#again")
    guest.page.wait_for_selector("#runs tr:nth-child(2)")
    assert "quality=99" in guest.asked[-1]


def test_a_file_that_can_be_read_no_longer_is_named(guest: Visit, tmp_path: Path) -> None:
    path = tmp_path / "moved.png"
    path.write_bytes(PICTURE.data)
    guest.page.set_input_files("#file", path)
    guest.done()
    path.unlink()
    guest.page.click("#again")
    guest.page.wait_for_selector("#alert p")
    assert guest.text("#alert p").startswith("moved.png cannot be read")
    assert guest.text("#result-title") == "moved_x4.png", "the earlier result is still there"


def test_an_answer_that_is_none_of_the_server_is_told(guest: Visit) -> None:
    headers = {"X-Efdn-Warnings": "no JSON", "Content-Disposition": "attachment; filename*=UTF-8''%"}
    guest.page.route(EFDN, lambda route: route.fulfill(status=200, headers=headers, body=b"hello"))
    guest.drop(PICTURE)
    guest.page.wait_for_selector("#alert p")
    assert "not one of efdn-serve" in guest.text("#alert p")


def test_of_bicubic_results_only_those_of_kept_runs_are_kept(guest: Visit) -> None:
    kept = guest.page.evaluate(
        """async () => {
          const { Session } = await import("/page/session.js");
          const session = new Session(new File(["x"], "x"));
          session.enlarged = async (query) => ({ ...query });
          const sizes = [];
          for (let scale = 1; scale < 30; scale++) {
            const choice = { bicubic: { scale }, efdn: {} };
            const stop = () => { if (scale % 3 === 0) throw new Error("stopped"); };
            await session.run(choice, () => {}, stop).catch(() => {});
            sizes.push(session.bicubics.size);
          }
          return sizes;
        }"""
    )
    assert max(kept) <= 9, "of eight runs, and the latest"
