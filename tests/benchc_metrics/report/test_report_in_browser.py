"""The report in a real browser: silent, sortable, dark and light, on a phone, on paper, by keyboard."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import Browser
from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_metrics.report.document import render_report
from benchc_metrics.report.gallery import ShownSample
from benchc_metrics.runs import Run

MARKUP = (
    "<script>document.title = 'run'; alert('run')</script><img src=x onerror=\"document.title = 'run'\"><b>bold</b>"
)


@pytest.fixture(scope="module")
def report(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def names(visit) -> list[str]:
    return visit.page.locator("#headline [data-sortable] tbody th").all_text_contents()


def column(visit, place: int) -> list[float]:
    return [
        float(cell.get_attribute("data-value"))
        for cell in visit.page.locator(f"#headline [data-sortable] tbody td:nth-child({place})").all()
    ]


def test_the_page_is_silent_and_fetches_nothing(browser: Browser, report: Path) -> None:
    visit = browser.visit(report)
    for summary in visit.page.locator("summary").all()[:4]:
        summary.click()
    assert visit.complaints == []
    assert visit.requests[0] == report.as_uri()
    assert all(url.startswith("data:") for url in visit.requests[1:])


def test_every_picture_and_drawing_is_drawn(browser: Browser, report: Path) -> None:
    visit = browser.visit(report)
    assert visit.page.evaluate(
        "[...document.images].length && [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    )
    boxes = visit.page.evaluate(
        "[...document.querySelectorAll('.drawing svg')].filter(s => !s.closest('[hidden]'))"
        ".map(s => s.getBoundingClientRect()).map(b => [b.width, b.height])"
    )
    assert len(boxes) >= 10
    assert all(width > 200 and height > 100 for width, height in boxes)


def test_a_chart_downloads_with_its_own_colours_and_its_numbers(browser: Browser, report: Path, tmp_path: Path) -> None:
    visit = browser.visit(report)
    chart = visit.page.locator("figure.chart", has=visit.page.locator("h4", has_text="Accuracy over severity")).first
    chart.locator("summary").click()
    saved = {}
    for ending, label in (("svg", "Picture as SVG"), ("csv", "Numbers as CSV")):
        with visit.page.expect_download() as waited:
            chart.get_by_role("button", name=label).click()
        assert waited.value.suggested_filename == f"accuracy-over-severity.{ending}"
        path = tmp_path / f"chart.{ending}"
        waited.value.save_as(path)
        saved[ending] = path.read_text(encoding="utf-8")
    with visit.page.expect_download() as waited:
        chart.get_by_role("button", name="Picture as PNG").click()
    waited.value.save_as(tmp_path / "chart.png")
    root = ElementTree.fromstring(saved["svg"])
    assert float(root.attrib["width"]) > 300
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.width == round(3 * float(root.attrib["width"]))
        colours = {colour[:3] for _, colour in picture.convert("RGBA").getcolors(1 << 20)}
    assert {(255, 255, 255), (0x0A, 0x5E, 0xA8)} <= colours
    assert "#0a5ea8" in saved["svg"]
    assert "var(" not in saved["svg"]
    head, first, *_ = csv.reader(io.StringIO(saved["csv"]))
    assert head == ["model", "clean", *(f"severity {each}" for each in range(1, 6))]
    assert len(first) == len(head)
    assert "\u2212" not in saved["csv"]
    assert visit.complaints == []


def test_a_column_sorts_both_ways_and_says_so(browser: Browser, report: Path) -> None:
    visit = browser.visit(report)
    head = visit.page.get_by_role("columnheader", name="ras", exact=True)
    head.get_by_role("button").click()
    place = head.evaluate("th => th.cellIndex + 1")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(visit, place) == sorted(column(visit, place), reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(visit, place) == sorted(column(visit, place))
    assert len(set(names(visit))) == 3


def test_sorting_another_column_moves_the_mark(browser: Browser, report: Path) -> None:
    visit = browser.visit(report)
    visit.page.get_by_role("button", name="ras", exact=True).click()
    visit.page.get_by_role("button", name="model", exact=True).click()
    assert visit.page.locator("#headline th[aria-sort]").count() == 1
    assert names(visit) == sorted(names(visit))


def test_the_keyboard_is_enough(browser: Browser, report: Path) -> None:
    visit = browser.visit(report)
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(30):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.closest('th')?.textContent.trim() === 'ras'"):
            break
    visit.page.keyboard.press("Enter")
    assert visit.page.get_by_role("columnheader", name="ras", exact=True).get_attribute("aria-sort") == "descending"
    outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    visit.page.locator(".model > summary").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.locator(".model:not([open]) h3").all_text_contents() == ["lab/steady-7b"]


def test_light_and_dark_follow_the_system_and_the_button(browser: Browser, report: Path) -> None:
    light, dark = (browser.visit(report, color_scheme=scheme) for scheme in ("light", "dark"))
    assert min(light.background()) > 240
    assert max(dark.background()) < 50
    ink = "getComputedStyle(document.querySelector('.drawing text')).fill"
    assert light.page.evaluate(ink) != dark.page.evaluate(ink)
    dark.page.get_by_role("button", name="Change between light and dark").click()
    assert min(dark.background()) > 240
    dark.page.get_by_role("button", name="Change between light and dark").click()
    assert max(dark.background()) < 50


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, report: Path, width: int) -> None:
    visit = browser.visit(report, width=width, height=800)
    for summary in visit.page.locator("summary").all()[:3]:
        summary.click()
    assert visit.overflow <= 0


def test_letters_of_charts_can_be_read_on_a_phone(browser: Browser, report: Path) -> None:
    visit = browser.visit(report, width=390, height=844, device_scale_factor=2, is_mobile=True, has_touch=True)
    heights = visit.page.evaluate(
        "[...document.querySelectorAll('.drawing text')].filter(t => !t.closest('[hidden]'))"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b))"
    )
    assert min(heights) >= 8.5


def test_paper_is_white_shows_every_model_and_leaves_out_controls(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    visit = browser.visit(report, color_scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert min(visit.background()) > 240
    assert visit.page.locator(".model").count() == 3
    assert all(model.is_visible() for model in visit.page.locator(".model .charts").all())
    assert not visit.page.locator("nav").first.is_visible()
    visit.page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_without_scripts_everything_is_shown(browser: Browser, report: Path) -> None:
    visit = browser.visit(report, java_script_enabled=False)
    assert visit.page.locator(".model").count() == 3
    assert all(model.is_visible() for model in visit.page.locator(".model .charts").all())


def test_markup_in_questions_and_options_is_shown_and_not_run(
    browser: Browser, runs: list[Run], tmp_path: Path
) -> None:
    counts = dict(zip(runs[0].sample_ids, runs[0].option_counts.tolist(), strict=True))

    def show(sample: str, condition: Condition) -> ShownSample:
        picture = Image.new("RGB", (40, 30), "teal")
        return ShownSample(f"Question {MARKUP}", [f"Option {MARKUP}"] * counts[sample], picture, picture)

    path = tmp_path / "hostile.html"
    path.write_text(render_report(runs[:1], show, title="As it was"), encoding="utf-8")
    visit = browser.visit(path)
    visit.page.wait_for_timeout(200)
    assert visit.page.title() == "As it was"
    assert visit.complaints == []
    assert visit.page.locator(".question").first.inner_text() == f"Question {MARKUP}"
    assert visit.page.locator(".options .text").first.inner_text().splitlines()[1].startswith(f"Option {MARKUP}")
    assert visit.page.locator(".card b, .card script").count() == 0


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Browser, report: Path, tmp_path: Path) -> None:
    """The second lock: even unescaped markup would not run."""
    page = report.read_text(encoding="utf-8")
    path = tmp_path / "broken.html"
    path.write_text(page.replace("</main>", f"{MARKUP}</main>"), encoding="utf-8")
    visit = browser.visit(path)
    visit.page.wait_for_timeout(200)
    assert visit.page.title() != "run"
    assert any("Content Security Policy" in complaint for complaint in visit.complaints)
    assert not any(complaint.startswith("dialog") for complaint in visit.complaints)
