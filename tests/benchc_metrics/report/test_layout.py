"""The report's layout in a real browser: nothing is cut, covered or hidden, on screens of all sizes and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, Visit
from run_folders import made_run, with_control, without_distributions

from benchc_metrics.report.document import render_report
from benchc_metrics.runs import Run

WIDTHS = (375, 768, 1440)
PAPER = 688
"""Pixels between the margins of a page of A4."""

NAMES = ("organisation/a-model-of-a-long-name-7b-instruct", "lab/short", "other/model_with_underscores-13b")

OVERLAPS = """
() => {
  // A label may be slanted, so that its box is not that of the screen: corners, and a line that separates them.
  const corners = (text) => {
    const box = text.getBBox(), matrix = text.getScreenCTM(), inset = 0.8;
    return [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => new DOMPoint(
      box.x + inset + x * (box.width - 2 * inset), box.y + 2 + y * (box.height - 4),
    ).matrixTransform(matrix));
  };
  const isApart = (first, second) => [first, second].some((shape) => shape.some((from, place) => {
    const to = shape[(place + 1) % 4];
    const along = (point) => (to.y - from.y) * point.x - (to.x - from.x) * point.y;
    const [a, b] = [first.map(along), second.map(along)];
    return Math.max(...a) <= Math.min(...b) || Math.max(...b) <= Math.min(...a);
  }));
  const found = [];
  for (const drawing of document.querySelectorAll(".drawing svg")) {
    const texts = [...drawing.querySelectorAll("text")].filter((text) => text.getClientRects().length);
    const shapes = texts.map(corners);
    texts.forEach((text, place) => {
      for (let other = 0; other < place; other++) {
        if (!isApart(shapes[place], shapes[other])) {
          found.push(`${drawing.closest("figure").querySelector("h4").textContent}: `
            + `${texts[other].textContent} | ${text.textContent}`);
        }
      }
    });
  }
  return found;
}
"""

CUT = """
() => {
  const found = [];
  for (const drawing of document.querySelectorAll(".drawing svg")) {
    const frame = drawing.getBoundingClientRect();
    for (const text of drawing.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const isWithin = box.left > frame.left - 1 && box.right < frame.right + 1
        && box.top > frame.top - 1 && box.bottom < frame.bottom + 1;
      if (box.width && !isWithin) {
        found.push(`${drawing.closest("figure").querySelector("h4").textContent}: ${text.textContent}`);
      }
    }
  }
  for (const element of document.querySelectorAll("body *:not(svg *, .visually-hidden, .skip, select, input)")) {
    if (element.scrollWidth <= element.clientWidth + 1 || !element.clientWidth) continue;
    const style = getComputedStyle(element);
    if (style.display === "inline") continue;
    const isTold = element.matches(".scroll, .drawing") && element.previousElementSibling.checkVisibility();
    if (!isTold && !element.closest("details:not([open])")) found.push(`${element.tagName}.${element.className}`);
  }
  return found;
}
"""

CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const element of document.querySelectorAll("main *:not(svg *)")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!isText || !element.checkVisibility() || element.matches(".visually-hidden, option")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
  }
  return found;
}
"""


def models(number: int) -> list[Run]:
    names = [f"{NAMES[place % 3]}{f'-{place}' if place > 2 else ''}" for place in range(number)]
    return [made_run(16, seed=5, noise=0.1 + 0.05 * place, model=name) for place, name in enumerate(names)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of one model, of few, of many, of generated letters, and with the control."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "1": models(1),
        "3": models(3),
        "13": models(13),
        "letters": list(map(without_distributions, models(2))),
        "control": list(map(with_control, models(2))),
    }
    paths = {}
    for name, runs in made.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(render_report(runs), encoding="utf-8")
    return paths


def opened(browser: Browser, path: Path, width: int, **settings: str) -> Visit:
    """Visit a page with all its models unfolded."""
    visit = browser.visit(path, width=width, **settings)
    visit.page.evaluate("document.querySelectorAll('details.model').forEach(each => { each.open = true; })")
    visit.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return visit


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["1", "3", "13", "letters", "control"])
def test_nothing_is_cut_covered_or_hidden_without_a_hint(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    visit = opened(browser, pages[name], width)
    assert visit.overflow <= 0
    assert visit.page.evaluate(CUT) == []
    assert visit.page.evaluate(OVERLAPS) == []


def test_names_of_models_are_whole_in_every_chart_that_shows_several(browser: Browser, pages: dict[str, Path]) -> None:
    visit = browser.visit(pages["13"], width=1440)
    written = visit.page.evaluate(
        "[...document.querySelectorAll(':is(#short, #models-together) .drawing svg')]"
        ".map(svg => [...svg.querySelectorAll('text')].map(text => text.textContent).join(''))"
    )
    assert len(written) == 5
    for text in written:
        assert "a-model-of-a-long-name-7b-instruct" in text
        assert "…" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    visit = opened(browser, pages["3"], 1440, color_scheme=scheme)
    assert visit.page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize(("width", "columns"), [(375, 1), (768, 2), (1440, 3), (1920, 4)])
def test_charts_fill_the_width(browser: Browser, pages: dict[str, Path], width: int, columns: int) -> None:
    visit = browser.visit(pages["1"], width=width)
    boxes = visit.page.evaluate(
        "[...document.querySelectorAll('.model .chart')].map(c => c.getBoundingClientRect()).map(b => [b.x, b.right])"
    )
    assert len({round(left) for left, _ in boxes}) == columns
    assert max(right for _, right in boxes) > 0.85 * width


def test_cells_and_points_have_tooltips(browser: Browser, pages: dict[str, Path]) -> None:
    visit = browser.visit(pages["1"])
    cell = visit.page.locator(".model figure", has=visit.page.get_by_role("heading", name="RAS", exact=True))
    # What lies under the pointer is the tooltip's own element.
    said = cell.locator(".tips rect").first.evaluate(
        "rect => { rect.scrollIntoView({ block: 'center', behavior: 'instant' });"
        "const box = rect.getBoundingClientRect();"
        "return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2).textContent; }"
    )
    assert said.startswith("gaussian noise, severity 1: ")
    assert visit.page.locator(".drawing svg").count() == visit.page.locator(".drawing svg:has(.tips title)").count()


@pytest.mark.parametrize("name", ["3", "13", "control"])
def test_paper_shows_everything_within_its_margins(browser: Browser, pages: dict[str, Path], name: str) -> None:
    visit = browser.visit(pages[name], width=PAPER)
    visit.page.emulate_media(media="print")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(charts.is_visible() for charts in visit.page.locator(".model .charts").all())
    assert visit.page.locator("details:not(figure details):not([open])").count() == 0
    assert visit.overflow <= 0
    assert visit.page.evaluate(CUT) == []
    assert visit.page.evaluate(OVERLAPS) == []
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert visit.page.locator(".model[open]").count() == {"3": 3, "13": 0, "control": 2}[name]
    assert visit.page.locator("details:not(figure details):not(.model)[open]").count() == 0
