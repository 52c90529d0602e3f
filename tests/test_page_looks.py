"""The page of the server on a phone, in light and dark, and for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page_samples import File, addresses, picture
from tests.page_visit import Visit, browsers, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGE = Path(__file__).parent.parent / "engines" / "serving" / "page"
PICTURE = picture()
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

TEXTS = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(one).backgroundColor);
      if (a > 0.8) return [r, g, b];
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return own && element.checkVisibility() && !element.closest(".heard, :disabled, option, #viewer");
  }).map((element) => {
    const text = element.textContent.trim().slice(0, 40);
    return { text, ink: numbers(getComputedStyle(element).color).slice(0, 3), paper: behind(element) };
  });
}"""

CONTROLS = """() => [...document.querySelectorAll("button, select, input, summary, a, [role=slider], [tabindex]")]
  .filter((element) => element.checkVisibility())
  .map((element) => {
    const box = element.getBoundingClientRect();
    const labels = [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ");
    const name = element.getAttribute("aria-label") || labels || element.textContent.trim();
    return { tag: element.outerHTML.slice(0, 80), name, width: box.width, height: box.height };
  })"""

browser = pytest.fixture(scope="module")(browsers)
address = pytest.fixture(scope="module")(addresses)


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Visit]:
    with visit(browser, address, **PHONE) as opened:
        yield opened


def luminance(color: list[float]) -> float:
    """Relative, as WCAG 2 defines it."""
    parts = [part / 255 for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(text: dict[str, Any]) -> float:
    """Of a text and what it stands on, 1 to 21."""
    dark, light = sorted((luminance(text["ink"]), luminance(text["paper"])))
    return (light + 0.05) / (dark + 0.05)


def each_state(guest: Visit) -> Iterator[str]:
    """Leads the page through what it can look like."""
    guest.page.click("summary")
    yield "start"
    guest.page.route("**/upscale?engine=onnxruntime*", lambda route: None, times=1)
    guest.drop(PICTURE)
    guest.page.wait_for_selector("#before-label:text-is('bicubic')")
    yield "work"
    guest.finished(PICTURE, PICTURE)
    yield "done"
    guest.drop(File(f"{'n' * 200}.txt", "text/plain", b"hello"))
    guest.page.wait_for_selector("#alert p")
    yield "error"


def width_of(guest: Visit) -> int:
    return int(guest.page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.browser
def test_nothing_is_wider_than_a_phone_and_all_controls_take_a_finger(phone: Visit) -> None:
    for state in each_state(phone):
        assert width_of(phone) == 360, state
        controls = phone.page.evaluate(CONTROLS)
        small = [control for control in controls if min(control["width"], control["height"]) < 43.5]
        assert small == [], state
    phone.finished(PICTURE)
    assert phone.page.locator("#viewer").bounding_box()["height"] > 320  # type: ignore[index]


@pytest.mark.browser
def test_all_controls_have_names(phone: Visit) -> None:
    for state in each_state(phone):
        controls = phone.page.evaluate(CONTROLS)
        assert len(controls) >= 5, state
        assert [control["tag"] for control in controls if not control["name"]] == [], state


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_schemes(browser: Browser, address: str, scheme: str) -> None:
    with visit(browser, address, color_scheme=scheme) as guest:
        for state in each_state(guest):
            texts = guest.page.evaluate(TEXTS)
            assert len(texts) >= 8, state
            assert [text for text in texts if contrast(text) < 4.5] == [], state
            paper = guest.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert (luminance(paper) < 0.1) == (scheme == "dark")


@pytest.mark.browser
def test_two_fingers_zoom_and_one_moves_the_slider(phone: Visit) -> None:
    phone.finished(PICTURE)
    session = phone.page.context.new_cdp_session(phone.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        spots = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    x, y = phone.middle("#viewer")
    touch("touchStart", (x, y))
    for step in range(1, 7):
        touch("touchMove", (x - 10 * step, y))
    touch("touchEnd")
    assert 20 < phone.share() < 40
    before = phone.zoom()
    touch("touchStart", (x - 30, y))
    touch("touchStart", (x - 30, y), (x + 30, y))
    for step in range(1, 7):
        touch("touchMove", (x - 30 - 5 * step, y), (x + 30 + 5 * step, y))
    touch("touchEnd")
    assert phone.zoom() == pytest.approx(2 * before, rel=0.1)


@pytest.mark.browser
def test_nothing_moves_by_itself_where_that_is_not_wanted(browser: Browser, address: str) -> None:
    with visit(browser, address, reduced_motion="reduce") as guest:
        guest.page.route("**/upscale?*", lambda route: None)
        guest.drop(PICTURE)
        guest.page.wait_for_selector("body[data-mode=work]")
        assert guest.page.evaluate("document.getAnimations().length") == 0


def test_the_page_is_plain_files_with_nothing_inline_and_nothing_from_elsewhere() -> None:
    files = {
        path.name: path.read_text(encoding="utf-8")
        for path in PAGE.iterdir()
        if path.suffix != ".py" and path.is_file()
    }
    assert {"index.html", "style.css", "main.js", "icon.svg"} <= set(files)
    html = files["index.html"]
    assert "<style" not in html
    assert ' style="' not in html
    assert " on" + "click" not in html
    assert html.count("<script") == html.count('<script type="module" src=')
    for name, text in files.items():
        outside = [part for part in ("https://", "//cdn", "@import", "eval(") if part in text]
        assert outside == [], name
        assert name.endswith(".css") or len(text.splitlines()) <= 250, name
