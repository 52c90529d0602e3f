"""The page of the server: what stays when a run fails or is cancelled, and how large pictures are asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.page_samples import File, addresses, picture
from tests.page_visit import Visit, browsers, guests, tabs

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.browser

PICTURE, OTHER = picture(), picture("other.png", seed=1)
BICUBIC, EFDN = "**/upscale?engine=bicubic*", "**/upscale?engine=onnxruntime*"

browser = pytest.fixture(scope="module")(browsers)
address = pytest.fixture(scope="module")(addresses)
tab = pytest.fixture(scope="module")(tabs)
guest = pytest.fixture(guests)


def again(guest: Visit) -> tuple[str, bool]:
    """What the button says, and whether it can be pressed."""
    return guest.page.text_content("#again") or "", guest.page.is_enabled("#again")


def test_a_failed_picture_leaves_the_finished_one_before_it_and_can_be_tried_again(guest: Visit) -> None:
    guest.finished(PICTURE)
    guest.page.route(EFDN, lambda route: route.abort("connectionrefused"))
    guest.drop(OTHER)
    guest.page.wait_for_selector("#alert p")
    assert guest.page.is_visible("#divider")
    assert guest.page.is_visible("#download")
    assert guest.text("#result-title") == "shapes_x4.png"
    assert again(guest) == ("Upscale shapes.png again", True)
    assert guest.page.text_content("#live") == "Failed."
    guest.page.unroute(EFDN)
    guest.page.click("#alert button:text-is('Try again')")
    guest.page.wait_for_selector("#result-title:text-is('other_x4.png')")
    assert again(guest) == ("Upscale other.png again", True)


def test_a_file_that_is_no_picture_leaves_the_finished_one(guest: Visit) -> None:
    assert again(guest) == ("Upscale again", False)
    notes = File("notes.txt", "text/plain", b"hello")
    guest.drop(notes)
    guest.page.wait_for_selector("#alert p")
    assert again(guest) == ("Upscale again", False)
    guest.finished(PICTURE)
    guest.drop(notes)
    guest.page.wait_for_selector("#alert p")
    assert guest.page.is_visible("#download")
    assert again(guest) == ("Upscale shapes.png again", True)


def test_a_cancelled_picture_is_still_seen_and_can_be_upscaled(guest: Visit) -> None:
    guest.page.route(EFDN, lambda route: None)
    guest.drop(PICTURE)
    guest.page.wait_for_selector("#before-label:text-is('bicubic')")
    guest.page.keyboard.press("Escape")
    guest.page.wait_for_selector("body[data-mode=stopped]")
    assert guest.page.is_visible("#before img")
    assert not guest.page.is_visible("#download")
    assert guest.page.text_content("#live") == "Cancelled."
    assert guest.page.evaluate("document.activeElement.id") == "again"
    guest.page.unroute(EFDN)
    guest.page.click("#again")
    guest.done()
    assert guest.text("#result-title") == "shapes_x4.png"


def test_a_cancelled_picture_after_a_finished_one_is_a_button_away(guest: Visit) -> None:
    guest.finished(PICTURE)
    guest.page.route(EFDN, lambda route: None)
    guest.drop(OTHER)
    guest.page.wait_for_selector("#before-label:text-is('bicubic')")
    guest.page.click("#cancel")
    guest.page.wait_for_selector("#notice p:text-is('other.png: cancelled.')")
    assert guest.text("#result-title") == "shapes_x4.png"
    guest.page.unroute(EFDN)
    guest.page.click("#notice button:text-is('Upscale other.png')")
    guest.page.wait_for_selector("#result-title:text-is('other_x4.png')")
    assert not guest.page.is_visible("#notice")


def test_a_jpeg_of_transparency_leads_to_the_background(guest: Visit) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((40, 40, 4), 90, np.uint8)).save(stream, "PNG")
    guest.page.select_option("#format", "jpg")
    guest.drop(File("logo.png", "image/png", stream.getvalue()))
    guest.page.wait_for_selector("#alert p")
    assert guest.text("#alert p") == (
        "logo.png has transparency, which JPEG cannot hold: choose a Background under More, or another Format."
    )
    assert guest.page.evaluate("document.activeElement.id") == "background"
    assert guest.page.is_visible("#background")
    guest.page.select_option("#background", "white")
    guest.page.click("#again")
    guest.done()
    assert guest.text("#result-title") == "logo_x4.jpg"


def test_of_a_large_picture_both_are_asked_for_at_once(guest: Visit) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (105, 75, 3), np.uint8).repeat(14, 0).repeat(14, 1)
    Image.fromarray(noise).save(stream, "JPEG", quality=30)
    large = File("large.jpg", "image/jpeg", stream.getvalue())
    assert 30_000 < len(large.data) < 200_000
    for pattern in (BICUBIC, EFDN):
        guest.page.route(pattern, lambda route: None)
    with guest.page.expect_request(EFDN):
        guest.drop(large)
    assert ["engine=bicubic" in url for url in guest.asked] == [True, False]
    assert guest.text("#doing").startswith("EFDN")
    guest.page.click("#cancel")
    guest.page.wait_for_selector("body[data-mode=stopped]")


def test_where_one_of_two_requests_fails_the_other_is_given_up(guest: Visit) -> None:
    ended = guest.page.evaluate(
        """async () => {
          const { Session } = await import("/page/session.js");
          const session = new Session(new File(["x"], "x"));
          session.isLarge = async () => true;
          let ended = false;
          session.enlarged = (query, by, onStep, signal) => new Promise((resolve, reject) => {
            if (by === "EFDN") setTimeout(() => reject(new Error("no")));
            else signal.addEventListener("abort", () => { ended = true; reject(new Error("aborted")); });
          });
          const said = await session.run({ bicubic: {}, efdn: {} }, () => {}, () => {}).catch((error) => error.message);
          return [said, ended];
        }"""
    )
    assert ended == ["no", True]


def test_the_format_says_what_lossless_gives_and_missing_engines_stand_below_the_button(guest: Visit) -> None:
    assert guest.page.text_content("#format option[value='']") == "lossless"
    assert guest.text("#format-note") == "Lossless is PNG, or TIFF for what PNG cannot hold."
    guest.page.select_option("#format", "webp")
    assert not guest.page.is_visible("#format-note")
    below = "again.compareDocumentPosition(missing) & Node.DOCUMENT_POSITION_FOLLOWING"
    assert guest.page.evaluate(below)
