"""The site is a function of its submissions, and shows their metrics."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.benchmark import CORRUPTION_FAMILIES
from benchc_metrics.findings.groups import undistinguished_groups
from benchc_metrics.leaderboard import site as site_module
from benchc_metrics.leaderboard.downloads import LeaderboardData
from benchc_metrics.leaderboard.site import Submission, build_site, filter_views, site_steps
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.pages.page import render_page
from benchc_metrics.statistics.estimates import compare, estimate
from benchc_metrics.statistics.resampling import holm
from benchc_metrics.wording import number

MODELS = (("lab/steady-7b", 0.1), ("other/shaky", 0.8), ("lab/middling", 0.35))


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> list[Submission]:
    """Three verified submissions over the same samples."""
    folder = tmp_path_factory.mktemp("submitted")
    submissions = []
    for place, (model, noise) in enumerate(MODELS):
        run = made_run(40, seed=5, noise=noise, model=model, model_args=f"pretrained={model}")
        write_submission(run, folder / str(place), DETAILS, bootstrap=QUICK, created=CREATED)
        verified = verify(folder / str(place), engine=run.metadata.engine, bootstrap=QUICK)
        assert verified.record is not None
        assert verified.run is not None
        submissions.append(Submission(verified.record, verified.run))
    return submissions


@pytest.fixture(scope="module")
def pages(submitted: list[Submission]) -> dict[str, str]:
    return build_site(submitted)


def data_of(page: str) -> dict[str, dict[str, list]]:
    (written,) = re.findall(r'<script type="application/json" id="leaderboard-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(written)


def test_pages(pages: dict[str, str]) -> None:
    assert set(pages) == {
        "index.html",
        "charts.html",
        "submit.html",
        "leaderboard.csv",
        "leaderboard.json",
        "models/lab--steady-7b.html",
        "models/lab--middling.html",
        "models/other--shaky.html",
    }


def test_every_link_between_pages_has_its_target(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        for target in re.findall(r'href="([^"#:]+)"', page):
            resolved = (Path("/") / path).parent.joinpath(target)
            parts: list[str] = []
            for part in resolved.parts[1:]:
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert "/".join(parts) in pages, (path, target)


def test_the_order_of_submissions_does_not_matter(submitted: list[Submission]) -> None:
    assert build_site(submitted[1:]) == build_site(submitted[:0:-1])


def test_models_are_ranked_by_ras(pages: dict[str, str]) -> None:
    names = re.findall(r'href="models/([^"]*).html"', pages["index.html"])
    assert names == ["lab--steady-7b", "lab--middling", "other--shaky"]


def test_the_table_can_be_filtered_to_every_family_and_severity(pages: dict[str, str]) -> None:
    views = data_of(pages["index.html"])
    assert set(views) == {
        f"{family}/{severity}"
        for family in ("all", "noise", "blur", "weather", "digital")
        for severity in ("all", *"12345")
    }


def test_filtered_metrics_are_the_estimates_of_their_part(submitted: list[Submission], pages: dict[str, str]) -> None:
    run = next(one.run for one in submitted if one.record.model.id == "lab/middling")
    views = data_of(pages["index.html"])
    chosen = [view for view in filter_views(run) if view.name in ("all/all", "weather/3", "noise/all")]
    estimated = estimate(run, chosen)
    for view in chosen:
        for place, metric in enumerate(headline_metrics()):
            shown = views[view.name]["metrics"][1][place]
            assert shown == pytest.approx(list(estimated.of(metric, view.name)), abs=1e-6), (view.name, metric)


def test_a_part_holds_the_corruptions_of_its_family() -> None:
    views = {view.name: view for view in filter_views(made_run(2))}
    assert {"snow", "frost", "fog"} <= set(views["weather/2"].corruptions)
    assert {CORRUPTION_FAMILIES[name] for name in views["weather/2"].corruptions} == {"weather"}
    assert sum(len(views[f"{family}/2"].corruptions) for family in set(CORRUPTION_FAMILIES.values())) == 19
    assert views["weather/2"].severities == (2,)
    assert len(views["all/all"].corruptions) == 19


def test_the_first_table_is_there_without_scripts(submitted: list[Submission], pages: dict[str, str]) -> None:
    for submission in submitted:
        estimated = estimate(submission.run)
        for metric in headline_metrics():
            value, low, high = estimated.of(metric)
            interval = f'<span class="interval">{number(low)} to {number(high)}</span>'
            assert f'<span class="value">{number(value)}</span>{interval}' in pages["index.html"]


def test_groups_are_those_of_the_paired_test(submitted: list[Submission]) -> None:
    runs = [one.run for one in submitted]
    pairs = [PairValues.of_run(run) for run in runs]
    views = filter_views(runs[0])[:2]
    groups = undistinguished_groups(pairs, views)
    couples = [(0, 1), (0, 2), (1, 2)]
    for view in views:
        p_values = [compare(pairs[a], pairs[b], [view]).of("ras").p_value for a, b in couples]
        for (a, b), p_value in zip(couples, holm(p_values), strict=True):
            assert bool(set(groups[view.name][a]) & set(groups[view.name][b])) == bool(p_value > 0.05)


def test_ranks_count_who_is_better_and_equal_models_share_one(submitted: list[Submission]) -> None:
    record = submitted[0].record
    model = record.model.model_copy(update={"id": "zoo/copy"})
    copied = replace(submitted[0], record=record.model_copy(update={"model": model}))
    page = build_site([*submitted, copied])["index.html"]
    assert data_of(page)["all/all"]["ranks"] == [1, 1, 3, 4]
    assert re.findall(r'<span class="place">(.*?)</span> <span class="group">(.*?)</span>', page)[:2] == [
        ("1", "a"),
        ("1", "a"),
    ]


def test_the_table_says_how_and_by_whom_each_model_was_evaluated(pages: dict[str, str]) -> None:
    row = re.findall(r"<tr[^>]*><th scope=\"row\".*?</tr>", pages["index.html"], re.DOTALL)[0]
    cells = re.findall(r'<td class="text"[^>]*>(.*?)</td>', row)
    assert cells[-4] == "log-likelihoods"
    assert cells[-3].startswith("lmms-eval ")
    assert f'href="{DETAILS.source_url}"' in cells[-2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", cells[-1])


def test_downloads_hold_every_metric_that_the_table_can_show(pages: dict[str, str]) -> None:
    views = data_of(pages["index.html"])
    data = LeaderboardData.model_validate_json(pages["leaderboard.json"])
    rows = list(csv.DictReader(io.StringIO(pages["leaderboard.csv"])))
    assert [model.name for model in data.models] == ["lab/steady-7b", "lab/middling", "other/shaky"]
    assert len(rows) == len(data.models) * len(views)
    for place, model in enumerate(data.models):
        assert model.page in pages
        for view in model.views:
            shown = views[f"{view.corruptions}/{view.severity}"]
            assert (view.rank, view.group) == (shown["ranks"][place], shown["groups"][place])
            metrics = [[one.value, one.low, one.high] for one in view.metrics.values()]
            assert metrics == shown["metrics"][place]
            row = rows.pop(0)
            assert (row["name"], row["corruptions"], row["severity"]) == (model.name, view.corruptions, view.severity)
            value = view.metrics["ras_tempered"].value
            assert row["ras_tempered"] == ("" if value is None else str(value))


def test_a_name_that_a_spreadsheet_would_compute_is_text(submitted: list[Submission]) -> None:
    record = submitted[0].record
    source = record.source.model_copy(update={"organisation": "=1+1"})
    made = build_site([replace(submitted[0], record=record.model_copy(update={"source": source}))])
    assert next(csv.DictReader(io.StringIO(made["leaderboard.csv"])))["organisation"] == "'=1+1"


def test_pictures_come_before_tables_on_a_models_page(pages: dict[str, str]) -> None:
    page = pages["models/other--shaky.html"]
    assert page.index('id="charts-title"') < page.index('id="findings-title"') < page.index('id="metrics-title"')


def test_equal_models_share_a_group(submitted: list[Submission]) -> None:
    pairs = [PairValues.of_run(submitted[place].run) for place in (0, 0, 1)]
    letters = undistinguished_groups(pairs, filter_views(submitted[0].run)[:1])["all/all"]
    assert letters[0] == letters[1]
    assert not set(letters[0]) & set(letters[2])


def test_one_submission_makes_a_site(submitted: list[Submission]) -> None:
    pages = build_site(submitted[:1])
    assert len(pages) == 6
    assert data_of(pages["index.html"])["all/all"]["groups"] == ["a"]


def test_a_model_submitted_twice_has_two_names_and_pages(submitted: list[Submission]) -> None:
    again = replace(submitted[0], record=submitted[0].record.model_copy(update={"created": "2026-05-01T00:00:00Z"}))
    named = site_module._named([again, submitted[0]])
    assert [(name, slug) for name, slug, _ in named] == [
        ("lab/steady-7b", "lab--steady-7b"),
        ("lab/steady-7b (2)", "lab--steady-7b--2"),
    ]
    assert [submission for _, _, submission in named] == [submitted[0], again]


@pytest.mark.parametrize("other", ["LAB/Steady-7B", "lab/steady-7b"])
def test_pages_of_names_alike_do_not_write_over_each_other(submitted: list[Submission], other: str) -> None:
    record = submitted[0].record
    model = record.model.model_copy(update={"id": other})
    alike = replace(submitted[0], record=record.model_copy(update={"model": model}))
    slugs = [slug.lower() for _, slug, _ in site_module._named([submitted[0], alike])]
    assert len(set(slugs)) == 2


def test_submissions_over_different_datasets_are_refused(submitted: list[Submission]) -> None:
    run = submitted[1].run
    other = Submission(submitted[1].record, replace(run, metadata=replace(run.metadata, dataset="another")))
    with pytest.raises(ValueError, match="different datasets"):
        build_site([submitted[0], other])


def test_no_submission_at_all() -> None:
    with pytest.raises(ValueError, match="no submission"):
        build_site([])


def test_other_peoples_text_is_text(submitted: list[Submission]) -> None:
    hostile = "</script><script>alert(1)</script><b>"
    record = submitted[0].record
    record = record.model_copy(
        update={
            "prompt": hostile,
            "model": record.model.model_copy(update={"arguments": hostile, "backend": hostile}),
            "source": record.source.model_copy(
                update={"name": hostile, "organisation": hostile, "url": 'https://x/"><script>'}
            ),
        }
    )
    made = build_site([Submission(record, submitted[0].run)])
    for row in csv.DictReader(io.StringIO(made.pop("leaderboard.csv"))):
        assert row["organisation"] == row["backend"] == hostile
    data = made.pop("leaderboard.json")
    assert "<" not in data
    assert json.loads(data)["models"][0]["organisation"] == hostile
    for path, page in made.items():
        assert hostile not in page, path
        assert '"><script>' not in page, path
        assert page.count("<script>") == 1, path


def test_every_step_is_told(submitted: list[Submission]) -> None:
    steps: list[str] = []
    build_site(submitted[:1], advance=steps.append)
    assert len(steps) == site_steps(submitted[:1])


def test_every_model_page_has_its_charts_and_facts(pages: dict[str, str]) -> None:
    page = pages["models/other--shaky.html"]
    for title in (
        "RAS",
        "Accuracy",
        "RAS over severity",
        "Destructive and corrective part",
        "Pattern rates",
        "Reliability, clean",
    ):
        assert f"<h4>{title}</h4>" in page
    assert "pretrained=other/shaky" in page
    assert "Lab (other)" in page


def test_the_page_on_submitting_names_dataset_prompt_and_commands(pages: dict[str, str]) -> None:
    page = pages["submit.html"]
    for needed in (
        "benchc submit",
        "benchc verify",
        "lab/bench-c@0123abc",
        "f1" * 32,
        "{question}\nA. {option}",
    ):
        assert needed in page


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        ("https://huggingface.co/datasets/lab/submissions", "lab/submissions"),
        ("https://huggingface.co/datasets/lab/submissions/", "lab/submissions"),
        ("https://hub.example/lab/submissions", None),
        (None, None),
    ],
)
def test_a_hubs_address_gives_the_command_that_hands_in(address: str | None, repository: str | None) -> None:
    facts = site_module.SiteFacts("f1", "1", "{question}", 3, address=address)
    page = render_page("submit.html.jinja", site_title="T", notes=[], many=False, about=facts, has_charts=False)
    assert facts.repository == repository
    assert (f"--push {repository}" in page) == (repository is not None)


def test_nothing_is_fetched(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        assert not re.search(r'(?:src|action)="(?!data:)', page)
        if path.endswith(".html"):
            assert set(re.findall(r"https?://[^\"<\s]*", page)) <= {DETAILS.source_url}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_null_in_every_file(value: float) -> None:
    assert site_module._rounded(value) is None
    assert site_module._rounded(0.12345678) == 0.123457


def test_a_run_without_ras_comes_last(submitted: list[Submission]) -> None:
    run = submitted[0].run
    nothing = replace(run, corrupted=np.full_like(run.corrupted, np.nan))
    entry = site_module.Entry(
        "x",
        "x",
        submitted[0],
        site_module.analyse(nothing),
        estimate(nothing, filter_views(nothing)[:1], resamples=10),
    )
    assert site_module._rank(entry)[0] == float("inf")
