"""The page of the server in a headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.page_samples import File, pixels_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Error, FileChooser, Page, Request

DROP = """([files]) => {
  const transfer = new DataTransfer();
  for (const { name, type, data } of files) {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  const send = (kind) => document.body.dispatchEvent(
    new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  send("dragenter");
  send("dragover");
  send("drop");
}"""

PASTE = """([{ name, type, data }]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


def chromium() -> str | None:
    """Where a Chromium is; None where Playwright has, or can say, its own."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def browsers() -> Iterator[Browser]:
    """A fixture's one Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev-serve)")
    with sync_api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
            )
        except sync_api.Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


def tabs(browser: Browser) -> Iterator[Page]:
    """A fixture's one tab: opening one takes longer than most tests."""
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    yield context.new_page()
    context.close()


@contextmanager
def visited(tab: Page, address: str) -> Iterator[Visit]:
    """The page, opened anew; in the end it has caused no errors and asked no other host."""
    tab.set_default_timeout(60_000)
    guest = Visit(page=tab, address=address)
    guest.open()
    yield guest
    guest.close()


@contextmanager
def visit(browser: Browser, address: str, **looks: Any) -> Iterator[Visit]:
    """The same in a window of its own."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 700}, **looks})
    try:
        with visited(context.new_page(), address) as guest:
            yield guest
    finally:
        context.close()


@dataclass(kw_only=True)
class Visit:
    """The page, opened, and what it did that nobody asked for.

    Attributes:
        page: Playwright's.
        address: of the server.
        faults: errors on the console, but for refusals by the server, and errors of scripts.
        requests: addresses asked for.
    """

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self) -> None:
        for event, heard in self._ears().items():
            self.page.on(event, heard)  # type: ignore[call-overload]
        self.page.goto(self.address)
        self.page.wait_for_selector("#engine option", state="attached")

    def close(self) -> None:
        """Leaves the page as it was before; raises if it has caused errors or asked another host."""
        for event, heard in self._ears().items():
            self.page.remove_listener(event, heard)
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto("about:blank")
        assert self.faults == []
        assert self.hosts == {urlsplit(self.address).netloc}

    def _ears(self) -> dict[str, Callable[..., None]]:
        # Playwright starts to catch choosers when someone listens, and not at once: too late for who listens only then.
        choosers = {"filechooser": self._chooser}
        return {"console": self._console, "pageerror": self._error, "request": self._request, **choosers}

    def _chooser(self, chooser: FileChooser) -> None:
        pass

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def _error(self, error: Error) -> None:
        self.faults.append(str(error))

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    @property
    def hosts(self) -> set[str]:
        """All that were asked, beside the page's own memory."""
        return {urlsplit(url).netloc for url in self.requests if not url.startswith(("blob:", "data:"))}

    @property
    def asked(self) -> list[str]:
        """Addresses of pictures' requests."""
        return [url for url in self.requests if "/upscale" in url]

    def drop(self, *files: File) -> None:
        self.page.evaluate(DROP, [[file.for_page for file in files]])

    def paste(self, file: File) -> None:
        self.page.evaluate(PASTE, [file.for_page])

    def finished(self, *files: File) -> None:
        """Drops pictures, and waits for what becomes of the first."""
        self.drop(*files)
        self.done()

    def done(self) -> None:
        self.page.wait_for_selector("body[data-mode=done]")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def share(self) -> int:
        """Of the slider, 0 to 100."""
        return int(self.page.get_attribute("#divider", "aria-valuenow") or -1)

    def zoom(self) -> int:
        """In percent of 1:1."""
        return int(self.text("#zoom").split()[0])

    def seen(self) -> NDArray[np.int16]:
        """(H, W, 3) of the viewer as it is on the screen."""
        return pixels_of(self.page.locator("#viewer").screenshot())

    def corner(self) -> tuple[float, float]:
        """The picture's top left corner, in pixels of the viewer."""
        placed: list[float] = self.page.evaluate(
            """() => {
              const image = document.querySelector("#before img").getBoundingClientRect();
              const viewer = document.querySelector("#viewer").getBoundingClientRect();
              return [image.left - viewer.left, image.top - viewer.top];
            }"""
        )
        return placed[0], placed[1]

    def edge(self) -> float:
        """Where the divider stands, in pixels of the viewer."""
        return self.middle("#divider")[0] - self._box("#viewer")["x"]

    def middle(self, selector: str) -> tuple[float, float]:
        """Of an element, on the screen."""
        box = self._box(selector)
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def _box(self, selector: str) -> dict[str, float]:
        box = self.page.locator(selector).bounding_box()
        assert box is not None, f"{selector} is not on the screen"
        return {name: box[name] for name in ("x", "y", "width", "height")}


def guests(tab: Page, address: str) -> Iterator[Visit]:
    """A fixture's visit of the page, in a tab that tests share."""
    with visited(tab, address) as opened:
        yield opened
