"""Figures of generated answers: equal to those of choice scoring on the same predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.assembly import assemble_generation_record
from benchc_metrics.generation_figures import GENERATION_METRICS, figures_of_predictions, generation_figures
from benchc_metrics.metrics.sample_metrics import figures_of_samples
from benchc_tasks.stacks.lmms_eval.generation_aggregators import PairedCounts

SHARED = ("acc_clean", "acc_corrupted", "flip", "destroyed", "corrected", "invalid_pairs")


def one_hot(predictions: np.ndarray, options: int) -> np.ndarray:
    """Log-likelihoods of a model that is sure of its predictions; nan where there is none."""
    scores = np.where(np.arange(options) == predictions[..., np.newaxis], 0.0, -np.inf)
    scores[predictions < 0] = np.nan
    return scores


@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 5), st.data())
def test_they_are_those_of_choice_scoring_on_the_same_predictions(samples, conditions, options, data):
    cells = st.integers(-1, options - 1)
    drawn = [data.draw(st.lists(cells, min_size=conditions, max_size=conditions)) for _ in range(samples)]
    predictions = np.array(drawn, dtype=np.int64)
    answer = np.array(data.draw(st.lists(st.integers(0, options - 1), min_size=samples, max_size=samples)))
    found = figures_of_predictions(predictions, answer)
    expected = figures_of_samples(one_hot(predictions, options), answer).figures
    for name in SHARED:
        # Choice scoring leaves the clean answer out with a whole sample; so does this.
        np.testing.assert_array_equal(getattr(found, name), expected[name], err_msg=name)
    assert np.array_equal(found.pairs + found.invalid_pairs, np.full(samples, conditions - 1))


def test_every_kind_of_pair_by_hand():
    # right -> wrong, wrong -> right, wrong -> another wrong, unchanged, invalid
    found = figures_of_predictions([[0, 1, 0, -1], [1, 0, 2, 1], [-1, 0, 0, 0]], [0, 0, 0])
    np.testing.assert_array_equal(found.acc_clean, [1, 0, np.nan])
    np.testing.assert_array_equal(found.acc_corrupted, [1 / 2, 1 / 3, np.nan])
    np.testing.assert_array_equal(found.flip, [1 / 2, 2 / 3, np.nan])
    np.testing.assert_array_equal(found.destroyed, [1 / 2, 0, np.nan])
    np.testing.assert_array_equal(found.corrected, [0, 1 / 3, np.nan])
    np.testing.assert_array_equal(found.invalid_pairs, [1, 0, 3])
    np.testing.assert_array_equal(found.pairs, [2, 3, 0])


@pytest.mark.parametrize(
    ("predictions", "answer", "sentence"),
    [
        ([0, 1], [0], r"^predictions of shape \(2,\) are not \(samples, conditions\), clean first$"),
        ([[]], [0], r"^predictions of shape \(1, 0\) are not"),
        ([[0, 1]], [0, 1], r"^answers of shape \(2,\) are not one for each of 1 samples$"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(predictions, answer, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures_of_predictions(predictions, answer)


def record(*answers: str | None):
    return assemble_generation_record(
        answers,
        options=("dog", "cat", "bird"),
        conditions=("clean", *(f"fog@{severity}" for severity in range(1, len(answers)))),
        sample="sample-0",
        dataset="fingerprint",
        engine="1",
        benchc="0.1",
        prompt="{question}",
        source=None,
        category=None,
        option_count=3,
        answer=1,
    )


def test_items_of_a_sample_are_numbers_with_their_counts():
    items = generation_figures(record("B", "B", "A", "nothing"))
    assert tuple(items) == GENERATION_METRICS
    assert [items[name] for name in ("acc_clean", "acc_corrupted", "flip", "destroyed", "corrected")] == [
        1,
        0.5,
        0.5,
        0.5,
        0,
    ]
    assert all(isinstance(items[name], float) for name in ("acc_clean", "acc_corrupted", "flip"))
    assert (items["acc_clean"].answers, items["flip"].answers, items["flip"].having) == (1, 2, 1)
    assert items["acc_drop"] == PairedCounts("sample-0", 2, 1, 2)
    assert items["invalid_pairs"] == [1, 3]
    assert items["ras"] == "not defined"


def test_a_sample_without_a_clean_answer_has_invalid_pairs_only():
    items = generation_figures(record("nothing", "B", "A"))
    assert items["invalid_pairs"] == [2, 2]
    assert {items[name] for name in GENERATION_METRICS if name not in {"invalid_pairs", "ras"}} == {None}


def test_a_sample_without_a_valid_pair_has_its_clean_answer():
    items = generation_figures(record("A", "nothing"))
    assert items["acc_clean"] == 0
    assert items["acc_corrupted"] is items["acc_drop"] is items["flip"] is None
