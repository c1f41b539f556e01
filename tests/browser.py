"""Pages in a real headless Chromium, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """A page that was opened, and all that it said or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def background(self, selector: str = "body") -> tuple[int, int, int]:
        """The background colour of an element, as red, green and blue."""
        written = self.page.evaluate("s => getComputedStyle(document.querySelector(s)).backgroundColor", selector)
        red, green, blue = (int(part) for part in written.removeprefix("rgb(").removesuffix(")").split(","))
        return red, green, blue


class Browser:
    """Chromium for some tests; each visit has a context of its own."""

    def __init__(self, chromium: Any) -> None:
        self.chromium = chromium
        self.contexts: list[Any] = []

    def visit(self, path: Path, *, width: int = 1280, height: int = 900, **settings: Any) -> Visit:
        """Open a file; `settings` are those of Playwright's `new_context`."""
        context = self.chromium.new_context(viewport={"width": width, "height": height}, offline=True, **settings)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        visit = Visit(context.new_page())
        visit.page.on("console", lambda message: visit.complaints.append(f"{message.type}: {message.text}"))
        visit.page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
        visit.page.on("dialog", lambda dialog: (visit.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.goto(path.resolve().as_uri())
        return visit

    def close_visits(self) -> None:
        """Close what the last test opened."""
        while self.contexts:
            self.contexts.pop().close()


def find_chromium() -> str | None:
    """Where Debian and others put Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


# Not for the whole session: while it runs, Playwright keeps an event loop, and other tests want one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One headless Chromium for a module's tests; where there is none they are skipped, and say so."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install it with `apt-get install -y chromium`")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install 'benchc[test]'")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield Browser(running)
        running.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Visit pages; they are closed after the test."""
    yield chromium
    chromium.close_visits()
