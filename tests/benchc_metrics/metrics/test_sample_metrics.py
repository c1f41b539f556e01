"""Figures of a sample and of a run: worked out by hand, and by plain loops over the answers."""

import json
import math
import pickle

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from benchc_metrics.assembly import assemble_record
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.sample_metrics import (
    METRICS,
    figures_of_samples,
    relative_drop,
    run_figures,
    sample_figures,
)
from benchc_tasks.stacks.lmms_eval import aggregators

INF, NAN = float("inf"), float("nan")
LN = math.log


def record_of(log_likelihoods, answer=0):
    """A record of rows of log-likelihoods less 3, so that they sum to less than 1; None is an invalid condition."""
    option_count = next((len(row) for row in log_likelihoods if row is not None), max(2, answer + 1))
    results = [[value - 3, False] for row in log_likelihoods for value in (row or [NAN] * option_count)]
    return assemble_record(
        results,
        conditions=["clean", *(f"fog@{severity}" for severity in range(1, len(log_likelihoods)))],
        option_count=option_count,
        answer=answer,
        sample="photo-7",
        dataset="d",
        engine="1",
        benchc="0.1.0",
        prompt="p",
    )


def random_run(seed, samples=40, conditions=6, widest=5, invalid=0.0):
    """Padded log-likelihoods of samples with mixed numbers of options, their answers, and their numbers of options."""
    generator = np.random.default_rng(seed)
    option_count = generator.integers(2, widest + 1, size=samples)
    log_likelihoods = np.round(generator.normal(-3, 2, size=(samples, conditions, widest)).clip(max=-0.1), 1)
    for sample, count in enumerate(option_count):
        log_likelihoods[sample, :, count:] = -INF
    log_likelihoods[generator.random((samples, conditions)) < invalid, 0] = NAN
    return log_likelihoods, generator.integers(0, option_count), option_count


def records_of(log_likelihoods, answer, option_count):
    return [
        record_of([None if np.isnan(row).any() else row[:count].tolist() for row in of_sample], answer=int(right))
        for of_sample, right, count in zip(log_likelihoods, answer, option_count, strict=True)
    ]


def figures_by_loops(log_likelihoods, answer, option_count):
    """The definitions of the design, one answer at a time, with scipy's softmax and entropy."""
    samples = []
    for of_sample, y, count in zip(log_likelihoods, answer, option_count, strict=True):
        answers = []
        for row in of_sample:
            if np.isnan(row[:count]).any():
                answers.append(None)
                continue
            p = scipy.special.softmax(row[:count])
            u, c = scipy.stats.entropy(p) / LN(count), max(p)
            a = 1.0 if list(p).index(c) == y else 0.0
            brier = sum((p_k - (k == y)) ** 2 for k, p_k in enumerate(p))
            answers.append((u, c, a, 1 - abs(a - c), list(p).index(c), brier, -LN(p[y])))
        samples.append(answers)
    clean = [answers[0] for answers in samples if answers[0]]
    pairs = [
        [(answers[0], answer) for answer in answers[1:] if answer] for answers in samples if answers[0] is not None
    ]
    pairs = [of_sample for of_sample in pairs if of_sample]

    def mean(values):
        values = list(values)
        return sum(values) / len(values) if values else NAN

    def over_pairs(function, kept=lambda p: True):
        return mean(mean(function(p, q) for p, q in of_sample) for of_sample in pairs if kept(of_sample[0][0]))

    def score(p, q):
        return (q[3] - p[3]) - abs(q[0] - p[0])

    def ece(answers):
        bins = {}
        for answer in answers:
            bins.setdefault(min(int(answer[1] * 15), 14), []).append(answer[2] - answer[1])
        return sum(abs(sum(gaps)) for gaps in bins.values()) / len(answers)

    acc_clean_of_pairs, acc_corrupted = over_pairs(lambda p, q: p[2]), over_pairs(lambda p, q: q[2])
    return {
        "acc_clean": mean(answer[2] for answer in clean),
        "acc_corrupted": acc_corrupted,
        "acc_drop": (acc_clean_of_pairs - acc_corrupted) / acc_clean_of_pairs,
        "ras": over_pairs(score),
        "ras_destructive": over_pairs(score, lambda p: p[2] == 1),
        "ras_corrective": over_pairs(score, lambda p: p[2] == 0),
        "erroneous_confidence": over_pairs(lambda p, q: q[2] == 0 and q[1] >= p[1]),
        "hesitation": over_pairs(lambda p, q: q[2] == 1 and q[0] > p[0]),
        "flip": over_pairs(lambda p, q: q[4] != p[4]),
        "destroyed": over_pairs(lambda p, q: p[2] == 1 and q[2] == 0),
        "corrected": over_pairs(lambda p, q: p[2] == 0 and q[2] == 1),
        "brier_clean": mean(answer[5] for answer in clean),
        "brier_corrupted": over_pairs(lambda p, q: q[5]),
        "nll_clean": mean(answer[6] for answer in clean),
        "nll_corrupted": over_pairs(lambda p, q: q[6]),
        "ece_clean": ece(clean),
        "ece_corrupted": ece([q for of_sample in pairs for _, q in of_sample]),
        "invalid_pairs": sum(answers[0] is None or answer is None for answers in samples for answer in answers[1:]),
    }


AGGREGATORS = {name: getattr(aggregators, name, aggregators.mean) for name in METRICS}


def test_figures_of_one_sample_by_hand():
    # Right at 0.8; then right at 0.6 (hesitating), wrong at 0.9 (surer: erroneous confidence).
    record = record_of([[LN(0.8), LN(0.2)], [LN(0.6), LN(0.4)], [LN(0.1), LN(0.9)]])
    figures = sample_figures(record)
    u = {p: -(p * LN(p) + (1 - p) * LN(1 - p)) / LN(2) for p in (0.8, 0.6, 0.9)}
    expected_ras = ((0.6 - 0.8) - (u[0.6] - u[0.8]) + (0.1 - 0.8) - (u[0.8] - u[0.9])) / 2
    numbers = {name: value for name, value in figures.items() if isinstance(value, float)}
    assert numbers == pytest.approx(
        {
            "acc_clean": 1.0,
            "acc_corrupted": 0.5,
            "ras": expected_ras,
            "ras_destructive": expected_ras,
            "erroneous_confidence": 0.5,
            "hesitation": 0.5,
            "flip": 0.5,
            "destroyed": 0.5,
            "corrected": 0.0,
            "brier_clean": 2 * 0.2**2,
            "brier_corrupted": (2 * 0.4**2 + 2 * 0.9**2) / 2,
            "nll_clean": -LN(0.8),
            "nll_corrupted": -(LN(0.6) + LN(0.1)) / 2,
        }
    )
    assert figures["ras_corrective"] is None
    assert figures["acc_drop"] == [1.0, 0.5]
    assert figures["ece_clean"] == [[pytest.approx(0.8), 1.0]]
    assert figures["ece_corrupted"] == [[pytest.approx(0.6), 1.0], [pytest.approx(0.9), 0.0]]
    assert figures["invalid_pairs"] == [0, 2]
    assert list(figures) == list(METRICS)


def test_sample_that_is_wrong_when_clean_has_a_corrective_part_only():
    figures = sample_figures(record_of([[-1.0, -0.2], [-0.2, -1.0]]))
    assert figures["ras_destructive"] is None
    assert figures["ras_corrective"] == figures["ras"]
    assert (figures["corrected"], figures["destroyed"], figures["flip"]) == (1.0, 0.0, 1.0)


def test_invalid_corrupted_condition_is_counted_and_left_out():
    whole = sample_figures(record_of([[-0.2, -1.0], [-0.5, -0.7]]))
    with_invalid = sample_figures(record_of([[-0.2, -1.0], None, [-0.5, -0.7], None]))
    assert with_invalid.pop("invalid_pairs") == [2, 3]
    assert whole.pop("invalid_pairs") == [0, 1]
    assert with_invalid == whole


def test_sample_whose_clean_condition_is_invalid_counts_in_invalid_pairs_only():
    figures = sample_figures(record_of([None, [-0.5, -0.7], [-0.5, -0.7]]))
    assert figures.pop("invalid_pairs") == [2, 2]
    assert (figures.pop("ece_clean"), figures.pop("ece_corrupted")) == ([], [])
    assert set(figures.values()) == {None}


def test_sample_without_any_answer_has_no_figures():
    figures = sample_figures(record_of([None, None], answer=1))
    assert figures["invalid_pairs"] == [1, 1]
    assert figures["acc_clean"] is None


def test_sample_without_a_valid_corrupted_condition_keeps_its_clean_figures():
    figures = sample_figures(record_of([[-0.2, -1.0], None]))
    assert figures["acc_clean"] == 1.0
    assert figures["acc_corrupted"] is figures["ras"] is figures["acc_drop"] is figures["ras_destructive"] is None
    assert len(figures["ece_clean"]) == 1


def test_items_are_json_and_pickle_and_a_mean_is_made_of_plain_floats():
    figures = sample_figures(record_of([[-0.2, -INF], [-0.5, -0.7], None]))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert pickle.loads(pickle.dumps(figures)) == figures
    for name, item in figures.items():
        assert type(item) in {float, type(None), list}, name
        assert (type(item) is list) == (name in {"acc_drop", "ece_clean", "ece_corrupted", "invalid_pairs"}), name


@pytest.mark.parametrize("invalid", [0.0, 0.3])
@pytest.mark.parametrize("conditions", [6, 2])  # with two, a sample can be valid when clean and have no valid pair
@pytest.mark.parametrize("seed", range(4))
def test_run_is_what_loops_over_the_answers_give(seed, conditions, invalid):
    run = random_run(seed, conditions=conditions, invalid=invalid)
    figures = run_figures(*run)
    assert list(figures) == list(METRICS)
    assert figures == pytest.approx(figures_by_loops(*run), abs=1e-12)
    assert (figures["invalid_pairs"] > 0) == (invalid > 0)


@pytest.mark.parametrize("invalid", [0.0, 0.3, 1.0])
def test_aggregated_items_are_the_figures_of_the_run(invalid):
    run = random_run(7, invalid=invalid)
    items = [sample_figures(record) for record in records_of(*run)]
    items = pickle.loads(pickle.dumps(items))
    aggregated = {name: AGGREGATORS[name]([item[name] for item in items]) for name in METRICS}
    assert aggregated == pytest.approx(run_figures(*run), abs=1e-12, nan_ok=True)


def test_run_of_equal_option_counts_is_scikit_learns():
    log_likelihoods, answer, _ = random_run(11, samples=300, conditions=1)
    log_likelihoods = np.where(np.isinf(log_likelihoods), -4.0, log_likelihoods)
    p = scipy.special.softmax(log_likelihoods[:, 0], axis=-1)
    figures = run_figures(log_likelihoods, answer)
    assert figures["nll_clean"] == pytest.approx(log_loss(answer, p, labels=range(5)))
    assert figures["brier_clean"] == pytest.approx(brier_score_loss(answer, p, labels=range(5), scale_by_half=False))
    assert math.isnan(figures["ras"])
    assert math.isnan(figures["ece_corrupted"])


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2, 0.6]))
def test_ras_splits_exactly_over_the_samples_that_have_a_pair(seed, invalid):
    run = random_run(seed, samples=12, conditions=4, invalid=invalid)
    figures = run_figures(*run)
    of_samples = figures_of_samples(*run).figures
    has_pair = ~np.isnan(of_samples["ras"])
    if not has_pair.any():
        assert math.isnan(figures["ras"])
        return
    accuracy = of_samples["acc_clean"][has_pair].mean()
    parts = [(accuracy, figures["ras_destructive"]), (1 - accuracy, figures["ras_corrective"])]
    # A part that no sample is in is nan, and its weight is 0.
    assert figures["ras"] == pytest.approx(sum(weight * part for weight, part in parts if weight > 0), abs=1e-12)
    if not invalid:
        assert accuracy == figures["acc_clean"]


def test_without_invalid_pairs_ras_is_the_mean_over_all_pairs():
    log_likelihoods, answer, option_count = random_run(3)
    pairs = [
        ras.robustness_alignment_score(
            scipy.special.softmax(of_sample[0, :count]), scipy.special.softmax(row[:count]), right
        )
        for of_sample, right, count in zip(log_likelihoods, answer, option_count, strict=True)
        for row in of_sample[1:]
    ]
    assert run_figures(log_likelihoods, answer, option_count)["ras"] == pytest.approx(np.mean(pairs))


def test_score_is_replaced_in_one_place(monkeypatch):
    def other_score(clean, corrupted, answer, option_count=None):
        return np.full(np.broadcast_shapes(clean.shape, corrupted.shape)[:-1], 0.25)

    monkeypatch.setattr(ras, "robustness_alignment_score", other_score)
    assert run_figures(*random_run(0))["ras"] == 0.25
    assert sample_figures(record_of([[-0.2, -1.0], [-0.5, -0.7]]))["ras_destructive"] == 0.25


def test_untouched_answers_have_a_score_and_a_drop_of_zero():
    log_likelihoods, answer, option_count = random_run(5)
    log_likelihoods[:, 1:] = log_likelihoods[:, :1]
    figures = run_figures(log_likelihoods, answer, option_count)
    zero = ("ras", "ras_destructive", "ras_corrective", "acc_drop", "flip", "destroyed", "corrected", "hesitation")
    assert {name: figures[name] for name in zero} == dict.fromkeys(zero, 0.0)
    assert figures["ece_clean"] == pytest.approx(figures["ece_corrupted"])


def test_relative_drop():
    assert relative_drop(0.8, 0.6) == pytest.approx(0.25)
    assert relative_drop(0.5, 0.6) == pytest.approx(-0.2)
    assert math.isnan(relative_drop(0.0, 0.1))


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"are not \(samples, conditions, options\)"):
        run_figures(np.zeros(shape), np.zeros(shape[0], dtype=int))


def test_answer_beyond_a_samples_own_options_is_refused():
    with pytest.raises(ValueError, match="none of its sample's options"):
        run_figures(np.zeros((2, 3, 4)), [0, 2], option_count=[4, 2])
