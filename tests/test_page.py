"""The page of the server, used: pictures in, progress, comparison, results out."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.page_samples import MOST_BYTES, SHOWN, File, addresses, picture, pixels_of, size_of, upscaled
from tests.page_visit import Visit, browsers, guests, tabs

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.browser

PICTURE = picture()
LARGE_SIZE = (240, 320)

SAY_SENT = """() => {
  // Of a request that a test holds, Chromium never says that it is sent.
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    send.call(this, body);
    setTimeout(() => this.upload.dispatchEvent(new ProgressEvent("load")));
  };
}"""


browser = pytest.fixture(scope="module")(browsers)
address = pytest.fixture(scope="module")(addresses)
tab = pytest.fixture(scope="module")(tabs)
guest = pytest.fixture(guests)


def test_a_dropped_picture_is_shown_enlarged_by_bicubic_and_by_efdn(guest: Visit) -> None:
    guest.finished(PICTURE)
    sizes = guest.page.eval_on_selector_all(
        "#before img, #after img", "images => images.map(one => [one.naturalHeight, one.naturalWidth])"
    )
    assert sizes == [[*LARGE_SIZE], [*LARGE_SIZE]]
    assert guest.text("#before-label") == "bicubic"
    assert guest.text("#after-label") == "EFDN"
    assert size_of(80, 60) in guest.text("#facts")
    assert size_of(320, 240) in guest.text("#facts")
    assert [re.search(r"engine=([\w-]+)", url)[1] for url in guest.asked] == ["bicubic", "onnxruntime-cpu"]  # type: ignore[index]


def test_left_of_the_handle_is_bicubic_and_right_of_it_efdn_pixel_by_pixel(guest: Visit) -> None:
    guest.finished(PICTURE)
    guest.page.keyboard.press("1")
    bicubic, efdn = (pixels_of(upscaled(guest.address, PICTURE, **query)) for query in (SHOWN, {}))
    assert np.abs(bicubic - efdn).max() > 20, "the two must differ for this to say anything"
    x, y = map(round, guest.corner())
    height, width = LARGE_SIZE
    seen = guest.seen()[y : y + height, x : x + width]
    edge = round(guest.edge()) - x
    assert edge == pytest.approx(width / 2, abs=1)
    # Labels cover the top; the handle and its shadow 32 pixels on each side of the edge.
    assert np.abs(seen[40:, : edge - 32] - bicubic[40:, : edge - 32]).max() <= 1
    assert np.abs(seen[40:, edge + 32 :] - efdn[40:, edge + 32 :]).max() <= 1


def test_a_pasted_picture_is_taken(guest: Visit) -> None:
    guest.paste(PICTURE)
    guest.done()
    assert guest.text("#result-title") == "shapes_x4.png"


def test_a_picture_is_chosen_by_keyboard_alone(guest: Visit) -> None:
    guest.page.keyboard.press("Tab")
    assert guest.page.evaluate("document.activeElement.id") == "drop"
    with guest.page.expect_file_chooser() as chooser:
        guest.page.keyboard.press("Enter")
    chooser.value.set_files(PICTURE.for_chooser)
    guest.done()
    assert guest.page.evaluate("document.activeElement.id") == "divider"


def test_the_slider_goes_by_keys_and_by_mouse(guest: Visit) -> None:
    guest.finished(PICTURE)
    guest.page.focus("#divider")
    places = []
    for key in ("ArrowLeft", "Shift+ArrowRight", "Home", "End", "PageDown"):
        guest.page.keyboard.press(key)
        places.append(guest.share())
    assert places == [48, 58, 0, 100, 90]
    assert guest.page.get_attribute("#divider", "aria-valuetext") == "90 % bicubic, 10 % EFDN"
    guest.page.keyboard.press("Home")
    x, y = guest.middle("#divider")
    middle, _ = guest.middle("#viewer")
    guest.page.mouse.move(x + 5, y)
    guest.page.mouse.down()
    guest.page.mouse.move(middle + 5, y, steps=3)
    guest.page.mouse.up()
    assert guest.share() == pytest.approx(50, abs=1)


def test_wheel_keys_and_buttons_zoom_and_dragging_moves(guest: Visit) -> None:
    guest.finished(PICTURE)
    x, y = guest.middle("#viewer")
    whole = guest.zoom()
    guest.page.mouse.move(x, y)
    guest.page.mouse.wheel(0, -300)
    assert guest.zoom() > whole
    guest.page.keyboard.press("1")
    assert guest.zoom() == 100
    guest.page.keyboard.press("+")
    assert guest.zoom() == 150
    for _ in range(4):
        guest.page.click("#zoom-in")
    assert guest.zoom() == 600
    before = guest.corner()
    guest.page.mouse.move(x + 200, y)
    guest.page.mouse.down()
    guest.page.mouse.move(x + 150, y - 30, steps=3)
    guest.page.mouse.up()
    assert np.subtract(guest.corner(), before) == pytest.approx([-50, -30], abs=1)
    assert guest.share() == 50, "dragging away from the handle moves the picture"
    guest.page.focus("#viewer")
    guest.page.keyboard.press("ArrowRight")
    assert np.subtract(guest.corner(), before) == pytest.approx([-98, -30], abs=1)
    guest.page.click("#zoom-fit")
    assert guest.zoom() == whole


def test_what_lies_under_the_pointer_stays_there_when_zooming(guest: Visit) -> None:
    guest.finished(PICTURE)
    for _ in range(3):
        guest.page.keyboard.press("+")
    left, top = guest.page.evaluate("(() => { const b = viewer.getBoundingClientRect(); return [b.left, b.top]; })()")
    (x, y), zoom = guest.corner(), guest.zoom()
    guest.page.mouse.move(left + 300, top + 200)
    guest.page.mouse.wheel(0, -240)
    (moved_x, moved_y), larger = guest.corner(), guest.zoom()
    assert larger > 1.3 * zoom
    # 1 % of rounding in the percentages, 300 pixels away.
    assert (300 - moved_x) / larger == pytest.approx((300 - x) / zoom, rel=0.01)
    assert (200 - moved_y) / larger == pytest.approx((200 - y) / zoom, rel=0.01)


def test_the_download_is_what_the_server_gave(guest: Visit) -> None:
    guest.page.select_option("#format", "webp")
    guest.finished(PICTURE)
    with guest.page.expect_download() as download:
        guest.page.click("#download")
    assert download.value.suggested_filename == "shapes_x4.webp"
    assert download.value.path().read_bytes() == upscaled(guest.address, PICTURE, format="webp")


def test_waiting_and_shares_are_told_while_the_server_works(guest: Visit) -> None:
    states = [
        ({"state": "waiting", "position": 2}, "EFDN: waiting, place 2 in the queue", ""),
        ({"state": "working", "phase": "upscaling", "share": 0.42}, "EFDN: upscaling", "42 %"),
        ({"state": "working", "phase": "writing", "share": 0.9}, "EFDN: writing", "90 %"),
    ]
    told: list[dict[str, object]] = [states[0][0]]
    held: list[Route] = []
    guest.page.evaluate(SAY_SENT)
    guest.page.route("**/progress/*", lambda route: route.fulfill(json=told[-1]))
    guest.page.route("**/upscale?engine=onnxruntime*", lambda route: held.append(route))
    guest.drop(PICTURE)
    for state, words, share in states:
        told.append(state)
        guest.page.wait_for_selector(f"#doing:text-is('{words}')")
        assert guest.text("#share") == share
        assert guest.page.title() == f"{share} EFDN".strip()
    assert guest.text("#before-label") == "bicubic", "it is shown meanwhile"
    held[0].continue_()
    guest.done()


def test_a_text_file_is_refused_in_the_servers_words(guest: Visit) -> None:
    guest.drop(File("notes.txt", "text/plain", b"hello"))
    guest.page.wait_for_selector("#alert p")
    assert guest.text("#alert p").strip().count("\n") == 0
    assert "/tmp" not in guest.text("#alert p")
    assert guest.page.get_attribute("#alert", "role") == "alert"
    guest.finished(PICTURE)
    assert not guest.page.is_visible("#alert")


def test_a_file_that_is_too_large_or_empty_is_refused_before_it_is_sent(guest: Visit) -> None:
    guest.drop(File("huge.png", "image/png", bytes(MOST_BYTES + 1)))
    guest.page.wait_for_selector("#alert p")
    assert "huge.png has 200 kB, and this server takes 200 kB at most" in guest.text("#alert p")
    guest.drop(File("nothing.png", "image/png", b""))
    guest.page.wait_for_selector("#alert p:text-is('nothing.png is empty: choose another picture.')")
    assert guest.asked == []


def test_a_busy_server_is_asked_again_when_it_said(guest: Visit) -> None:
    asked: list[float] = []

    def busy_first(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": "2"}, body=json.dumps({"error": "full"}))
        else:
            route.continue_()

    guest.page.route("**/upscale?engine=onnxruntime*", busy_first)
    guest.drop(PICTURE)
    for seconds in (2, 1):
        guest.page.wait_for_selector(f"#doing:text-is('The server is busy: again in {seconds} s')")
    guest.done()
    assert 1.9 < asked[1] - asked[0] < 6
    assert not guest.page.is_visible("#alert")
