"""Claims about noisy copies of published models' answers: a small form of `tests/benchmarks/null_study.py`."""

from __future__ import annotations

import numpy as np
import pytest
from planted_runs import Answers, claims_about, destroying, flattening, ignoring, noisy_run

from benchc_metrics.findings.budget import KINDS, LARGEST_KIND_LEVEL, REPORT_LEVEL, holds, kind_level, possible_kinds
from benchc_metrics.findings.sentences import IGNORES

SAMPLES = 150
CORRUPTIONS = ("fog", "snow", "contrast", "pixelate")


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers.of_fixture()


def runs_of(answers: Answers, seed: int, plants, samples: int = SAMPLES):
    draw = np.random.default_rng(seed)
    model = int(draw.integers(len(answers.means)))
    questions = draw.integers(answers.means.shape[1], size=samples)
    return [
        noisy_run(answers, model, questions, draw, name=f"lab/{place}", corruptions=CORRUPTIONS, plant=plant)
        for place, plant in enumerate(plants)
    ]


def test_the_kinds_that_can_occur_share_one_level() -> None:
    assert set(possible_kinds(2, 19, has_distributions=True)) == set(KINDS)
    assert kind_level(len(KINDS)) * len(KINDS) == pytest.approx(REPORT_LEVEL)
    alone = possible_kinds(1, 1, has_distributions=True)
    assert not {"Most robust", "Best of a column", "Accuracy and robustness disagree", "Hardest corruptions"} & set(
        alone
    )
    assert kind_level(len(alone)) * len(alone) == pytest.approx(REPORT_LEVEL)


def test_reports_on_letters_have_marks_only() -> None:
    assert possible_kinds(1, 19, has_distributions=False) == ()
    assert possible_kinds(3, 19, has_distributions=False) == ("Best of a column",)
    assert kind_level(1) == kind_level(0) == LARGEST_KIND_LEVEL


def test_within_a_kind_candidates_share_its_level() -> None:
    assert holds([0.005, 0.5], 0.01).tolist() == [True, False]
    assert holds([0.006, 0.5], 0.01).tolist() == [False, False]
    assert holds([], 0.01).tolist() == []


@pytest.mark.parametrize("models", [1, 3])
def test_reports_without_an_effect_claim_nothing(answers: Answers, models: int) -> None:
    said = [claims_about(runs_of(answers, seed, [None] * models), resamples=50) for seed in range(25)]
    # 2.5 of 25 are allowed; 6 and more have a chance of 3 % then.
    assert sum(map(bool, said)) <= 5, said


@pytest.mark.parametrize(
    ("plant", "title"), [(destroying(0.15), "Loses by destruction"), (flattening(0.2), "Right but less sure")]
)
def test_planted_effects_are_found(answers: Answers, plant, title: str) -> None:
    said = [claims_about(runs_of(answers, seed, [plant]), resamples=50) for seed in range(10)]
    assert sum(title in titles for titles in said) >= 8, said


def test_the_robust_one_of_three_is_found(answers: Answers) -> None:
    plants = [None, destroying(0.2), destroying(0.2)]
    said = [claims_about(runs_of(answers, seed, plants, 400), resamples=50) for seed in range(6)]
    assert sum("Most robust" in titles for titles in said) >= 5, said


def test_a_model_that_ignores_the_picture_gets_one_sentence(answers: Answers) -> None:
    for seed in range(5):
        (run,) = runs_of(answers, seed, [None])
        assert claims_about([ignoring(run)], resamples=50) == [IGNORES]
