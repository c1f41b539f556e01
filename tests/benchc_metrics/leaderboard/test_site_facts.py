"""Facts about models on the site, and models that ignore the picture."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.leaderboard.downloads import LeaderboardData
from benchc_metrics.leaderboard.schema import describe_size, parse_record, parse_size
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.runs import Run

FACTS: dict[str, dict[str, Any]] = {
    "lab/large": {
        "parameters": 7_615_616_512,
        "licence": "apache-2.0",
        "link": "https://huggingface.co/lab/large",
    },
    "lab/small": {"parameters": 500_000_000, "licence": "mit"},
    "lab/silent": {},
}


def submitted(run: Run, folder: Path, **facts: Any) -> Submission:
    write_submission(run, folder, replace(DETAILS, **facts), bootstrap=QUICK, created=CREATED)
    found = verify(folder, engine="1", bootstrap=QUICK)
    assert found.findings == ()
    assert found.record is not None
    assert found.run is not None
    return Submission(found.record, found.run)


def barely_moved(model: str, nats: float, moved: float = 1.0) -> Run:
    """A run in which corruption moves a share of the pairs by so many nats."""
    run = made_run(12, model=model)
    draw = np.random.default_rng(2)
    shape = run.corrupted.shape
    noise = nats * draw.choice([-1.0, 1.0], shape) * (draw.random(shape[:-1]) < moved)[..., np.newaxis]
    return replace(run, corrupted=np.minimum(run.clean[:, np.newaxis, np.newaxis] + noise, -1e-6))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("facts")
    submissions = [
        submitted(made_run(12, noise=0.2 + 0.3 * place, model=model), folder / str(place), **facts)
        for place, (model, facts) in enumerate(FACTS.items())
    ]
    submissions.append(submitted(barely_moved("lab/blind", 1e-3), folder / "blind"))
    submissions.append(submitted(barely_moved("lab/dim", 0.2, moved=0.2), folder / "dim"))
    return build_site(submissions)


def columns_of(page: str) -> list[str]:
    """Heads of the columns of the first table."""
    head = re.findall(r"<thead>.*?</thead>", page, re.DOTALL)[0]
    return [re.sub("<[^>]*>", "", label).strip() for label in re.findall(r"<button[^>]*>.*?</button>", head, re.DOTALL)]


def cells(page: str, row: int) -> list[str]:
    found = re.findall(r"<tr data-method.*?</tr>", page, re.DOTALL)[row]
    return [re.sub("<[^>]*>", " ", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", found, re.DOTALL)]


def test_facts_stand_in_columns_and_on_the_models_page(site: dict[str, str]) -> None:
    index = site["index.html"]
    heads = columns_of(index)
    row = dict(zip(heads, cells(index, 0), strict=True))
    assert [row[name] for name in ("size", "licence", "link", "method")] == [
        "7.62B",
        "apache-2.0",
        "huggingface.co",
        "log-likelihoods",
    ]
    assert row["date"] == "2026-03-01"
    assert row["stack"].startswith("lmms-eval ")
    assert dict(zip(heads, cells(index, 2), strict=True))["size"] == "–"
    assert '<a href="https://huggingface.co/lab/large" rel="noopener noreferrer nofollow">' in index
    page = site["models/lab--large.html"]
    for shown in ("7.62B", "apache-2.0", 'href="https://huggingface.co/lab/large"'):
        assert shown in page


def test_facts_stand_in_the_downloads(site: dict[str, str]) -> None:
    data = {model.name: model for model in LeaderboardData.model_validate_json(site["leaderboard.json"]).models}
    for model, facts in FACTS.items():
        assert data[model].parameters == facts.get("parameters")
        assert data[model].licence == facts.get("licence")
        assert data[model].model_link == facts.get("link")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(site["leaderboard.csv"]))}
    assert rows["lab/large"]["parameters"] == "7615616512"
    assert rows["lab/silent"]["licence"] == ""
    assert rows["lab/blind"]["doubt"].startswith("lab/blind ignores the picture")
    assert rows["lab/large"]["doubt"] == ""


def test_columns_that_no_model_fills_are_left_out(tmp_path: Path) -> None:
    index = build_site([submitted(made_run(12), tmp_path / "one")])["index.html"]
    assert not {"size", "licence", "link"} & set(columns_of(index))
    assert 'data-filter-by="' not in index


def test_a_model_that_ignores_the_picture_is_not_ranked(site: dict[str, str]) -> None:
    index = site["index.html"]
    names = re.findall(r'href="models/([^"]*)\.html"', index)
    assert names == ["lab--large", "lab--small", "lab--silent", "lab--blind", "lab--dim"]
    data = json.loads(re.findall(r'id="leaderboard-data">(.*?)</script>', index, re.DOTALL)[0])
    for view in data.values():
        assert sorted(view["ranks"][:3]) == [1, 2, 3]
        assert view["ranks"][3:] == [None, None]
        assert view["groups"][3:] == ["", ""]
    place = columns_of(index).index("ras_tempered") - 2
    of_all = data["all/all"]["metrics"]
    assert of_all[3][place][0] > of_all[0][place][0], "it would be the first by the metric that ranks"
    assert re.findall(r'<p class="note caution"><strong>Not ranked.</strong> (.*?)</p>', index) == [
        "lab/blind ignores the picture: corruption moves its answers no more than noise.",
        "lab/dim cannot be told from a model that ignores the picture, and is not ranked: corruption moves few of its "
        "log-likelihoods by more than noise.",
    ]
    assert "Caution: nearly blind." in site["models/lab--dim.html"]


def test_a_site_of_blind_models_only(tmp_path: Path) -> None:
    index = build_site([submitted(barely_moved("lab/blind", 1e-3), tmp_path / "one")])["index.html"]
    assert "lab/blind ignores the picture" in index
    assert '<span class="place">–</span>' in index


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("link", "javascript:alert(1)"),
        ("link", "https://hub.example@evil.example/"),
        ("link", "//evil.example"),
        ("link", "ftp://hub.example/"),
        ("licence", "<b>mit</b>"),
        ("licence", ""),
        ("licence", "x" * 61),
        ("parameters", 0),
        ("parameters", 10**16),
    ],
)
def test_facts_that_are_none_are_refused(tmp_path: Path, fact: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{fact} .* is refused: "):
        submitted(made_run(2), tmp_path / "one", **{fact: value})
    write_submission(made_run(2), tmp_path / "two", DETAILS, bootstrap=QUICK, created=CREATED)
    record = json.loads((tmp_path / "two" / "benchc.json").read_text())
    record["model"][fact] = value
    with pytest.raises(ValueError, match=rf"model\.{fact}"):
        parse_record(json.dumps(record))


@pytest.mark.parametrize(
    ("text", "number"),
    [("7B", 7 * 10**9), ("7.6 b", 7_600_000_000), ("500M", 5 * 10**8), ("1.5T", 15 * 10**11), ("1370", 1370)],
)
def test_sizes_are_read(text: str, number: int) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize("text", ["", "B", "0", "0B", "-7B", "7 billion", "7,6B", "1e9", "0.0B", "\u0667B", "7.B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number of parameters: write it as 7\.6B or 500M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1"), (999, "999"), (999_999, "1M"), (7_615_616_512, "7.62B"), (10**15, "1000T"), (5 * 10**8, "500M")],
)
def test_sizes_are_written(number: int, text: str) -> None:
    assert describe_size(number) == text
