"""Cautions: what is wrong with a run is found, and an honest run raises none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import made_run, without_distributions

from benchc_metrics.benchmark import CONTROL, STANDARD_PROMPT
from benchc_metrics.runs import GivenPredictions, Run, read_run

TRIAL_RUNS = Path(__file__).parents[2] / "fixtures" / "trial_runs"


def names(run: Run) -> list[str]:
    return [caution.name for caution in run.cautions]


def honest_run(samples: int = 40, **settings) -> Run:
    """A made run whose options hold nearly all of the probability."""
    run = made_run(samples, **settings)

    def normalised(values):
        return values - np.log(np.exp(values).sum(axis=-1, keepdims=True)) - 1e-4

    return replace(run, clean=normalised(run.clean), corrupted=normalised(run.corrupted))


def blind_run(jitter: float, **settings) -> Run:
    run = honest_run(**settings)
    draw = np.random.default_rng(1)
    noise = draw.normal(0, 1, run.corrupted.shape) * jitter
    return replace(run, corrupted=np.minimum(run.clean[:, None, None] + noise, 0))


def letters_run(clean, corrupted, answers, options: int = 4) -> Run:
    """A run of generated letters."""
    clean, corrupted = np.array(clean), np.array(corrupted)
    run = made_run(len(clean), corruptions=("fog",) * corrupted.shape[1], widths=(options, options))
    return replace(
        without_distributions(run),
        answers=np.array(answers),
        given=GivenPredictions("generated letters", clean, corrupted),
    )


@pytest.mark.parametrize("folder", sorted(path.name for path in TRIAL_RUNS.iterdir() if path.is_dir()))
def test_trial_runs_raise_no_caution(folder):
    run = read_run(TRIAL_RUNS / folder)
    assert run.cautions == ()
    assert run.complete
    assert without_distributions(run).cautions == ()


@pytest.mark.parametrize("folder", sorted(path.name for path in TRIAL_RUNS.iterdir() if path.is_dir()))
@pytest.mark.parametrize("samples", [1, 2, 3, 8])
def test_small_parts_of_honest_runs_raise_no_caution(folder, samples):
    whole = read_run(TRIAL_RUNS / folder)
    for start in range(0, 48 - samples, 5):
        kept = slice(start, start + samples)
        for place, corruption in enumerate(whole.corruptions):
            part = replace(
                whole,
                sample_ids=whole.sample_ids[kept],
                answers=whole.answers[kept],
                option_counts=whole.option_counts[kept],
                corruptions=(corruption,),
                clean=whole.clean[kept],
                corrupted=whole.corrupted[kept, place : place + 1],
                asked=whole.asked[kept, place : place + 1],
            )
            assert part.cautions == (), (start, corruption)
            assert without_distributions(part).cautions == (), (start, corruption)


@pytest.mark.parametrize("jitter", [0.0, 1e-6, 1e-3, 5e-3])
@pytest.mark.parametrize("samples", [2, 40])
def test_a_blind_server_is_found_through_its_jitter(jitter, samples):
    assert names(blind_run(jitter, samples=samples, corruptions=("fog", "snow"))) == ["blind"]


@pytest.mark.parametrize(
    ("share", "found"), [(0.1, ["nearly blind"]), (0.4, ["nearly blind"]), (0.6, []), (0.01, ["blind"])]
)
def test_a_model_of_which_corruption_moves_few_answers_is_nearly_blind(share, found):
    run = honest_run(20)
    moved = np.random.default_rng(3).random(run.corrupted.shape[:-1]) < share
    clean = np.broadcast_to(run.clean[:, None, None], run.corrupted.shape)
    part = replace(run, corrupted=np.where(moved[..., None], run.corrupted, clean))
    assert names(part) == found


def test_a_model_of_small_log_likelihoods_is_not_nearly_blind():
    run = read_run(TRIAL_RUNS / "plain")
    assert names(replace(run, clean=run.clean * 0.04, corrupted=run.corrupted * 0.04)) == []


def test_a_saturated_model_is_not_blind():
    """Probabilities near 1 hardly move, but log-likelihoods of the other options do."""
    run = honest_run(20, corruptions=("fog", "snow"))
    best = run.clean.argmax(axis=-1)
    clean, corrupted = run.clean * 40, run.corrupted * 40
    clean[np.arange(20), best] = -1e-9
    corrupted[np.arange(20)[:, None, None], np.arange(2)[:, None], np.arange(5), best[:, None, None]] = -1e-9
    assert not {"blind", "nearly blind"} & set(names(replace(run, clean=clean, corrupted=corrupted)))


def test_the_control_is_meant_to_move_nothing():
    assert names(replace(blind_run(1e-3, corruptions=("fog",)), corruptions=(CONTROL,))) == []


def test_a_model_that_writes_one_letter_is_found():
    answers = np.arange(12) % 4
    always = letters_run(np.zeros(12, int), np.zeros((12, 1, 5), int), answers)
    assert names(always) == ["blind", "one letter"]
    sentence = always.cautions[1].sentence
    assert "The letter A is the response to 100.0% of all 72 questions" in sentence
    assert "check the model" in sentence


@pytest.mark.parametrize(("samples", "found"), [(1, []), (2, []), (3, []), (5, ["one letter"]), (8, ["one letter"])])
def test_one_letter_that_is_always_right_is_found_where_chance_does_not_explain_it(samples, found):
    run = letters_run(np.zeros(samples, int), np.zeros((samples, 1, 5), int), np.zeros(samples, int))
    assert names(run) == found
    assert not found or "all right options have this letter too" in run.cautions[0].sentence


def test_generated_letters_that_never_move_are_found_where_a_model_that_sees_would_move_some():
    draw = np.random.default_rng(0)
    answers, clean = draw.integers(0, 4, 60), draw.integers(0, 4, 60)
    frozen = np.repeat(clean[:, None], 5, axis=1)[:, None]
    assert names(letters_run(clean, frozen, answers)) == ["blind"]
    few = slice(0, 3)
    assert names(letters_run(clean[few], frozen[few], answers[few])) == []
    moved = frozen.copy()
    moved[7, 0, 4] = (moved[7, 0, 4] + 1) % 4
    assert names(letters_run(clean, moved, answers)) == []
    robust = np.repeat(answers[:, None], 5, axis=1)[:, None]
    assert names(letters_run(answers, robust, answers)) == []


@pytest.mark.parametrize(
    ("mass", "found", "complete"), [(0.6, [], True), (0.3, ["letter mass"], True), (0.01, ["letter mass"], False)]
)
def test_letters_that_hold_little_of_the_probability_are_found(mass, found, complete):
    run = honest_run(20, corruptions=("fog",))
    run = replace(run, clean=run.clean + np.log(mass), corrupted=run.corrupted + np.log(mass))
    assert (names(run), run.complete) == (found, complete)
    losses = replace(run, metadata=replace(run.metadata, length_normalised=True))
    assert names(losses) == []


def test_a_part_of_a_run_is_incomplete():
    run = honest_run(20, corruptions=("fog",))
    part = replace(run, metadata=replace(run.metadata, complete=False, gaps=("The samples log of x is missing.",)))
    assert names(part) == ["partial"]
    assert not part.complete
    assert "The samples log of x is missing." in part.cautions[0].sentence


def test_responses_that_cannot_be_used_are_counted_and_none_at_all_is_incomplete():
    run = honest_run(10, corruptions=("fog",))
    corrupted = run.corrupted.copy()
    corrupted[:4] = np.nan
    invalid = {(f"sample-{number:04}", "fog@1"): "the server is gone." for number in range(4)}
    some = replace(run, corrupted=corrupted, invalid=invalid)
    assert (names(some), some.complete) == (["invalid"], True)
    assert some.cautions[0].sentence == (
        "Only 40 of 60 responses can be used; the first reason is: the server is gone."
    )
    nothing = replace(run, clean=np.full_like(run.clean, np.nan), corrupted=np.full_like(corrupted, np.nan))
    assert (names(nothing), nothing.complete) == (["invalid"], False)


def test_other_prompts_and_several_models_are_named():
    run = honest_run(20, corruptions=("fog",))
    other = replace(run, metadata=replace(run.metadata, context="c", prompt="Always say D. {question}"))
    assert names(other) == ["prompt"]
    assert "Always say D." in other.cautions[0].sentence
    assert names(replace(run, metadata=replace(run.metadata, context="c", prompt=STANDARD_PROMPT))) == []
    mixed = replace(run, metadata=replace(run.metadata, answered_by=("a/b", "c/d")))
    assert (names(mixed), mixed.complete) == (["models"], False)
