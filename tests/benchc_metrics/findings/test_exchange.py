"""Exchange contrasts are what their definition says, pair by pair, for each condition in the place of the clean one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run

from benchc_metrics.benchmark import CONTROL
from benchc_metrics.findings.exchange import Exchange, corrupted_places
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.runs import Run

Definition = Callable[[np.ndarray, np.ndarray, int, int], float]


@pytest.fixture(scope="module")
def run() -> Run:
    run = made_run(9, seed=4, noise=0.8, corruptions=("fog", "snow"))
    corrupted = run.corrupted.copy()
    corrupted[2, 1, 3] = np.nan
    corrupted[5] = np.nan
    return replace(run, corrupted=corrupted)


@pytest.fixture(scope="module")
def exchange(run: Run) -> Exchange:
    return Exchange(PairValues.of_run(run, "brier"))


def by_loops(run: Run, of_pair: Definition) -> np.ndarray:
    """Mean over the other conditions of f(p, q) - f(q, p), for each sample with a pair and each condition as p."""
    rows = []
    for number in range(len(run.sample_ids)):
        stacked = np.concatenate(
            [run.clean_distributions()[[number]], run.corrupted_distributions()[number].reshape(10, -1)]
        )
        usable = ~np.isnan(stacked[:, 0])
        if usable[1:].any():
            answer, count = int(run.answers[number]), int(run.option_counts[number])
            row = np.full(11, np.nan)
            for place in np.flatnonzero(usable):
                others = [other for other in np.flatnonzero(usable) if other != place]
                p = stacked[place]
                row[place] = np.mean(
                    [of_pair(p, stacked[q], answer, count) - of_pair(stacked[q], p, answer, count) for q in others]
                )
            rows.append(row)
    return np.array(rows)


def one(value: np.ndarray) -> float:
    return float(np.asarray(value).reshape(-1)[0])


def ras_of(p: np.ndarray, q: np.ndarray, answer: int, count: int) -> float:
    return one(ras.robustness_alignment_score(p[None], q[None], [answer], [count], "brier"))


def is_right(p: np.ndarray, answer: int) -> float:
    return one(ras.correctness(p[None], [answer]))


DEFINITIONS: dict[str, tuple[Callable[[Exchange], object], Definition]] = {
    "erroneous confidence": (
        lambda exchange: exchange.erroneous_confidence(),
        lambda p, q, answer, count: one(ras.erroneous_confidence(p[None], q[None], [answer])),
    ),
    "less sure": (
        lambda exchange: exchange.less_sure(),
        lambda p, q, answer, count: one(ras.hesitation(p[None], q[None], [answer], [count])),
    ),
    "destructive part": (
        lambda exchange: exchange.part_of_ras(is_right=True),
        lambda p, q, answer, count: is_right(p, answer) * ras_of(p, q, answer, count),
    ),
    "corrective part": (
        lambda exchange: exchange.part_of_ras(is_right=False),
        lambda p, q, answer, count: (1 - is_right(p, answer)) * ras_of(p, q, answer, count),
    ),
    "RAS": (lambda exchange: exchange.rise(2 * exchange.alignment), ras_of),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_contrasts_are_their_definitions(run: Run, exchange: Exchange, name: str) -> None:
    make, definition = DEFINITIONS[name]
    contrast, expected = make(exchange), by_loops(run, definition)
    np.testing.assert_allclose(contrast.values, expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(contrast.relabelled(), expected, atol=1e-12)


def test_chosen_places_only(run: Run, exchange: Exchange) -> None:
    places = np.zeros(11, dtype=bool)
    places[[0, 1, 2]] = True
    found = exchange.rise(exchange.right, places)
    of_run = PairValues.of_run(run)
    kept = of_run.valid[:, 0, :2].any(axis=1)
    expected = of_run.right[kept, 0, :2].mean(axis=1) - of_run.clean_right[kept]
    np.testing.assert_allclose(found.values, expected)
    assert found.relabelled().shape == (kept.sum(), 3)


def test_exchanged_conditions_change_the_sign() -> None:
    run = made_run(12, seed=1, noise=0.5, corruptions=("fog",))
    single = replace(run, asked=np.arange(5) == np.zeros((12, 1, 1)), corrupted=run.corrupted.copy())
    single.corrupted[:, :, 1:] = np.nan
    back = replace(single, clean=single.corrupted[:, 0, 0], corrupted=single.corrupted.copy())
    back.corrupted[:, 0, 0] = single.clean
    there, again = (Exchange(PairValues.of_run(each)) for each in (single, back))
    for make, _ in DEFINITIONS.values():
        np.testing.assert_allclose(make(there).values, -make(again).values, atol=1e-12)


def test_the_control_is_no_corruption() -> None:
    assert corrupted_places(("fog", CONTROL, "snow")) == [0, 2]


def test_options_in_another_order_are_no_change() -> None:
    """Equal answers in another order differ by rounding, which neither pattern may take for a change."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(3000, 5)) * 3
    order = draw.permuted(np.tile(np.arange(5), (3000, 1)), axis=1)
    permuted = np.take_along_axis(logits, order, axis=1)
    p, q = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (logits, permuted))
    back = np.take_along_axis(q, np.argsort(order, axis=1), axis=1)
    assert not np.array_equal(p, back)
    answers = draw.integers(0, 5, 3000)
    assert not ras.hesitation(p, back, answers).any()
    assert not ras.hesitation(back, p, answers).any()
    wrong = ras.correctness(p, answers) == 0
    np.testing.assert_array_equal(ras.erroneous_confidence(p, back, answers), wrong)
    np.testing.assert_array_equal(ras.erroneous_confidence(back, p, answers), wrong)
