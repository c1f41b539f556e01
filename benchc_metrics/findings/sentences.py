"""Write findings in sentences, only those that noise alone would not produce.

A claim of direction about one model rests on an exchange contrast (`benchc_metrics.findings.exchange`), a claim about
several models on a paired difference. All claims of one report share one chance of being false
(`benchc_metrics.findings.budget`), and the 95 % interval of each leaves out "no effect".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.findings.analysis import Contest, RunAnalysis
from benchc_metrics.findings.budget import Kind, holds
from benchc_metrics.findings.doubts import hardly_moves
from benchc_metrics.findings.exchange import corrupted_places
from benchc_metrics.statistics.contrasts import Contrast
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.wording import number, percent, signed

__all__ = ["DOUBTFUL", "IGNORES", "MILD", "Finding", "Statement", "find_all"]

MILD = (1, 2)
"""The severities that are called mild."""

IGNORES = "Ignores the picture"
"""The title of the only sentence about a model whose answers no corruption moves."""

DOUBTFUL = "May not see the picture"
"""The title of the sentence about another model that cannot be told from one that ignores the picture."""

_EXCHANGED = "with clean and corrupted answers exchanged"
_MOST_CORRUPTIONS = 3
_NAMES = {"ras": "RAS", "ras_tempered": "tempered RAS"}

Direction = Literal["better", "worse", "neutral"]


@dataclass(frozen=True)
class Statement:
    """One sentence of a finding.

    Attributes
    ----------
    text : str
        Written out, with its intervals.
    effects : tuple of Estimate
        What the sentence claims to be above or below zero; none of the intervals holds zero. Empty for the sentence
        about a model that may ignore the picture.
    about : str
        The model that the sentence is about, where there is one such sentence a model.
    """

    text: str
    effects: tuple[Estimate, ...]
    about: str = ""


@dataclass(frozen=True)
class Finding:
    """A finding, as one sentence or as one a model.

    Attributes
    ----------
    title : str
        In a few words.
    direction : {"better", "worse", "neutral"}
        Whether it is good or bad news about the models.
    statements : tuple of Statement
        At least one.
    """

    title: str
    direction: Direction
    statements: tuple[Statement, ...]


class _Candidate(NamedTuple):
    """A claim that may be made.

    Attributes
    ----------
    parts : tuple of (Contrast, sign)
        All of these means have to lie above 0 (sign 1) or below (-1).
    about : RunAnalysis
    what : int
        Place of the corruption, or of the other model.
    """

    parts: tuple[tuple[Contrast, int], ...]
    about: RunAnalysis
    what: int = -1


def find_all(analyses: Sequence[RunAnalysis], contest: Contest) -> list[Finding]:
    """Find the sentences that the data of some runs support.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
        Over the same samples and conditions.
    contest : Contest
        Between these.

    Returns
    -------
    list of Finding
        Those that are certain enough; possibly none.
    """
    seeing = [analysis for analysis in analyses if not analysis.doubt or hardly_moves(analysis.run)]
    found: list[tuple[str, Direction, Iterator[Statement]]] = [
        (IGNORES, "worse", _doubts(analyses, ignores=True)),
        (DOUBTFUL, "worse", _doubts(analyses, ignores=False)),
    ]
    # All other sentences rest on probabilities.
    if seeing and all(analysis.run.has_distributions for analysis in seeing):
        claims: tuple[tuple[Kind, Direction, Iterator[Statement]], ...] = (
            ("Most robust", "neutral", _most_robust(contest)),
            ("Accuracy and robustness disagree", "neutral", _disagreement(contest)),
            ("Accuracy rose under mild corruption while RAS fell", "worse", _hidden_loss(seeing, contest.level)),
            ("Fails by erroneous confidence", "worse", _erroneous_confidence(seeing, contest.level)),
            ("Right but less sure", "worse", _less_sure(seeing, contest.level)),
            ("Loses by destruction", "worse", _destruction(seeing, contest.level)),
            ("Gains from correction", "better", _correction(seeing, contest.level)),
            ("Hardest corruptions", "worse", _hardest(seeing, contest.level)),
            ("Overconfident under corruption", "worse", _overconfidence(seeing, contest.level)),
        )
        found.extend(claims)
    written = ((title, direction, tuple(statements)) for title, direction, statements in found)
    return [Finding(title, direction, statements) for title, direction, statements in written if statements]


def is_effect(estimate: Estimate) -> bool:
    """Tell whether an interval lies wholly on one side of zero.

    Parameters
    ----------
    estimate : Estimate

    Returns
    -------
    bool
        False too where there is no interval.
    """
    return estimate.low > 0 or estimate.high < 0


def _interval(estimate: Estimate, digits: int = 3) -> str:
    return f"[{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def _points(estimate: Estimate) -> str:
    """Write a difference of shares in percentage points."""
    low, high = signed(100 * estimate.low, 1), signed(100 * estimate.high, 1)
    return f"{signed(100 * estimate.value, 1)} points [{low}, {high}]"


def _said(corruption: str) -> str:
    return corruption.replace("_", " ")


def _made(candidates: Sequence[_Candidate], level: float) -> Iterator[tuple[_Candidate, tuple[Estimate, ...]]]:
    """Select the claims of one kind that can be made; return them with their effects."""
    tests = len(candidates)
    tails = [_tail(candidate, level, tests) for candidate in candidates]
    for candidate, is_sure in zip(candidates, holds(tails, level), strict=True):
        effects = tuple(part.estimate() for part, _ in candidate.parts) if is_sure else ()
        # Where few samples differ the interval of a rate can be wider than the test is strict.
        if effects and all(is_effect(effect) for effect in effects):
            yield candidate, effects


def _tail(candidate: _Candidate, level: float, tests: int) -> float:
    """Return the largest p-value of a claim's parts; above the level any lower limit that is above it too."""
    of_t = max(part.t_tail(sign) for part, sign in candidate.parts)
    # Relabelling takes far longer, and can only make the p-value larger.
    return of_t if of_t > level else max(part.tail(sign, level, tests) for part, sign in candidate.parts)


def _doubts(analyses: Sequence[RunAnalysis], *, ignores: bool) -> Iterator[Statement]:
    for analysis in analyses:
        if analysis.doubt and analysis.ignores_pictures == ignores:
            yield Statement(analysis.doubt, ())


def _most_robust(contest: Contest) -> Iterator[Statement]:
    metric = contest.robustness
    winner = contest.winner(metric)
    if winner is None:
        return
    second = contest.ranking(metric)[1]
    lead = contest.between(metric, winner, second).estimate()
    if is_effect(lead):
        best, value = contest.entrants[winner], contest.entrants[winner].headline(metric)
        yield Statement(
            f"{best.name} has the highest {_NAMES.get(metric, metric)}, {number(value.value)} [{number(value.low)}, "
            f"{number(value.high)}], {number(lead.value)} {_interval(lead)} above {contest.entrants[second].name}, the "
            "next.",
            (lead,),
        )


def _disagreement(contest: Contest) -> Iterator[Statement]:
    """Two models of which one is ahead by clean accuracy and the other by robustness: the widest such pair."""
    metric = contest.robustness
    candidates = [
        _Candidate(
            ((contest.between("acc_clean", first, second), 1), (contest.between(metric, first, second), -1)),
            contest.entrants[first],
            second,
        )
        for first, second in permutations(contest.ranking(metric), 2)
    ]
    found = list(_made(candidates, contest.level))
    if found:
        claim, (accuracy, robustness) = max(found, key=lambda each: -each[1][0].value * each[1][1].value)
        yield Statement(
            f"On clean images {claim.about.name} is more accurate than {contest.entrants[claim.what].name}, by "
            f"{_points(accuracy)}; by {_NAMES.get(metric, metric)} it is the other way round, by "
            f"{signed(robustness.value)} {_interval(robustness)}.",
            (accuracy, robustness),
        )


def _hidden_loss(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    """Accuracy above that on clean images, RAS below that with clean and corrupted exchanged, at mild severities."""
    over_all, by_corruption = [], []
    for analysis in analyses:
        places = corrupted_places(analysis.run.corruptions)
        over_all.append(_mild(analysis, places))
        by_corruption += [_mild(analysis, [place], place) for place in places]
    # Half of the level each, so that many corruptions do not hide what holds over all of them.
    found = [*_made(over_all, level / 2), *sorted(_made(by_corruption, level / 2), key=lambda each: -each[1][0].value)]
    said: dict[str, int] = {}
    for claim, (gain, fall) in found:
        name = claim.about.name
        said[name] = said.get(name, 0) + (claim.what >= 0)
        if said[name] <= _MOST_CORRUPTIONS:
            under = f"mild {_said(claim.about.run.corruptions[claim.what])}" if claim.what >= 0 else _ALL_MILD
            yield Statement(
                f"Under {under} the accuracy of {name} rose by {_points(gain)}, while its RAS fell: it differs by "
                f"{signed(fall.value)} {_interval(fall)} from RAS {_EXCHANGED}.",
                (gain, fall),
            )


_ALL_MILD = "mild corruption of all kinds"


def _mild(analysis: RunAnalysis, corruptions: Sequence[int], what: int = -1) -> _Candidate:
    exchange, run = analysis.exchange, analysis.run
    cells = np.zeros((len(run.corruptions), len(run.severities)), dtype=bool)
    cells[np.ix_(corruptions, [run.severities.index(severity) for severity in MILD])] = True
    places = np.concatenate([[True], cells[corrupted_places(run.corruptions)].ravel()])
    accuracy = exchange.rise(exchange.right, places, is_rate=True)
    # RAS(p, q) - RAS(q, p) is twice the shift of calibration alignment: the shift of uncertainty has no direction.
    return _Candidate(((accuracy, 1), (exchange.rise(2 * exchange.alignment, places), -1)), analysis, what)


def _erroneous_confidence(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    for claim, (excess,) in _made(
        [_Candidate(((each.exchange.erroneous_confidence(), 1),), each) for each in analyses], level
    ):
        forward = claim.about.headline("erroneous_confidence").value
        yield Statement(
            f"{claim.about.name} fails by erroneous confidence: {percent(forward)} of its answers are wrong under "
            f"corruption and no less sure than on the clean picture, {_points(excess)} more than {_EXCHANGED}.",
            (excess,),
            claim.about.name,
        )


def _less_sure(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    for claim, (excess,) in _made([_Candidate(((each.exchange.less_sure(), 1),), each) for each in analyses], level):
        forward = claim.about.headline("hesitation").value
        yield Statement(
            f"{claim.about.name} is less sure of right answers: {percent(forward)} of its answers are right under "
            f"corruption and less sure than on the clean picture, {_points(excess)} more than {_EXCHANGED}.",
            (excess,),
            claim.about.name,
        )


def _destruction(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    candidates = [_Candidate(((each.exchange.part_of_ras(is_right=True), -1),), each) for each in analyses]
    for claim, (part,) in _made(candidates, level):
        if claim.about.headline("destroyed").value > claim.about.headline("corrected").value:
            yield Statement(
                f"{claim.about.name} loses by destruction: {_moves(claim.about)}. What pairs with a right clean answer "
                f"add to its RAS differs by {signed(part.value)} {_interval(part)} from what they add {_EXCHANGED}.",
                (part,),
                claim.about.name,
            )


def _correction(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    """Claim a gain only where RAS and accuracy rise: wrong answers that only get flatter are not corrected."""
    candidates = []
    for analysis in analyses:
        exchange = analysis.exchange
        moved = exchange.rise(exchange.right, is_rate=True)
        candidates.append(_Candidate(((exchange.part_of_ras(is_right=False), 1), (moved, 1)), analysis))
    for claim, (part, rise) in _made(candidates, level):
        yield Statement(
            f"{claim.about.name} gains from correction: {_moves(claim.about)}; accuracy rises by {_points(rise)}. What "
            f"pairs with a wrong clean answer add to its RAS differs by {signed(part.value)} {_interval(part)} from "
            f"what they add {_EXCHANGED}.",
            (part, rise),
            claim.about.name,
        )


def _moves(analysis: RunAnalysis) -> str:
    lost, won = (percent(analysis.headline(name).value) for name in ("destroyed", "corrected"))
    return f"{lost} of all answers go from right to wrong and {won} from wrong to right"


def _hardest(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    """Corruptions whose RAS, averaged over the models, lies below the mean over all corruptions."""
    places = corrupted_places(analyses[0].run.corruptions)
    if len(places) < 2:
        return
    of_models = [_means_by_corruption(analysis, places) for analysis in analyses]
    # A sample counts where every model has an answer under every corruption, so that the means are over the same ones.
    means = np.mean(of_models, axis=0)
    means = means[~np.isnan(means).any(axis=1)]
    distances = means - means.mean(axis=1, keepdims=True)
    candidates = [
        _Candidate(((Contrast(distances[:, column], lambda: distances), -1),), analyses[0], column)
        for column in range(len(places))
    ]
    whose = analyses[0].name if len(analyses) == 1 else f"the {len(analyses)} models on average"
    worst = sorted(_made(candidates, level), key=lambda each: each[1][0].value)
    for claim, (effect,) in worst[:_MOST_CORRUPTIONS]:
        corruption = analyses[0].run.corruptions[places[claim.what]]
        mean = number(float(means[:, claim.what].mean()))
        yield Statement(
            f"{_said(corruption).capitalize()} is hard for {whose}: RAS is {mean} "
            f"and differs by {signed(effect.value)} {_interval(effect)} from the mean over all corruptions.",
            (effect,),
        )


def _means_by_corruption(analysis: RunAnalysis, places: Sequence[int]) -> NDArray[np.float64]:
    """RAS of each sample by corruption, over its valid pairs; nan where it has none."""
    values, valid = analysis.pairs.values["ras"][:, places], analysis.pairs.valid[:, places]
    counts = np.count_nonzero(valid, axis=2)
    return np.where(counts > 0, np.where(valid, values, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)


def _overconfidence(analyses: Sequence[RunAnalysis], level: float) -> Iterator[Statement]:
    """Confidence above accuracy under corruption, and by more than on clean images."""
    candidates = []
    for analysis in analyses:
        gap = analysis.exchange.confidence - analysis.exchange.right
        candidates.append(_Candidate(((_excess(analysis), 1), (analysis.exchange.rise(gap), 1)), analysis))
    for claim, (excess, growth) in _made(candidates, level):
        yield Statement(
            f"Under corruption the confidence of {claim.about.name} exceeds its accuracy by {_points(excess)}, "
            f"{_points(growth)} more than on clean images.",
            (excess, growth),
            claim.about.name,
        )


def _excess(analysis: RunAnalysis) -> Contrast:
    """Confidence less accuracy under corruption, a mean of each sample."""
    exchange = analysis.exchange
    gaps = np.where(exchange.valid, exchange.confidence - exchange.right, 0.0)[:, 1:]
    return Contrast(gaps.sum(axis=1) / np.count_nonzero(exchange.valid[:, 1:], axis=1))
