"""Sentences say what was built into the runs, and nothing where nothing was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from planted_runs import guessing
from run_folders import made_run

from benchc_metrics.findings.analysis import Contest, RunAnalysis, analyse
from benchc_metrics.findings.rankings import rankings
from benchc_metrics.findings.sentences import DOUBTFUL, IGNORES, MILD, Finding, find_all, is_effect
from benchc_metrics.runs import Run
from benchc_metrics.wording import percent

SAMPLES = 120
CORRUPTIONS = ("fog", "snow", "contrast")


def built_run(clean: NDArray[np.float64], corrupted: NDArray[np.float64], name: str = "lab/built") -> Run:
    """A run of three options of which the first is right; probabilities are given, corrupted for each severity."""
    run = made_run(len(clean), seed=1, corruptions=CORRUPTIONS, widths=(3, 3), model=name)
    shape = (len(clean), len(CORRUPTIONS), 5, 3)
    with np.errstate(divide="ignore"):
        return replace(
            run,
            answers=np.zeros(len(clean), dtype=np.int64),
            clean=np.log(clean),
            corrupted=np.log(np.broadcast_to(corrupted, shape)),
        )


def distribution(first: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Three options: the first with this probability, the second with nearly all of the rest."""
    first = np.asarray(first, dtype=float)
    rest = 1 - first
    return np.stack([first, 0.9 * rest, 0.1 * rest], axis=-1)


def found(runs: Sequence[Run]) -> dict[str, Finding]:
    return told([analyse(run) for run in runs])


def told(analyses: Sequence[RunAnalysis]) -> dict[str, Finding]:
    return {finding.title: finding for finding in find_all(analyses, Contest(analyses))}


@pytest.fixture(scope="module")
def right_share() -> NDArray[np.float64]:
    """Clean probabilities of the right option: two thirds of the samples are right."""
    return np.where(np.arange(SAMPLES) % 3 < 2, 0.8, 0.2) + np.random.default_rng(0).uniform(-0.05, 0.05, SAMPLES)


def test_a_model_that_ignores_the_picture_gets_one_sentence(right_share: NDArray[np.float64]) -> None:
    clean = distribution(right_share)
    (finding,) = found([built_run(clean, clean[:, np.newaxis, np.newaxis])]).values()
    (statement,) = finding.statements
    assert finding.title == IGNORES
    assert statement.text.startswith("lab/built ignores the picture")


def test_a_model_that_ignores_the_picture_takes_no_part_in_a_contest(analyses: list[RunAnalysis]) -> None:
    run = analyses[1].run
    ignoring = analyse(
        replace(run, name="lab/blind", corrupted=np.broadcast_to(run.clean[:, None, None], run.corrupted.shape).copy())
    )
    together = told([analyses[0], ignoring, analyses[2]])
    assert [statement.text for statement in together.pop(IGNORES).statements] == [
        "lab/blind ignores the picture: corruption moves its answers no more than noise."
    ]
    assert together == told([analyses[0], analyses[2]])
    # Its RAS is the highest, 0; the others share their clean answers with it.
    assert set(Contest([analyses[0], ignoring]).winners().values()) == {None}


def test_a_model_that_only_guesses_is_not_ranked() -> None:
    seeing = made_run(90, seed=1, corruptions=CORRUPTIONS, widths=(3, 3), noise=1.0)
    analyses = [analyse(seeing), analyse(guessing(seeing))]
    # It moves too much to be called blind, and least of the two.
    assert "blind" not in {caution.name for caution in analyses[1].run.cautions}
    assert analyses[1].headline("ras_tempered").value > analyses[0].headline("ras_tempered").value
    (statement,) = told(analyses)[DOUBTFUL].statements
    assert statement.text.startswith("lab/guessing cannot be told from a model that ignores the picture")
    assert "no better than guesses" in statement.text
    contest = Contest(analyses)
    assert contest.ranking("ras_tempered") == [0]
    assert contest.ranking("acc_clean") == [0, 1]
    assert all(ranking.ranks == (1, None) for ranking in rankings(analyses))


@pytest.mark.parametrize(
    ("title", "other", "share"),
    [("Loses by destruction", "Gains from correction", 0.8), ("Gains from correction", "Loses by destruction", 0.2)],
)
def test_destruction_and_correction_are_told_apart(
    right_share: NDArray[np.float64], title: str, other: str, share: float
) -> None:
    """Half of the answers that are `share` sure of the right option take the other side."""
    clean = distribution(right_share)
    chosen = (np.abs(right_share - share) < 0.1) & (np.arange(SAMPLES) % 2 == 0)
    corrupted = distribution(np.where(chosen, 1 - right_share, right_share))[:, np.newaxis, np.newaxis]
    findings = found([built_run(clean, corrupted)])
    (statement,) = findings[title].statements
    assert (statement.effects[0].value > 0) == (title == "Gains from correction")
    moved = percent(np.mean(chosen))
    assert (
        f"{moved} of all answers go from right to wrong" if share > 0.5 else f"{moved} from wrong to right"
    ) in statement.text
    assert other not in findings


def test_a_model_that_only_gets_less_sure_gains_nothing(right_share: NDArray[np.float64]) -> None:
    clean = distribution(np.full(SAMPLES, 0.9))
    findings = found([built_run(clean, distribution(0.6 + 0.1 * right_share)[:, np.newaxis, np.newaxis])])
    assert "100.0\N{NO-BREAK SPACE}%" in findings["Right but less sure"].statements[0].text
    assert "Fails by erroneous confidence" not in findings
    assert "Gains from correction" not in findings


def test_a_model_that_gets_surer_of_wrong_answers_is_said_to(right_share: NDArray[np.float64]) -> None:
    clean = distribution(right_share)
    findings = found([built_run(clean, distribution(np.full(SAMPLES, 0.02))[:, np.newaxis, np.newaxis])])
    assert findings["Fails by erroneous confidence"].statements[0].effects[0].low > 0
    assert "Right but less sure" not in findings
    assert "Overconfident under corruption" in findings


class TestHiddenLoss:
    def run_with_gain(self, right_share: NDArray[np.float64], corruptions: Sequence[int]) -> Run:
        """Mild corruption turns a quarter of the wrong answers right, and makes all answers unsure."""
        clean = distribution(right_share)
        wrong = np.flatnonzero(right_share < 0.5)
        after = np.where(right_share > 0.5, 0.5, right_share)
        after[wrong[: len(wrong) // 2]] = 0.5
        corrupted = np.broadcast_to(clean[:, np.newaxis, np.newaxis], (SAMPLES, 3, 5, 3)).copy()
        for place in corruptions:
            corrupted[:, place, : len(MILD)] = distribution(after)[:, np.newaxis]
        return built_run(clean, corrupted)

    def test_accuracy_that_rose_while_ras_fell_is_found(self, right_share: NDArray[np.float64]) -> None:
        finding = found([self.run_with_gain(right_share, [0, 1, 2])])[
            "Accuracy rose under mild corruption while RAS fell"
        ]
        for statement in finding.statements:
            gain, ras = statement.effects
            assert gain.low > 0
            assert ras.high < 0
        assert "mild corruption of all kinds" in finding.statements[0].text
        assert "+16.7 points" in finding.statements[0].text

    def test_a_single_corruption_is_named(self, right_share: NDArray[np.float64]) -> None:
        finding = found([self.run_with_gain(right_share, [1])])["Accuracy rose under mild corruption while RAS fell"]
        assert any("mild snow" in statement.text for statement in finding.statements)
        assert not any("fog" in statement.text for statement in finding.statements)

    def test_a_gain_with_calibration_that_held_is_not(self, right_share: NDArray[np.float64]) -> None:
        clean = distribution(right_share)
        better = distribution(np.where(right_share < 0.5, 0.74, right_share))[:, np.newaxis, np.newaxis]
        assert "Accuracy rose under mild corruption while RAS fell" not in found([built_run(clean, better)])


def test_the_hardest_corruption_is_named(right_share: NDArray[np.float64]) -> None:
    clean = distribution(right_share)
    corrupted = np.broadcast_to(clean[:, np.newaxis, np.newaxis], (SAMPLES, 3, 5, 3)).copy()
    corrupted[:, 2] = distribution(np.full(SAMPLES, 0.1))[:, np.newaxis]
    findings = found([built_run(clean, corrupted)])
    (statement,) = findings["Hardest corruptions"].statements
    assert statement.text.startswith("Contrast is hard for lab/built")
    # Two thirds of the pairs do not move at all: that is said, and does not silence the rest.
    (doubt,) = findings[DOUBTFUL].statements
    assert "moves few of its log-likelihoods" in doubt.text


class TestSeveralModels:
    def test_the_most_robust_is_named_with_its_lead(self, analyses: list[RunAnalysis]) -> None:
        (statement,) = told(analyses)["Most robust"].statements
        assert statement.text.startswith("lab/steady-7b has the highest tempered RAS")
        assert "above lab/middling, the next" in statement.text
        assert statement.effects[0].low > 0

    def test_twins_have_no_leader(self, analyses: list[RunAnalysis]) -> None:
        assert "Most robust" not in told([analyses[0], analyses[0], analyses[2]])

    def test_disagreement_of_accuracy_and_robustness(self, right_share: NDArray[np.float64]) -> None:
        """One is right on all clean images and loses all; the other is right on few and loses nothing."""
        clean = distribution(np.full(SAMPLES, 0.9))
        brittle = built_run(clean, distribution(np.full(SAMPLES, 0.1))[:, np.newaxis, np.newaxis], "lab/brittle")
        moved = np.random.default_rng(1).uniform(-0.03, 0.03, (SAMPLES, len(CORRUPTIONS), 5))
        steady = built_run(distribution(right_share), distribution(right_share[:, None, None] + moved), "lab/steady")
        (statement,) = found([steady, brittle])["Accuracy and robustness disagree"].statements
        assert "lab/brittle is more accurate than lab/steady" in statement.text
        assert statement.effects[0].low > 0
        assert statement.effects[1].high < 0

    def test_models_that_agree_give_no_disagreement(self, analyses: list[RunAnalysis]) -> None:
        assert "Accuracy and robustness disagree" not in told(analyses)


@pytest.mark.parametrize("seed", range(4))
def test_no_sentence_has_an_interval_that_includes_no_effect(seed: int) -> None:
    runs = [
        made_run(25, seed=9, noise=noise, corruptions=CORRUPTIONS, model=f"lab/{seed}-{noise}")
        for noise in (0.02 * (seed + 1), 0.05 * (seed + 1))
    ]
    findings = found(runs)
    statements = [statement for finding in findings.values() for statement in finding.statements]
    assert statements
    for statement in statements:
        assert statement.effects
        for effect in statement.effects:
            assert is_effect(effect), statement.text
            assert effect.low <= effect.value <= effect.high
        assert "[" in statement.text


def test_chance_seldom_makes_a_finding() -> None:
    """Answers that corruption shakes alike in both directions: few sentences about any direction in 10 data sets."""
    said = 0
    for seed in range(10):
        draw = np.random.default_rng(seed)
        first = draw.uniform(0.2, 0.8, 60)
        clean = distribution(first)
        exchanged = distribution(draw.permuted(np.broadcast_to(first[:, None, None], (60, 3, 5)), axis=0))
        findings = found([built_run(clean, exchanged)])
        said += "Hardest corruptions" in findings
        said += "Overconfident under corruption" in findings
    assert said <= 2
