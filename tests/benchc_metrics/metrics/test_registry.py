"""Every metric of the registry: worked out by hand, by plain loops, by scikit-learn, and without probabilities."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from metrics_reference import metrics_by_loops
from sklearn.metrics import brier_score_loss, log_loss

import benchc_metrics
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS, Metric, headline_metrics, mean_over_pairs, register, unregister
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.runs import GivenPredictions, run_of_log_likelihoods

INF, NAN = float("inf"), float("nan")
OF_PREDICTIONS = [name for name, metric in METRICS.items() if not metric.needs_distribution]


def random_run(seed, samples=40, conditions=6, widest=5, invalid=0.0):
    """Padded log-likelihoods of samples with mixed numbers of options, their answers, and their numbers of options."""
    generator = np.random.default_rng(seed)
    option_count = generator.integers(2, widest + 1, size=samples)
    log_likelihoods = np.round(generator.normal(-3, 2, size=(samples, conditions, widest)).clip(max=-0.1), 1)
    for sample, count in enumerate(option_count):
        log_likelihoods[sample, :, count:] = -INF
    log_likelihoods[generator.random((samples, conditions)) < invalid, 0] = NAN
    return log_likelihoods, generator.integers(0, option_count), option_count


def metrics_of(log_likelihoods, answer, option_count=None):
    return metrics_of_run(run_of_log_likelihoods(log_likelihoods, answer, option_count))


def predictions_alone(run):
    """The run as if its predictions had been read from generated text."""
    given_predictions = GivenPredictions("generated letters", run.clean_predictions, run.corrupted_predictions)
    nothing = {"clean": np.full_like(run.clean, np.nan), "corrupted": np.full_like(run.corrupted, np.nan)}
    return replace(run, given=given_predictions, **nothing)


@pytest.mark.parametrize("invalid", [0.0, 0.3])
@pytest.mark.parametrize("conditions", [6, 2])  # with two, a sample can be valid when clean and have no valid pair
@pytest.mark.parametrize("seed", range(4))
def test_a_run_is_what_loops_over_the_responses_give(seed, conditions, invalid):
    run = random_run(seed, conditions=conditions, invalid=invalid)
    found = metrics_of(*run)
    assert list(found) == list(METRICS)
    assert found == pytest.approx(metrics_by_loops(*run), abs=1e-12)
    assert (found["invalid_pairs"] > 0) == (invalid > 0)


@pytest.mark.parametrize("invalid", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_predictions_alone_give_the_metrics_that_need_no_more(seed, invalid):
    run = run_of_log_likelihoods(*random_run(seed, invalid=invalid))
    found, expected = metrics_of_run(predictions_alone(run)), metrics_of_run(run)
    assert [found[name] for name in OF_PREDICTIONS] == pytest.approx(
        [expected[name] for name in OF_PREDICTIONS], abs=1e-12, nan_ok=True
    )
    assert all(math.isnan(found[name]) for name in METRICS if name not in OF_PREDICTIONS)
    assert [name for name in METRICS if METRICS[name].is_defined_for(predictions_alone(run))] == OF_PREDICTIONS
    assert OF_PREDICTIONS == [
        "acc_clean",
        "acc_corrupted",
        "acc_drop",
        "flip",
        "destroyed",
        "corrected",
        "invalid_pairs",
    ]


def test_every_kind_of_pair_by_hand():
    # right -> wrong, wrong -> right, wrong -> another wrong, unchanged, invalid
    predictions = np.array([[0, 1, 0, -1], [1, 0, 2, 1], [-1, 0, 0, 0]])
    scores = np.where(np.arange(3) == predictions[..., np.newaxis], 0.0, -INF)
    scores[predictions < 0] = NAN
    values = PairValues.of_run(run_of_log_likelihoods(scores, [0, 0, 0])).values
    expected = {
        "acc_corrupted": [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
        "flip": [[1, 0, 0], [1, 1, 0], [0, 0, 0]],
        "destroyed": [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        "corrected": [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
    }
    assert {name: values[name][:, 0, :3].tolist() for name in expected} == expected
    found = metrics_of(scores, [0, 0, 0])
    assert (found["acc_clean"], found["acc_corrupted"], found["flip"]) == (
        1 / 2,
        (1 / 2 + 1 / 3) / 2,
        (1 / 2 + 2 / 3) / 2,
    )
    assert (found["destroyed"], found["corrected"], found["invalid_pairs"]) == (1 / 4, 1 / 6, 4)


def test_conditions_that_were_not_asked_are_neither_invalid_nor_counted():
    run = run_of_log_likelihoods(*random_run(1, conditions=6))
    asked = run.asked.copy()
    asked[::2, :, 3:] = False
    corrupted = np.where(asked[..., np.newaxis], run.corrupted, np.nan)
    found = metrics_of_run(replace(run, asked=asked, corrupted=corrupted))
    assert found["invalid_pairs"] == 0
    assert found == pytest.approx(metrics_of_run(replace(run, corrupted=corrupted)) | {"invalid_pairs": 0}, abs=1e-12)


def test_a_run_of_equal_option_counts_is_scikit_learns():
    log_likelihoods, answer, _ = random_run(11, samples=300, conditions=1)
    log_likelihoods = np.where(np.isinf(log_likelihoods), -4.0, log_likelihoods)
    p = scipy.special.softmax(log_likelihoods[:, 0], axis=-1)
    found = metrics_of(log_likelihoods, answer)
    assert found["nll_clean"] == pytest.approx(log_loss(answer, p, labels=range(5)))
    assert found["brier_clean"] == pytest.approx(brier_score_loss(answer, p, labels=range(5), scale_by_half=False))
    assert math.isnan(found["ras"])
    assert math.isnan(found["ece_corrupted"])


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2, 0.6]))
def test_ras_splits_exactly_over_the_samples_that_have_a_pair(seed, invalid):
    run = run_of_log_likelihoods(*random_run(seed, samples=12, conditions=4, invalid=invalid))
    found, pairs = metrics_of_run(run), PairValues.of_run(run)
    has_pair = pairs.valid.any(axis=(1, 2))
    if not has_pair.any():
        assert math.isnan(found["ras"])
        return
    accuracy = pairs.clean_right[has_pair].mean()
    parts = [(accuracy, found["ras_destructive"]), (1 - accuracy, found["ras_corrective"])]
    # A part that no sample is in is nan, and its weight is 0.
    assert found["ras"] == pytest.approx(sum(weight * part for weight, part in parts if weight > 0), abs=1e-12)
    if not invalid:
        assert accuracy == found["acc_clean"]


def test_without_invalid_pairs_ras_is_the_mean_over_all_pairs():
    log_likelihoods, answer, option_count = random_run(3)
    pairs = [
        ras.robustness_alignment_score(
            scipy.special.softmax(of_sample[0, :count]), scipy.special.softmax(row[:count]), right
        )
        for of_sample, right, count in zip(log_likelihoods, answer, option_count, strict=True)
        for row in of_sample[1:]
    ]
    assert metrics_of(log_likelihoods, answer, option_count)["ras"] == pytest.approx(np.mean(pairs))


def test_the_score_is_replaced_in_one_place(monkeypatch):
    def other_score(clean, corrupted, answer, option_count=None, reading="brier"):
        return np.full(np.broadcast_shapes(clean.shape, corrupted.shape)[:-1], 0.25)

    monkeypatch.setattr(ras, "robustness_alignment_score", other_score)
    found = metrics_of(*random_run(0))
    assert (found["ras"], found["ras_destructive"]) == (0.25, 0.25)


def test_untouched_responses_have_a_score_and_a_drop_of_zero():
    log_likelihoods, answer, option_count = random_run(5)
    log_likelihoods[:, 1:] = log_likelihoods[:, :1]
    found = metrics_of(log_likelihoods, answer, option_count)
    zero = ("ras", "ras_destructive", "ras_corrective", "acc_drop", "flip", "destroyed", "corrected", "hesitation")
    assert {name: found[name] for name in zero} == dict.fromkeys(zero, 0.0)
    assert found["ece_clean"] == pytest.approx(found["ece_corrupted"])


def test_the_drop_of_accuracy_is_relative():
    def drop(clean, corrupted):
        found = METRICS["acc_drop"].computed.of_sums(np.array(10 * clean), np.array(10 * corrupted))
        return float(found)

    with np.errstate(invalid="ignore", divide="ignore"):
        assert drop(0.8, 0.6) == pytest.approx(0.25)
        assert drop(0.5, 0.6) == pytest.approx(-0.2)
        assert math.isnan(drop(0.0, 0.1))


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"are not \(samples, conditions, options\)"):
        run_of_log_likelihoods(np.zeros(shape), np.zeros(shape[0], dtype=int))


def test_an_answer_beyond_a_samples_own_options_is_refused():
    with pytest.raises(ValueError, match="not one of its sample's options"):
        run_of_log_likelihoods(np.zeros((2, 3, 4)), [0, 2], option_counts=[4, 2])


def test_a_metric_is_registered_once_and_can_be_removed():
    metric = replace(METRICS["flip"], name="toy", computed=mean_over_pairs("toy", lambda pairs: pairs.right * 2))
    register(metric)
    try:
        assert list(METRICS)[-1] == "toy"
        with pytest.raises(ValueError, match="a metric named 'toy' already"):
            register(metric)
        found = metrics_of(*random_run(2))
        assert found["toy"] == pytest.approx(2 * found["acc_corrupted"])
    finally:
        unregister("toy")
    assert "toy" not in METRICS


def test_entries_say_everything():
    assert headline_metrics() == (
        "acc_clean",
        "acc_corrupted",
        "acc_drop",
        "ras",
        "ras_destructive",
        "ras_corrective",
        "ras_tempered",
        "temperature",
        "ece_clean",
        "ece_corrupted",
    )
    for name, metric in METRICS.items():
        assert isinstance(metric, Metric)
        assert metric.name == name
        assert metric.label
        assert metric.formula
        assert metric.meaning.endswith(".")
        assert metric.minimum < metric.maximum
        assert metric.computed.sums
    assert [name for name, metric in METRICS.items() if metric.interval == "basic-stretched"] == [
        "ece_clean",
        "ece_corrupted",
    ]


def test_the_table_of_the_docs_is_that_of_the_registry():
    docs = (Path(benchc_metrics.__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", docs, flags=re.MULTILINE)
    bound = {INF: "no limit", -INF: "no limit"}
    assert rows == [
        (
            name,
            metric.meaning,
            metric.formula,
            f"{bound.get(metric.minimum, metric.minimum)} to {bound.get(metric.maximum, metric.maximum)}",
            "yes" if metric.needs_distribution else "no",
        )
        for name, metric in METRICS.items()
    ]
