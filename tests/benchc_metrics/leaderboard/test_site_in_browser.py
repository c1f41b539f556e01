"""The site in a real browser: sorted, filtered, followed from page to page, on a phone and in the dark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser, chromium  # noqa: F401 - fixtures
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK
from vote_runs import vote

from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.wording import number

MODELS = (("lab/steady-7b", 0.1), ("other/shaky", 0.8), ("lab/middling", 0.35))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    submissions = []
    for place, (model, noise) in enumerate(MODELS):
        run = made_run(30, seed=5, noise=noise, model=model)
        write_submission(run, folder / "in" / str(place), DETAILS, bootstrap=QUICK, created=CREATED)
        verified = verify(folder / "in" / str(place), engine=run.metadata.engine, bootstrap=QUICK)
        submissions.append(Submission(verified.record, verified.run))
    for path, page in build_site(submissions).items():
        file = folder / "out" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    return folder / "out"


def rows(visit) -> list[str]:
    return visit.page.locator("tbody th").all_inner_texts()


def test_every_page_is_silent_and_fits_a_phone(browser: Browser, site: Path) -> None:  # noqa: F811
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 6
    for path in pages:
        for width in (360, 1280):
            visit = browser.visit(path, width=width, height=800, color_scheme="dark")
            assert visit.complaints == [], path
            assert visit.requests[0] == path.as_uri()
            assert all(url.startswith("data:") for url in visit.requests[1:])
            assert visit.overflow <= 0, path
            assert max(visit.background()) < 50


def test_filters_change_every_metric_and_group(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    views = json.loads(visit.page.locator("#leaderboard-data").text_content())
    names = rows(visit)
    for family, severity in (("weather", "5"), ("noise", "all"), ("all", "1"), ("all", "all")):
        visit.page.get_by_label("Corruptions").select_option(family)
        visit.page.get_by_label("Severity").select_option(severity)
        view = views[f"{family}/{severity}"]
        for row in visit.page.locator("tbody tr").all():
            place = names.index(row.locator("th").inner_text())
            assert row.locator(".group").inner_text() == view["groups"][place]
            shown = row.locator("td[data-metric] .value").all_inner_texts()
            assert shown == [number(value) for value, _, _ in view["metrics"][place]]
            intervals = row.locator("td[data-metric] .interval").all_inner_texts()
            assert intervals == [
                "" if low is None else f"{number(low)} to {number(high)}" for _, low, high in view["metrics"][place]
            ]
    assert visit.complaints == []


def test_a_search_is_kept_in_the_address_with_the_filters(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    visit.page.get_by_label("Search").fill("LAB mid")
    visit.page.get_by_label("Corruptions").select_option("blur")
    assert visit.page.locator("tbody tr:visible th").all_inner_texts() == ["lab/middling"]
    assert visit.page.locator("[data-filter-found]").inner_text() == "1 of 3 models"
    assert visit.page.evaluate("location.hash") == "#corruptions=blur&search=LAB+mid"
    ranks = visit.page.locator("tbody tr:visible .place").all_inner_texts()
    visit.page.reload()
    assert visit.page.get_by_label("Search").input_value() == "LAB mid"
    assert visit.page.get_by_label("Corruptions").input_value() == "blur"
    assert visit.page.locator("tbody tr:visible th").all_inner_texts() == ["lab/middling"]
    assert visit.page.locator("tbody tr:visible .place").all_inner_texts() == ranks == ["2"]
    visit.page.get_by_label("Search").fill("")
    visit.page.get_by_label("Corruptions").select_option("all")
    assert visit.page.evaluate("location.hash") == ""
    assert len(visit.page.locator("tbody tr:visible").all()) == 3
    assert visit.complaints == []


@pytest.mark.parametrize("width", [375, 768, 1440])
def test_controls_and_links_stand_beside_each_other(browser: Browser, site: Path, width: int) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html", width=width)
    boxes = [
        one.bounding_box() for one in visit.page.locator(".picker label, .picker input, .picker select, nav a").all()
    ]
    for place, first in enumerate(boxes):
        assert first["x"] >= 0
        assert first["x"] + first["width"] <= width
        for second in boxes[:place]:
            apart_sideways = first["x"] >= second["x"] + second["width"] or second["x"] >= first["x"] + first["width"]
            apart = first["y"] >= second["y"] + second["height"] or second["y"] >= first["y"] + first["height"]
            assert apart_sideways or apart
    is_wider = visit.page.evaluate("(box => box.scrollWidth > box.clientWidth + 1)(document.querySelector('.scroll'))")
    assert visit.page.locator(".more").first.is_visible() == is_wider
    assert is_wider or width > 375


def test_an_address_that_names_no_choice_shows_everything(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    visit.page.evaluate("location.hash = 'corruptions=<b>&severity=9&other=1'")
    visit.page.wait_for_timeout(50)
    assert visit.page.get_by_label("Severity").input_value() == "all"
    assert len(visit.page.locator("tbody tr:visible").all()) == 3
    assert visit.complaints == []


def test_the_order_follows_the_filter(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    head = visit.page.get_by_role("columnheader", name="ras_tempered", exact=True)
    assert head.get_attribute("aria-sort") == "descending"
    visit.page.get_by_label("Severity").select_option("1")
    place = head.evaluate("th => th.cellIndex + 1")
    values = [
        float(cell.get_attribute("data-value")) for cell in visit.page.locator(f"tbody td:nth-child({place})").all()
    ]
    assert values == sorted(values, reverse=True)


def test_sorting_by_model_and_back(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    visit.page.get_by_role("button", name="model", exact=True).click()
    assert rows(visit) == ["lab/middling", "lab/steady-7b", "other/shaky"]
    visit.page.get_by_role("button", name="ras", exact=True).click()
    assert rows(visit) == ["lab/steady-7b", "lab/middling", "other/shaky"]


def test_links_lead_to_each_page_and_back(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html")
    visit.page.get_by_role("link", name="other/shaky").click()
    assert visit.page.locator("h1").inner_text() == "other/shaky"
    visit.page.get_by_role("link", name="All models").click()
    for name, heading in (
        ("Charts", "Charts and findings"),
        ("Submit", "How to submit"),
        ("Table", "Bench-C leaderboard"),
    ):
        visit.page.get_by_role("link", name=name, exact=True).click()
        assert visit.page.locator("h1").inner_text() == heading
        assert visit.page.locator("nav a[aria-current]").all_inner_texts() == [name]
    assert visit.complaints == []


def test_without_scripts_the_whole_table_is_there_and_no_dead_control(browser: Browser, site: Path) -> None:  # noqa: F811
    visit = browser.visit(site / "index.html", java_script_enabled=False)
    assert len(rows(visit)) == 3
    assert not visit.page.locator("select").first.is_visible()


def test_missing_metrics_are_dashes_in_the_browser_too(browser: Browser, site: Path, tmp_path: Path) -> None:  # noqa: F811
    page = (site / "index.html").read_text(encoding="utf-8")
    head, _, tail = page.partition('id="leaderboard-data">')
    data, end, rest = tail.partition("</script>")
    views = json.loads(data)
    views["blur/2"]["metrics"][0][0] = [None, None, None]
    views["blur/2"]["metrics"][1][0] = [-0.0001, -0.5, 0.25]
    path = tmp_path / "index.html"
    path.write_text(f'{head}id="leaderboard-data">{json.dumps(views)}{end}{rest}', encoding="utf-8")
    visit = browser.visit(path)
    visit.page.get_by_role("button", name="acc_clean", exact=True).click()
    visit.page.get_by_label("Corruptions").select_option("blur")
    visit.page.get_by_label("Severity").select_option("2")
    cells = visit.page.locator("tbody td:nth-child(3)").all_inner_texts()
    # A missing metric comes last however the column is sorted.
    assert cells[-1].strip() == "–"
    assert "0.000−0.500 to 0.250" in [cell.replace("\n", "") for cell in cells]


@pytest.fixture(scope="module")
def site_of_facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models with licences and sizes, a voter, and one that ignores the picture."""
    folder = tmp_path_factory.mktemp("facts")
    large = {"parameters": 7_600_000_000, "licence": "apache-2.0", "link": "https://hub.example/lab/large"}
    blind = made_run(12, model="lab/blind")
    blind = replace(blind, corrupted=np.broadcast_to(blind.clean[:, np.newaxis, np.newaxis], blind.corrupted.shape))
    runs = (
        (made_run(12, noise=0.2, model="lab/large"), large),
        (made_run(12, noise=0.6, model="lab/small"), {"parameters": 500_000_000, "licence": "mit"}),
        (vote(made_run(12, model="lab/voter"), 16), {}),
        (blind, {}),
    )
    submissions = []
    for place, (run, facts) in enumerate(runs):
        details = replace(DETAILS, **facts)
        write_submission(run, folder / "in" / str(place), details, bootstrap=QUICK, created=CREATED)
        verified = verify(folder / "in" / str(place), engine=run.metadata.engine, bootstrap=QUICK)
        submissions.append(Submission(verified.record, verified.run))
    for path, page in build_site(submissions).items():
        file = folder / "out" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    return folder / "out"


@pytest.mark.parametrize(
    ("label", "choice", "address", "shown"),
    [
        ("Licence", "mit", "#licence=mit", ["lab/small"]),
        ("Size", "up to 1B", "#size=1000000000", ["lab/small"]),
        ("Size", "up to 10B", "#size=10000000000", ["lab/large", "lab/small"]),
        ("Method", "votes", "#method=votes", ["lab/voter"]),
    ],
)
def test_facts_filter_the_rows_and_stand_in_the_address(
    browser: Browser,  # noqa: F811
    site_of_facts: Path,
    label: str,
    choice: str,
    address: str,
    shown: list[str],
) -> None:
    visit = browser.visit(site_of_facts / "index.html")
    visit.page.get_by_label(label).select_option(label=choice)
    assert visit.page.locator("tbody tr:visible th").all_inner_texts() == shown
    assert visit.page.evaluate("location.hash") == address
    assert visit.page.locator("[data-filter-found]").inner_text() == f"{len(shown)} of 4 models"
    visit.page.reload()
    assert visit.page.locator("tbody tr:visible th").all_inner_texts() == shown
    visit.page.get_by_label(label).select_option(label="all")
    assert visit.page.evaluate("location.hash") == ""
    assert len(visit.page.locator("tbody tr:visible").all()) == 4
    assert visit.complaints == []


def test_a_model_that_ignores_the_picture_stands_below_in_every_order(
    browser: Browser,  # noqa: F811
    site_of_facts: Path,
) -> None:
    visit = browser.visit(site_of_facts / "index.html")
    table = visit.page.locator("table").first
    for column in ("ras_tempered", "acc_corrupted", "model", "rank", "size"):
        for _ in range(2):
            table.get_by_role("button", name=column, exact=True).click()
            assert table.locator("tbody th").all_inner_texts()[-1] == "lab/blind", column
    visit.page.get_by_label("Severity").select_option("3")
    assert table.locator("tbody th").all_inner_texts()[-1] == "lab/blind"
    assert table.locator("tbody tr").last.locator(".place").inner_text() == "–"
    assert visit.page.get_by_text("lab/blind ignores the picture").is_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("width", [375, 768, 1440, 1920])
def test_a_site_of_facts_fits_every_width(browser: Browser, site_of_facts: Path, width: int) -> None:  # noqa: F811
    for path in sorted(site_of_facts.rglob("*.html")):
        visit = browser.visit(path, width=width)
        assert visit.overflow <= 0, path
        assert visit.complaints == [], path
