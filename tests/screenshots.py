"""Make pictures of every page that benchc makes, for people to look at.

    python tests/screenshots.py FOLDER [PAGE ...]

Each page is drawn 375, 768 and 1440 pixels wide, light and dark, in pieces of the height of some screens, and printed
as PDF on A4. The data are the trial runs that stand beside the tests; the report of 13 models has noisy copies of them.
PAGE chooses: report-1, report-2, report-4, report-13, generation, lite, site. Chromium is needed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trial_site
from browser import FLAGS, find_chromium
from playwright.sync_api import sync_playwright
from run_folders import lite, without_distributions

from benchc_metrics.report.document import render_report
from benchc_metrics.runs import Run, read_run
from benchc_tasks.commands.report import sample_viewer
from benchc_tasks.demonstration import DEMONSTRATION_SET

TRIAL_RUNS = Path(__file__).parent / "fixtures" / "trial_runs"
NAMES = ("plain", "noise-augmented", "plain-half", "noise-augmented-half")
WIDTHS = (375, 768, 1440)
PIECE = 1600
"""Height of a picture in pixels; a browser draws no picture of any height."""

REPORTS = ("report-1", "report-2", "report-4", "report-13", "generation", "lite")
SITE = "site"


def trial_runs(number: int) -> list[Run]:
    """Read trial runs; from the fifth on they are copies with noise on their log-likelihoods."""
    runs = [read_run(TRIAL_RUNS / name) for name in NAMES[:number]]
    return [*runs, *(noisy_copy(runs[place % len(runs)], place) for place in range(len(runs), number))]


def noisy_copy(run: Run, seed: int) -> Run:
    """Copy a run as another model, whose log-likelihoods under corruption have noise of their own."""
    draw = np.random.default_rng(seed)
    noise = draw.normal(scale=0.25 * seed / len(NAMES), size=run.corrupted.shape)
    name = f"{run.name}-with-noise-{seed}"
    metadata = replace(run.metadata, model=name)
    return replace(run, name=name, metadata=metadata, corrupted=np.minimum(run.corrupted + noise, -1e-6), control=None)


def report_of(page: str) -> list[Run]:
    """Make the runs of one report."""
    kind, _, number = page.partition("-")
    if kind == "report":
        return trial_runs(int(number))
    change = {"generation": without_distributions, "lite": lite}[kind]
    return [change(run) for run in trial_runs(2)]


def write_report(page: str, folder: Path) -> Path:
    """Write one report, with the gallery."""
    runs = report_of(page)
    show, without_gallery = sample_viewer(runs[0], DEMONSTRATION_SET)
    path = folder / f"{page}.html"
    path.write_text(render_report(runs, show, without_gallery=without_gallery), encoding="utf-8")
    return path


def write_site(folder: Path) -> list[Path]:
    """Build the site of the trial runs, and name its pages, with those of a ranked model and of one without a rank."""
    site = trial_site.build(folder)
    models = [site / "models" / f"trial--{name}.html" for name in ("plain", "ignores-the-picture")]
    return [*sorted(site.glob("*.html")), *models]


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a running Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield running
        running.close()


def draw(browser: Any, path: Path, folder: Path) -> Iterator[Path]:
    """Draw a page at every width, light and dark, and print it."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for width in WIDTHS:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
            page = context.new_page()
            page.goto(path.resolve().as_uri())
            height = page.evaluate("document.documentElement.scrollHeight")
            for number, top in enumerate(range(0, height, PIECE)):
                clip = {"x": 0, "y": top, "width": width, "height": min(PIECE, height - top)}
                picture = folder / f"{path.stem}-{width}-{scheme}-{number:02}.png"
                page.screenshot(path=picture, full_page=True, clip=clip)
                yield picture
            if (scheme, width) == ("light", WIDTHS[-1]):
                printed = folder / f"{path.stem}.pdf"
                page.pdf(path=printed, format="A4")
                yield printed
            context.close()


def main() -> None:
    """Write the pages and their pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", nargs="*", metavar="PAGE", default=[*REPORTS, SITE])
    chosen = parser.parse_args()
    unknown = set(chosen.pages) - {*REPORTS, SITE}
    if unknown or find_chromium() is None:
        raise SystemExit(f"no page is called {', '.join(sorted(unknown))}" if unknown else "Chromium is not installed")
    with tempfile.TemporaryDirectory() as made, chromium() as browser:
        for name in chosen.pages:
            paths = write_site(Path(made)) if name == SITE else [write_report(name, Path(made))]
            for path in paths:
                pictures = list(draw(browser, path, chosen.folder / name))
                print(f"{name}/{path.name}: {len(pictures)} pictures", file=sys.stderr)


if __name__ == "__main__":
    main()
