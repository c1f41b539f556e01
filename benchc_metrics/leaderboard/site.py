"""The leaderboard as a static site: a pure function of verified submissions.

The same submissions, in any order, give the same files.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchc_metrics.benchmark import CONTROL_CHANGES, CORRUPTION_FAMILIES, DEMONSTRATION_FINGERPRINT, SEVERITIES
from benchc_metrics.designs import FULL, MOST_CONDITIONS, conditions_per_sample, describe_design
from benchc_metrics.findings.analysis import Contest, RunAnalysis, analyse, check_all_comparable
from benchc_metrics.findings.designs import note_on_run
from benchc_metrics.findings.groups import undistinguished_groups
from benchc_metrics.findings.sentences import MILD, find_all
from benchc_metrics.leaderboard.downloads import (
    LEADERBOARD_SCHEMA,
    LeaderboardData,
    ModelData,
    ViewData,
    to_csv,
    to_json,
)
from benchc_metrics.leaderboard.schema import (
    STANDARD_RAS,
    EstimateRecord,
    RasFacts,
    SubmissionRecord,
    metrics_of_record,
    parse_size,
)
from benchc_metrics.messages import quoted
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_metrics.metrics.registry import EVERY_METRIC, METRICS, NOT_DEFINED, Metric, headline_metrics
from benchc_metrics.metrics.views import View, whole_run
from benchc_metrics.pages.page import render_page
from benchc_metrics.report.charts import charts_of_all, charts_of_model, curves, ras_scale, standings
from benchc_metrics.report.tables import floor_metrics, floor_rows
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import EstimatedRun, estimate, kind_of_predictions
from benchc_metrics.statistics.resampling import RESAMPLES
from benchc_metrics.wording import joined

__all__ = ["SiteFacts", "Submission", "build_site", "filter_views", "site_steps"]

ALL = "all"
SIZES = {text: parse_size(text) for text in ("1B", "4B", "10B", "40B", "100B")}
"""Numbers of parameters up to which a table can be filtered."""
_HUB_ADDRESS = re.compile(r"https://huggingface\.co/datasets/([\w.-]+/[\w.-]+?)/?", re.ASCII)


@dataclass(frozen=True, eq=False)
class Submission:
    """A submission that was verified.

    Attributes
    ----------
    record : SubmissionRecord
    run : Run
        Made from its answers.
    place : str
        Of its folder among the submissions. Which of two submissions of a model comes first is for the maintainers to
        say, who name the folders, and not for the files in them.
    """

    record: SubmissionRecord
    run: Run
    place: str = ""


@dataclass(frozen=True)
class SiteFacts:
    """The dataset, engine and prompt of a site, as its maintainers decide.

    Attributes
    ----------
    fingerprint, engine, prompt : str
        What all its submissions were evaluated with.
    samples : int
    dataset : str or None
        The dataset's id on the hub, where known.
    revision : str or None
        Its git revision there.
    address : str or None
        Where submissions are handed in.
    ras : RasFacts
        How RAS is defined in all its submissions that have it.
    install : str
        What `pip install` is given by those who submit.
    """

    fingerprint: str
    engine: str
    prompt: str
    samples: int
    dataset: str | None = None
    revision: str | None = None
    address: str | None = None
    ras: RasFacts = STANDARD_RAS
    install: str = "benchc"

    @property
    def submit_options(self) -> str:
        """The options of `benchc submit` that all submissions of the site need."""
        revision = f" --dataset-revision {self.revision}" if self.revision else ""
        reading = "" if self.ras.reading == DEFAULT_READING else f" --ras-reading {self.ras.reading}"
        return f"--dataset-id {self.dataset or 'ORG/DATASET'}{revision}{reading}"

    @property
    def install_argument(self) -> str:
        """`install` as a shell takes it."""
        return shlex.quote(self.install)

    @property
    def demonstration(self) -> bool:
        """Whether the dataset is the bundled demonstration set."""
        return self.fingerprint == DEMONSTRATION_FINGERPRINT

    @property
    def source(self) -> str:
        """The dataset as commands take it."""
        name = self.dataset or "ORG/DATASET"
        return f"{name}@{self.revision}" if self.revision else name

    @property
    def repository(self) -> str | None:
        """The hub's dataset repository for `benchc submit --push`, where submissions are handed in there."""
        found = _HUB_ADDRESS.fullmatch(self.address or "")
        return found[1] if found else None

    @classmethod
    def shared_by(cls, submissions: Sequence[Submission]) -> SiteFacts:
        """Take what all submissions agree on.

        Raises
        ------
        ValueError
            If there is no submission, or they were evaluated with different datasets, engines or prompts.
        """
        if not submissions:
            raise ValueError("there is no submission to show: `benchc submit` writes one from a run")
        for kind in KINDS:
            runs = [one.run for one in submissions if kind_of_predictions(one.run) == kind.predictions]
            if runs:
                check_all_comparable(runs)
        records = [submission.record for submission in submissions]
        if len({(record.dataset.fingerprint, record.engine, record.prompt) for record in records}) > 1:
            raise ValueError(
                "the submissions with option log-likelihoods and those with written answers have different datasets, "
                "engines or prompts: say with --config which of them the site is over"
            )
        of_ras = {record.ras for record in records if record.ras is not None}
        if len(of_ras) > 1:
            raise ValueError(
                f"the submissions have RAS {' and '.join(sorted(map(str, of_ras)))}, which are not compared: say with "
                "--config which of them the site is over"
            )
        ids = {(record.dataset.id, record.dataset.revision) for record in records}
        dataset, revision = ids.pop() if len(ids) == 1 else (None, None)
        first = records[0]
        return cls(
            first.dataset.fingerprint,
            first.engine,
            first.prompt,
            first.dataset.samples,
            dataset,
            revision,
            ras=next(iter(of_ras), STANDARD_RAS),
        )

    def differences_of(self, record: SubmissionRecord) -> Iterator[str]:
        """Say what of a submission is not the site's, a clause each."""
        for what, said, wanted in (
            ("dataset", record.dataset.fingerprint, self.fingerprint),
            ("corruption engine", record.engine, self.engine),
            ("prompt", record.prompt, self.prompt),
        ):
            if said != wanted:
                yield f"its {what} {quoted(said)} is not the site's, {quoted(wanted)}"
        if record.ras not in (None, self.ras):
            yield f"its RAS is {record.ras} and the site's is {self.ras}, which are not compared"
        if self.dataset is not None and record.dataset.id != self.dataset:
            yield f"its dataset's id {quoted(record.dataset.id)} is not the site's, {quoted(self.dataset)}"
        if None not in (self.revision, record.dataset.revision) and record.dataset.revision != self.revision:
            yield f"its dataset's revision {record.dataset.revision} is not the site's, {self.revision}"


@dataclass(frozen=True)
class Kind:
    """A kind of runs, which are not ranked together with another kind.

    Attributes
    ----------
    name : str
        For identifiers in pages.
    title, about : str
        For people.
    predictions : str
        As `kind_of_predictions` says.
    ranked_by : str
        The metric that ranks them.
    metrics : callable
        Lists the metrics of the table, given one of its runs.
    design : str
        Which conditions their samples were asked.
    """

    name: str
    title: str
    about: str
    predictions: str
    ranked_by: str
    metrics: Callable[[Run], tuple[str, ...]]
    design: str = FULL

    def of_design(self, design: str) -> Kind:
        """Return this kind for runs of few conditions, which have a table of their own."""
        return replace(
            self,
            name=f"{self.name}-{design}",
            design=design,
            title=f"{self.title}: design {describe_design(design)}",
            about=f"{self.about} Each sample was asked under {conditions_per_sample(design)} of {MOST_CONDITIONS} "
            "corrupted conditions, so that these models are not ranked with those of all conditions.",
        )


KINDS = (
    Kind(
        "probabilities",
        "Models with option probabilities",
        "Predictions are the options of the largest log-likelihood. Ranked by ras_tempered.",
        "probabilities",
        "ras_tempered",
        headline_metrics,
    ),
    Kind(
        "votes",
        "Models that voted",
        "A prediction is the option that most of several sampled answers name. votes is their number a condition, and "
        "unparsed_votes the share that names no option. Ranked by ras_votes, which is not comparable with RAS from "
        "log-likelihoods.",
        "votes",
        "ras_votes",
        headline_metrics,
    ),
    Kind(
        "letters",
        "Models that only write an answer",
        "Predictions are the letters that a model wrote. RAS and calibration need probabilities and are not defined. "
        "Ranked by acc_corrupted.",
        "generated letters",
        "acc_corrupted",
        lambda run: tuple(name for name in METRICS if name != "invalid_pairs"),
    ),
)


@dataclass(frozen=True, eq=False)
class Board:
    """The table of one kind of runs.

    Attributes
    ----------
    kind : Kind
    entries : sequence of Entry
        From best to worst.
    metrics : sequence of Metric
        One column each.
    groups : mapping of str to list of str
        The letters of the entries in each view.
    ranks : mapping of str to list of int
        The ranks of the entries in each view: 1 for the best, None where the metric that ranks is not defined.
    data : dict
        What the table can be filtered to.
    """

    kind: Kind
    entries: Sequence[Entry]
    metrics: Sequence[Metric]
    groups: Mapping[str, list[str]]
    ranks: Mapping[str, list[int | None]]
    data: Mapping[str, Any]

    @property
    def has_cautions(self) -> bool:
        """Whether a reader must be cautioned about a run."""
        return any(entry.submission.run.cautions for entry in self.entries)

    def has(self, fact: str) -> bool:
        """Whether some model's facts say its `parameters`, `licence` or `link`."""
        return any(getattr(entry.submission.record.model, fact) is not None for entry in self.entries)

    @property
    def unranked(self) -> list[str]:
        """Why models are not ranked, a sentence each."""
        return [entry.analysis.doubt for entry in self.entries if entry.analysis.doubt]


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of the leaderboard.

    Attributes
    ----------
    name : str
        The model's id, a design of few conditions, and which submission of it where there are several.
    slug : str
        Name of its page.
    submission : Submission
    analysis : RunAnalysis
    views : EstimatedRun
        Its metrics in every view that the table can be filtered to.
    """

    name: str
    slug: str
    submission: Submission
    analysis: RunAnalysis
    views: EstimatedRun


def site_steps(submissions: Sequence[Submission]) -> int:
    """Count the steps of `build_site`, for a progress bar."""
    return 2 * len(submissions) + 3


def build_site(
    submissions: Iterable[Submission],
    facts: SiteFacts | None = None,
    *,
    title: str = "Bench-C leaderboard",
    advance: Callable[[str], None] = lambda step: None,
) -> dict[str, str]:
    """Make all pages of the site.

    Parameters
    ----------
    submissions : iterable of Submission
        Verified, over the same samples, images and prompt.
    facts : SiteFacts, optional
        What the site is over; by default what all submissions agree on.
    title : str
        Heading of the first page.
    advance : callable
        Called before each of `site_steps` steps with a few words on it.

    Returns
    -------
    dict of str to str
        From the path of a page to its HTML, and of `leaderboard.csv` and `leaderboard.json` to their text.

    Raises
    ------
    ValueError
        If there is no submission, or submissions cannot be compared.
    """
    named = _named(submissions)
    about = facts or SiteFacts.shared_by([submission for _, _, submission in named])
    notes: list[str] = []
    boards = []
    for kind, of_kind in _kinds_of(named):
        notes += check_all_comparable([submission.run for _, _, submission in of_kind])
        entries = []
        for name, slug, submission in of_kind:
            advance(f"intervals of {name}")
            entries.append(_entry(name, slug, submission))
        boards.append(_board(kind, entries))
    advance("which models can be told apart")
    shown = [entry for board in boards for entry in board.entries]
    shown.sort(key=lambda entry: [name for name, _, _ in named].index(entry.name))
    scored = [entry for entry in shown if entry.submission.run.has_distributions]
    shared = {
        "site_title": title,
        "notes": notes,
        "many": len(named) > 1,
        "about": about,
        "has_charts": bool(scored),
    }
    data = _download(boards, about, title)
    pages = {
        "index.html": _index_page(boards, shared),
        "leaderboard.csv": to_csv(data.models),
        "leaderboard.json": to_json(data),
        "submit.html": render_page("submit.html.jinja", **shared),
    }
    advance("charts of all models")
    if scored:
        pages["charts.html"] = _charts_page(scored, shared)
    for board in boards:
        for entry in board.entries:
            advance(f"page of {entry.name}")
            pages[f"models/{entry.slug}.html"] = _model_page(entry, _alike(entry, shown), shared)
    advance("done")
    return pages


def _kinds_of(
    named: Sequence[tuple[str, str, Submission]],
) -> Iterator[tuple[Kind, list[tuple[str, str, Submission]]]]:
    """Yield the submissions of each kind and design, which are ranked by themselves; all conditions come first."""
    designs = {submission.record.design for _, _, submission in named}
    for design in sorted(designs, key=conditions_per_sample, reverse=True):
        for kind in KINDS:
            of_kind = [
                one
                for one in named
                if kind_of_predictions(one[2].run) == kind.predictions and one[2].record.design == design
            ]
            if of_kind:
                yield kind if design == FULL else kind.of_design(design), of_kind


def _entry(name: str, slug: str, submission: Submission) -> Entry:
    run = replace(submission.run, name=name)
    analysis = analyse(run, submission.record.reading)
    return Entry(name, slug, submission, analysis, estimate(analysis.pairs, filter_views(run)))


def _board(kind: Kind, entries: Sequence[Entry]) -> Board:
    """Rank the entries of one kind, with the groups of those that cannot be told apart."""
    run = entries[0].submission.run
    metrics = [EVERY_METRIC[name] for name in kind.metrics(run) if EVERY_METRIC[name].is_defined_for(run)]
    ranked = sorted(
        (entry for entry in entries if not entry.analysis.doubt), key=lambda entry: _rank(entry, kind.ranked_by)
    )
    # What corruption does not reach has the best RAS that there is, and no robustness.
    unranked = sorted((entry for entry in entries if entry.analysis.doubt), key=lambda entry: entry.name)
    ordered, views = [*ranked, *unranked], entries[0].views.views
    letters = (
        undistinguished_groups([entry.analysis.pairs for entry in ranked], views, kind.ranked_by) if ranked else {}
    )
    of_view = {view.name: [*letters.get(view.name, ()), *("" for _ in unranked)] for view in views}
    ranks = {view.name: [*_ranks(ranked, kind.ranked_by, view.name), *(None for _ in unranked)] for view in views}
    return Board(kind, ordered, metrics, of_view, ranks, _filter_data(ordered, of_view, ranks, metrics))


def _ranks(entries: Sequence[Entry], metric: str, view: str) -> list[int | None]:
    """Count for each entry how many are better; equal ones share a rank."""
    values = [entry.views.of(metric, view).value for entry in entries]
    sign = 1 if EVERY_METRIC[metric].higher_is_better else -1
    return [
        None if np.isnan(value) else 1 + sum(sign * other > sign * value for other in values if not np.isnan(other))
        for value in values
    ]


def filter_views(run: Run) -> tuple[View, ...]:
    """List the parts of a run that the table can be filtered to: families of corruptions by severities.

    Parameters
    ----------
    run : Run

    Returns
    -------
    tuple of View
        The whole run first; each is named `FAMILY/SEVERITY`, `all` standing for all.
    """
    families: dict[str, tuple[str, ...]] = {ALL: run.corruptions}
    for corruption in run.corruptions:
        family = CORRUPTION_FAMILIES.get(corruption, "other")
        families[family] = (*families.get(family, ()), corruption)
    severities: dict[str, tuple[int, ...]] = {ALL: run.severities, **{str(one): (one,) for one in run.severities}}
    whole = whole_run(run)
    return tuple(
        View(f"{family}/{severity}", corruptions, chosen)
        if (corruptions, chosen) != (whole.corruptions, whole.severities)
        else replace(whole, name=f"{family}/{severity}")
        for family, corruptions in families.items()
        for severity, chosen in severities.items()
    )


def _named(submissions: Iterable[Submission]) -> list[tuple[str, str, Submission]]:
    """Give each submission a name and a page, in the order of the maintainers' folders."""
    ordered = sorted(
        submissions, key=lambda one: (one.record.model.id.lower(), one.place, one.record.created, one.record.to_json())
    )
    if not ordered:
        raise ValueError("there is no submission to show: `benchc submit` writes one from a run")
    named: list[tuple[str, str, Submission]] = []
    for submission in ordered:
        # Hubs do not tell cases apart either: LAB/Model must not pass for another model than lab/model.
        model = submission.record.model.id.lower()
        design = submission.record.design
        earlier = sum((other.record.model.id.lower(), other.record.design) == (model, design) for _, _, other in named)
        name = submission.record.model.id + (f" ({design})" if design != FULL else "")
        name += f" ({earlier + 1})" if earlier else ""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "--", name).strip("-")
        # Some file systems do not tell cases apart.
        while any(slug.lower() == taken.lower() for _, taken, _ in named):
            slug += "-"
        named.append((name, slug, submission))
    return named


def _index_page(boards: Sequence[Board], shared: Mapping[str, Any]) -> str:
    families = list(dict.fromkeys(view.name.split("/")[0] for view in boards[0].entries[0].views.views))
    records = [entry.submission.record for board in boards for entry in board.entries]
    choices = {
        "method": {record.method for record in records},
        "stack": {record.versions.stack for record in records},
        "licence": {record.model.licence for record in records if record.model.licence},
    }
    metrics = {metric.name: metric for board in boards for metric in board.metrics}
    return render_page(
        "index.html.jinja",
        **shared,
        better={
            higher: [metric.label for metric in metrics.values() if metric.higher_is_better is higher]
            for higher in (True, False)
        },
        boards=boards,
        choices={name: sorted(found) for name, found in choices.items() if len(found) > 1},
        sizes=SIZES if any(record.model.parameters for record in records) else {},
        models=sum(len(board.entries) for board in boards),
        families=families,
        severities=SEVERITIES,
        all_views=ALL,
        resamples=RESAMPLES,
    )


def _rank(entry: Entry, metric: str = "ras_tempered") -> tuple[float, str]:
    """Best first; a run without the metric comes last."""
    value = entry.views.of(metric).value
    return (float("inf") if np.isnan(value) else -value), entry.name


def _filter_data(
    entries: Sequence[Entry],
    groups: Mapping[str, list[str]],
    ranks: Mapping[str, list[int | None]],
    metrics: Sequence[Metric],
) -> dict[str, Any]:
    """Every number that the table can show: for each view and entry the metrics with their intervals."""
    return {
        view.name: {
            "metrics": [
                [[_rounded(number) for number in entry.views.of(metric.name, view.name)] for metric in metrics]
                for entry in entries
            ],
            "groups": groups[view.name],
            "ranks": ranks[view.name],
        }
        for view in entries[0].views.views
    }


def _download(boards: Sequence[Board], about: SiteFacts, title: str) -> LeaderboardData:
    """Gather every metric of every table, with who evaluated and how."""
    return LeaderboardData(
        schema=LEADERBOARD_SCHEMA,
        title=title,
        dataset=about.dataset,
        revision=about.revision,
        fingerprint=about.fingerprint,
        engine=about.engine,
        ras=str(about.ras),
        models=tuple(_model_data(board, place) for board in boards for place in range(len(board.entries))),
    )


def _model_data(board: Board, place: int) -> ModelData:
    entry = board.entries[place]
    record = entry.submission.record
    return ModelData(
        name=entry.name,
        page=f"models/{entry.slug}.html",
        table=board.kind.title,
        ranked_by=board.kind.ranked_by,
        design=record.design,
        method=record.method,
        stack=record.versions.stack,
        stack_version=record.versions.lmms_eval,
        backend=record.model.backend,
        evaluated=record.evaluated,
        organisation=record.source.organisation,
        relationship=record.source.relationship,
        link=record.source.url,
        parameters=record.model.parameters,
        licence=record.model.licence,
        model_link=record.model.link,
        doubt=entry.analysis.doubt,
        cautions=tuple(caution.name for caution in entry.submission.run.cautions),
        views=tuple(_view_data(board, place, view.name) for view in entry.views.views),
    )


def _view_data(board: Board, place: int, view: str) -> ViewData:
    corruptions, severity = view.split("/")
    shown = board.data[view]["metrics"][place]
    return ViewData(
        corruptions=corruptions,
        severity=severity,
        rank=board.ranks[view][place],
        group=board.groups[view][place],
        metrics={
            metric.name: EstimateRecord(value=value, low=low, high=high)
            for metric, (value, low, high) in zip(board.metrics, shown, strict=True)
        },
    )


def _rounded(value: float) -> float | None:
    # An interval of a metric without a limit can have none either, and JSON has no infinity.
    return round(value, 6) if np.isfinite(value) else None


def _alike(entry: Entry, others: Sequence[Entry]) -> list[Entry]:
    """Find the models whose predictions are of the same kind."""
    kind = kind_of_predictions(entry.submission.run)
    return [other for other in others if kind_of_predictions(other.submission.run) == kind]


def _charts_page(entries: Sequence[Entry], shared: Mapping[str, Any]) -> str:
    ranked = sorted(entries, key=lambda entry: (bool(entry.analysis.doubt), *_rank(entry)))
    analyses = [entry.analysis for entry in ranked]
    return render_page(
        "charts.html.jinja",
        **shared,
        findings=find_all(analyses, Contest(analyses)),
        charts=[*(standings(analyses) if len(analyses) > 1 else ()), *charts_of_all(analyses)],
        mild=joined([str(severity) for severity in MILD]),
    )


def _model_page(entry: Entry, alike: Sequence[Entry], shared: Mapping[str, Any]) -> str:
    """Show a model, its curves before those of the models of the same kind."""
    place = [one.slug for one in alike].index(entry.slug)
    analysis = entry.analysis
    return render_page(
        "model.html.jinja",
        **shared,
        entry=entry,
        design=describe_design(entry.submission.record.design),
        note_on_design=note_on_run(entry.submission.run),
        record=entry.submission.record,
        run=entry.submission.run,
        metrics=[
            (metric, analysis.headline(name))
            for name, metric in EVERY_METRIC.items()
            if name != "invalid_pairs" and name in metrics_of_record(entry.submission.record.obtained)
        ],
        not_defined=NOT_DEFINED,
        floors=floor_rows({entry.name: analysis.floor}),
        floor_metrics=floor_metrics([analysis.floor]),
        changes=CONTROL_CHANGES,
        mild=joined([str(severity) for severity in MILD]),
        findings=find_all([analysis], Contest([analysis])),
        charts=charts_of_model(analysis, "model", ras_scale([one.analysis for one in alike])),
        curves=curves([one.analysis for one in alike], "model", highlighted=place),
    )
