"""The report as a file: whole, the same each time, and showing other people's text as text."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from planted_runs import ignoring
from run_folders import made_run, with_control, without_distributions

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, Condition
from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.findings.sentences import Finding, Statement
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.pages.palette import DIVERGING_STEPS
from benchc_metrics.report.charts import (
    PATTERNS,
    charts_of_all,
    charts_of_findings,
    charts_of_model,
    curves,
    short_names,
)
from benchc_metrics.report.document import render_report, report_steps
from benchc_metrics.report.gallery import ShownSample, ShowSample
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.wording import MISSING, number, with_interval

HOSTILE = "</script><script>alert('run')</script><img src=x onerror=alert(1)> & \"quoted\" <b>bold</b>"


class Outline(HTMLParser):
    """Elements, ids, references and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.elements if attribute in attributes]


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_the_ranks_under_each_reading_are_a_table(page: str) -> None:
    table = page[page.index('id="rankings"') :].partition("</table>")[0]
    heads = [f">{metric} {reading}<" for metric in ("ras_tempered", "ras") for reading in READINGS]
    table = table.replace("<wbr>", "")
    places = [table.index(head) for head in heads]
    assert places == sorted(places)
    own, *_ = re.findall(r"Kendall.s τ</th><td>(.*?)</td>", table)
    assert own == "1.00"
    assert "This is version 2." in page


def test_every_section_is_there(outline: Outline) -> None:
    ids = outline.of("id")
    for section in ("headline", "findings", "models-together", "model-by-model", "gallery", "method"):
        assert section in ids
    assert {target[1:] for target in outline.of("href") if target.startswith("#")} - {"main"} <= set(ids)


def test_every_chart_is_there_once_a_model(page: str) -> None:
    for title in (
        "RAS",
        "Accuracy",
        "Destructive and corrective part",
        "Pattern rates",
        "Reliability, clean",
        "Reliability, corrupted",
    ):
        assert page.count(f"<h4>{title}</h4>") == 3, title
    for title in (
        "RAS against clean accuracy",
        "RAS over severity",
        "Accuracy over severity",
        "RAS by corruption and model",
    ):
        assert page.count(f"<h4>{title}</h4>") == 1, title


def test_ids_are_unique(outline: Outline) -> None:
    ids = outline.of("id")
    assert len(ids) == len(set(ids))


def test_every_drawing_has_words_and_a_table(outline: Outline) -> None:
    drawings = [attributes for _, attributes in outline.elements if attributes.get("role") == "img"]
    assert len(drawings) == sum(tag == "svg" for tag, _ in outline.elements) - 1  # the button's is hidden from readers
    for attributes in drawings:
        assert len(attributes["aria-label"] or "") > 40
    assert sum(tag == "summary" for tag, _ in outline.elements) >= len(drawings)


def test_every_picture_has_words(outline: Outline) -> None:
    pictures = [attributes for tag, attributes in outline.elements if tag == "img"]
    assert len(pictures) == 2 * 12
    assert all(attributes["alt"] for attributes in pictures)


def test_nothing_is_fetched(page: str, outline: Outline) -> None:
    assert all(source.startswith("data:") for source in outline.of("src"))
    assert all(target.startswith(("#", "data:")) for target in outline.of("href"))
    assert not re.search(r"url\((?!#)|@import|https?://", page)


def test_the_policy_allows_this_script_and_no_other(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#39;", "'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_headline_figures_are_in_the_table(analyses: list[RunAnalysis], page: str) -> None:
    for analysis in analyses:
        for figure in headline_metrics():
            estimate = analysis.headline(figure)
            shown = (
                f'<span class="value">{number(estimate.value)}</span>'
                f'<span class="interval">{number(estimate.low)} to {number(estimate.high)}</span>'
            )
            assert shown in page, (analysis.name, figure)


def test_only_a_significant_best_is_marked(page: str) -> None:
    rows = re.findall(r'<tr><th scope="row" class="name">.*?</tr>', page, re.DOTALL)[:3]
    marked = [
        [bool(re.search("best", cell)) for cell in re.findall(r"<td data.*?</td>", row, re.DOTALL)] for row in rows
    ]
    # The runs share their clean answers; the first is steadier in all else but the corrective part.
    assert [row[headline_metrics().index("acc_clean")] for row in marked] == [False] * 3
    assert [row[headline_metrics().index("ras")] for row in marked] == [True, False, False]


def test_the_same_runs_give_the_same_file(show: ShowSample) -> None:
    runs = [made_run(60, seed=5, noise=noise, corruptions=("fog",), model=f"lab/{noise}") for noise in (0.2, 0.4)]
    assert render_report(runs, show) == render_report(runs, show)


def test_steps_are_told_as_they_are_done(runs: list[Run]) -> None:
    steps: list[str] = []
    render_report(runs[:1], advance=steps.append)
    assert len(steps) == report_steps(runs[:1])
    assert steps[:2] == ["metrics of lab/steady-7b", "charts of lab/steady-7b"]


def test_other_peoples_text_is_shown_and_not_markup(runs: list[Run]) -> None:
    def show(sample: str, condition: Condition) -> ShownSample:
        counts = dict(zip(runs[0].sample_ids, runs[0].option_counts.tolist(), strict=True))
        picture = Image.new("RGB", (8, 8))
        return ShownSample(f"{HOSTILE} {sample}", [HOSTILE] * counts[sample], picture, picture)

    hostile = replace(
        runs[0],
        name=HOSTILE,
        notes=(HOSTILE,),
        metadata=replace(runs[0].metadata, backend=HOSTILE, model_args=HOSTILE, prompt=HOSTILE, benchc=HOSTILE),
    )
    outline = Outline(render_report([hostile], show, title=HOSTILE, about=HOSTILE))
    assert sum(tag == "script" for tag, _ in outline.elements) == 1
    assert not any(tag in ("b", "iframe") for tag, _ in outline.elements)
    assert not outline.of("onerror")
    assert all(source.startswith("data:image/webp") for source in outline.of("src"))
    text = " ".join("".join(outline.text).split())
    assert text.count(HOSTILE) > 20


class TestOneModel:
    def test_nothing_is_compared(self, runs: list[Run], show: ShowSample) -> None:
        page = render_report(runs[:1], show)
        assert 'class="best"' not in page
        assert 'id="model-choice"' not in page
        assert "RAS by corruption and model" not in page

    def test_there_is_no_scatter_of_one_point(self, runs: list[Run]) -> None:
        page = render_report(runs[:1])
        assert "RAS against clean accuracy" not in page
        assert "How robust is it?" in page

    def test_why_there_is_no_gallery(self, runs: list[Run]) -> None:
        page = render_report(runs[:1], without_gallery="Name it with --dataset.")
        assert "Name it with --dataset." in page
        assert "data:image/webp" not in page


def test_models_stand_from_the_most_robust_to_the_least_with_their_groups(runs: list[Run]) -> None:
    page = render_report(runs[::-1])
    headline = page[page.index('id="headline"') : page.index('id="findings"')]
    rows = re.findall(r'<tr><th scope="row" class="name">(.*?)</th><td class="group">(.*?)</td>', headline)
    assert [name.replace("<wbr>", "") for name, _ in rows] == [run.name for run in runs]
    # Each is steadier than the next by far.
    assert [letters for _, letters in rows] == ["a", "b", "c"]
    assert "By ras_tempered, 3 of the 3 pairs of models can be told apart" in page


def test_a_model_that_ignores_the_picture_comes_last_and_has_no_group(runs: list[Run]) -> None:
    blind = ignoring(replace(runs[0], name="lab/blind", metadata=replace(runs[0].metadata, model="lab/blind")))
    page = render_report([blind, *runs[:2]])
    headline = page[page.index('id="headline"') : page.index('id="findings"')]
    letters = re.findall(r'<td class="group">(.*?)</td>', headline)
    assert letters == ["a", "b", MISSING]
    assert headline.index("blind") > headline.index("middling")


def test_a_caution_about_several_models_stands_once_and_names_them(runs: list[Run]) -> None:
    assert all(run.cautions for run in runs)
    page = render_report(runs[:2])
    sentence = runs[0].cautions[0].sentence
    assert runs[1].cautions[0].sentence == sentence
    assert page.count(sentence) == 1
    assert f"{runs[0].name} and {runs[1].name}: {sentence}" in page


def test_two_models_that_cannot_be_told_apart_share_a_letter(runs: list[Run]) -> None:
    twin = replace(runs[0], name="lab/twin", metadata=replace(runs[0].metadata, model="lab/twin"))
    page = render_report([runs[0], twin])
    assert "By ras_tempered, the two models cannot be told apart" in page
    assert page.count('<td class="group">a</td>') == 2


def test_ras_has_one_scale_of_colours_over_all_models(runs: list[Run], analyses: list[RunAnalysis]) -> None:
    page = render_report(runs)
    figures = [each for each in page.split("<figure")[1:] if "<h4>RAS</h4>" in each or "RAS by corruption" in each]
    assert len(figures) == 1 + len(runs)
    reach = max(float(np.abs(each.cells["ras"].estimate).max()) for each in analyses)
    colours: dict[str, set[str]] = {}
    for figure in figures:
        assert f">{number(-reach, 2)}</text>" in figure
        drawing = figure[figure.index("<svg") : figure.index("</svg>") + 6]
        cells = re.findall(r"fill: var\(--(diverging-\d+)-text\)[^>]*>([^<]+)</text>", drawing)
        assert len(cells) >= 19 * len(runs)
        for colour, written in cells:
            colours.setdefault(written, set()).add(colour)
    # Two numbers that are written alike can lie on both sides of a step, and never further.
    for of_number in colours.values():
        steps = [int(colour.rpartition("-")[2]) for colour in of_number]
        assert max(steps) - min(steps) <= 1


def test_good_and_bad_patterns_have_different_colours(analyses: list[RunAnalysis]) -> None:
    (chart,) = [each for each in charts_of_model(analyses[2], "m").parts if each.title == "Pattern rates"]
    texts = re.findall(r"fill: var\(--diverging-(\d+)-text\)[^>]*>([^<]+)</text>", chart.drawing)
    middle = DIVERGING_STEPS // 2
    for place, (step, _) in enumerate(texts):
        is_good = list(PATTERNS)[place % len(PATTERNS)] == "corrected"
        assert int(step) >= middle if is_good else int(step) <= middle


class TestManyModels:
    def test_what_is_said_of_each_model_is_drawn_and_the_sentences_are_folded(self) -> None:
        effects = [Estimate(0.1 * place, 0.1 * place - 0.05, 0.1 * place + 0.05) for place in range(1, 6)]
        said = tuple(Statement(f"lab/{place} fails.", (each,), f"lab/{place}") for place, each in enumerate(effects))
        many, few = Finding("Fails", "worse", said), Finding("Gains", "better", said[:3])
        of_nobody = Finding("Hard", "worse", tuple(replace(each, about="") for each in said))
        charts = charts_of_findings([many, few, of_nobody])
        assert list(charts) == ["Fails"]
        assert [list(row) for row in charts["Fails"].rows] == [
            [str(place), with_interval(each)] for place, each in enumerate(effects)
        ]

    def test_sentences_of_one_model_each_name_it(self) -> None:
        runs = [made_run(200, seed=5, noise=0.9 + 0.1 * place, model=f"lab/{place}") for place in range(4)]
        page = render_report(runs)
        assert re.search(r"<h4>[^<]+: models</h4>", page)
        assert "<summary>4 sentences</summary>" in page

    def test_they_are_rows_of_dots_and_not_paragraphs(self, runs: list[Run]) -> None:
        many = [
            replace(run, name=f"{run.name}-{copy}", metadata=replace(run.metadata, model=f"{run.name}-{copy}"))
            for copy in range(2)
            for run in runs[:2]
        ]
        page = render_report(many)
        assert "How robust is it?" not in page
        for title in ("Accuracy of the models", "RAS of the models", "Answers that change", "Confidence that misleads"):
            assert page.count(f"<h4>{title}</h4>") == 1
        assert '<details class="model" open>' not in page
        assert page.count('<details class="model">') == 4

    def test_curves_begin_with_clean_pictures(self, analyses: list[RunAnalysis]) -> None:
        ras, accuracy = curves(analyses, "m")
        assert ras.columns[:3] == accuracy.columns[:3] == ("model", "clean", "severity 1")
        for analysis, row, of_ras in zip(analyses, accuracy.rows, ras.rows, strict=True):
            assert row[1] == with_interval(analysis.headline("acc_clean"))
            assert of_ras[1].startswith("0.000")

    def test_corruptions_stand_by_family(self, analyses: list[RunAnalysis]) -> None:
        rows = charts_of_model(analyses[0], "m").heat_maps[0].rows
        families = [CORRUPTION_FAMILIES[row[0].replace(" ", "_")] for row in rows]
        assert [family for family, _ in itertools.groupby(families)] == list(dict.fromkeys(families))

    def test_each_has_curves_of_its_own(self, analyses: list[RunAnalysis]) -> None:
        many = [analyses[place % 3] for place in range(8)]
        assert [chart.title for chart in curves(many, "m", highlighted=3)] == [
            "RAS over severity",
            "Accuracy over severity",
        ]
        assert "RAS over severity" not in [chart.title for chart in charts_of_all(many)]

    def test_a_wide_map_can_be_scrolled_to(self, analyses: list[RunAnalysis]) -> None:
        wide = charts_of_all([analyses[place % 3] for place in range(13)])[-1]
        assert wide.width > 500


class TestIncompleteRuns:
    @pytest.fixture
    def torn(self) -> Run:
        run = made_run(20, seed=4, corruptions=("fog", "snow"), model="lab/torn", dataset_size=849)
        corrupted, clean = run.corrupted.copy(), run.clean.copy()
        corrupted[:, 1] = np.nan
        clean[0] = np.nan
        return replace(
            run,
            clean=clean,
            corrupted=corrupted,
            missing=tuple((sample, f"snow@{severity}") for sample in run.sample_ids for severity in range(1, 6)),
            # Quoted by a caution, so that it must not hold the word that the test looks for.
            invalid={(run.sample_ids[0], "clean"): "the backend returned no text"},
        )

    def test_what_is_missing_is_told_and_left_empty(self, torn: Run) -> None:
        page = render_report([torn])
        assert "lab/torn: 100 pairs or clean answers were not run and are left out." in page
        assert "lab/torn: 1 answers could not be used and are left out." in page
        assert "lab/torn: 20 of the dataset&#39;s 849 samples were run." in page
        text = " ".join(Outline(re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)).text)
        assert not re.search(r"\bnan\b", text)

    def test_what_is_true_of_all_is_told_once(self, torn: Run) -> None:
        page = render_report([torn, replace(torn, name="lab/twin")])
        assert page.count("20 of the dataset&#39;s 849 samples were run.") == 1
        assert "All models: 20 of the dataset" in page

    def test_demonstration_data_are_called_so(self, torn: Run) -> None:
        page = render_report([replace(torn, metadata=replace(torn.metadata, demonstration=True))])
        assert "no Bench-C result" in page
        assert "no Bench-C result" not in render_report([torn])


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["org/model-7b", "org/model-13b"], ["model-7b", "model-13b"]),
        (["one/model", "two/model"], ["one/model", "two/model"]),
        (["plain"], ["plain"]),
        (["./folder/"], ["folder"]),
        (["/"], ["/"]),
    ],
)
def test_short_names(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


def test_a_report_on_generated_letters_shows_what_predictions_define() -> None:
    runs = [
        without_distributions(made_run(30, seed=4, corruptions=("fog", "snow"), noise=noise, model=f"lab/{noise}"))
        for noise in (0.2, 0.7)
    ]
    options = {place: f"option {place}" for place in range(5)}
    count = dict(zip(runs[0].sample_ids, runs[0].option_counts.tolist(), strict=True))
    picture = Image.new("RGB", (8, 8))
    page = render_report(
        runs, lambda sample, _: ShownSample("Which?", [options[n] for n in range(count[sample])], picture, picture)
    )
    headline = page[page.index('id="headline"') :]
    row = headline[headline.index("<tbody>") : headline.index("</tbody>")]
    # RAS, its parts, its tempered form with the temperature, and both calibration errors.
    assert row.count("not defined") == 2 * 7
    assert row.count('class="value"') == 2 * 3
    assert "Accuracy over severity" in page
    assert "Accuracy by corruption and model" in page
    for absent in ("RAS over severity", "RAS by corruption", "Reliability", "nan"):
        assert absent not in page.replace("Dominant", "")
    assert "RAS, calibration and everything else that needs probabilities" in page
    assert "predictions from</dt><dd>generated letters" in page
    assert "chosen clean" in page
    assert 'class="probability' not in page


def test_the_two_kinds_do_not_stand_on_one_page() -> None:
    run = made_run(10, corruptions=("fog",))
    with pytest.raises(ValueError, match="cannot be compared: the predictions of one come from log-likelihoods and"):
        render_report([run, without_distributions(run)])


def test_cautions_stand_at_the_top_of_the_page() -> None:
    run = made_run(40, corruptions=("fog", "snow"))
    blind = replace(run, corrupted=np.broadcast_to(run.clean[:, None, None], run.corrupted.shape).copy())
    page = render_report([blind])
    (caution, *_) = blind.cautions
    shown = page.index(f"<strong>Caution: {caution.name}.</strong>")
    assert shown < page.index('id="headline"')


@pytest.fixture(scope="module")
def controlled() -> list[Run]:
    """A run with the control, under whose mildest corruption nothing happens but what happens under the control."""
    run = with_control(made_run(30, seed=3, corruptions=("fog", "snow"), model="lab/with"))
    corrupted = run.corrupted.copy()
    corrupted[:, 1, 0] = run.control.corrupted[:, 0, 2]
    without = made_run(30, seed=3, noise=0.6, corruptions=("fog", "snow"), model="lab/without")
    return [replace(run, corrupted=corrupted), without]


def test_where_a_run_has_the_control_its_floor_and_the_distances_from_it_are_shown(controlled: list[Run]) -> None:
    page = render_report(controlled)
    analysis = analyse(controlled[0])
    assert analysis.floor is not None
    table = page[page.index('id="floor"') : page.index("Change by change")]
    for metric, digits in (("ras", 4), ("acc_corrupted", 3)):
        assert number(analysis.floor.whole.of(metric).value, digits) in table
        assert number(analysis.floor.whole.distance(metric).value) in table
        assert f"<td>{int(analysis.floor.cells.is_told(metric).sum())} of 10</td>" in table
    assert table.count(">not run under the control<") == 1
    changes = page[page.index("Change by change") :]
    assert number(analysis.floor.whole.of_change("ras", 5).value, 4) in changes
    chart = charts_of_model(analysis, "m").parts[0]
    assert chart.title == "Distance from the floor"
    assert list(chart.rows[0])[:2] == ["fog", with_interval(analysis.floor.corruptions.distance("ras", "fog"))]
    assert page.count("<h4>Distance from the floor</h4>") == 1


def test_the_heat_map_marks_what_cannot_be_told_from_the_floor(controlled: list[Run]) -> None:
    analysis = analyse(controlled[0])
    assert analysis.floor is not None
    at_floor = analysis.floor.cells_at_floor("ras")
    assert at_floor[1, 0]
    assert not at_floor[:, 2:].any()
    heat_map = charts_of_model(analysis, "m").heat_maps[0]
    cells = [[", at the floor" in cell for cell in row[1:]] for row in heat_map.rows]
    np.testing.assert_array_equal(cells, at_floor)
    assert "cannot be told from the floor" in heat_map.drawing
    assert f"A ring marks the {at_floor.sum()} of 10 cells that cannot be told from" in heat_map.description


def test_without_the_control_the_page_says_that_the_floor_is_not_known(controlled: list[Run]) -> None:
    page = render_report(controlled[1:])
    assert "their floor is not known" in page
    for absent in ('id="floor"', "Distance from the floor", "cannot be told from the floor"):
        assert absent not in page


def test_letters_have_a_floor_of_accuracy(controlled: list[Run]) -> None:
    page = render_report([without_distributions(controlled[0])])
    table = page[page.index('id="floor"') : page.index("Change by change")]
    assert "acc_<wbr>corrupted<wbr>: floor" in table
    assert "RAS" not in table
    assert "Distance from the floor" in page
