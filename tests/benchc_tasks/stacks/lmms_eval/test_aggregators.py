"""Aggregators as lmms-eval calls them: over a task's items, over a group's tasks, through pickles and JSON."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from lmms_eval.api.group import ConfigurableGroup
from lmms_eval.api.task import Task
from lmms_eval.evaluator_utils import TaskOutput, consolidate_group_results, consolidate_results

from benchc_metrics.metrics.calibration import CalibrationBins, expected_calibration_error
from benchc_tasks.stacks.lmms_eval import aggregators
from benchc_tasks.stacks.lmms_eval.aggregators import CalibrationErrorOfBins


def answers(seed, samples=9, of_each=5):
    generator = np.random.default_rng(seed)
    confidence = generator.random((samples, of_each))
    correct = (generator.random((samples, of_each)) < confidence).astype(float)
    items = [list(map(list, zip(*row, strict=True))) for row in zip(confidence.tolist(), correct.tolist(), strict=True)]
    return confidence, correct, items


def test_mean_skips_samples_without_the_figure():
    assert aggregators.mean([0.5, None, 1.0, None]) == 0.75
    assert aggregators.ras_destructive([None, -0.5]) == -0.5
    assert aggregators.ras_corrective([0.25, None]) == 0.25


@pytest.mark.parametrize("aggregator", [aggregators.mean, aggregators.ras_destructive, aggregators.ras_corrective])
@pytest.mark.parametrize("items", [[], [None, None]])
def test_mean_of_nothing_is_nan(aggregator, items):
    assert math.isnan(aggregator(items))


def test_accuracy_drop_is_relative_and_over_the_set():
    # 3 of 4 right when clean, 0.45 under corruption; no mean of the samples' own drops, of which two are undefined.
    items = [[1.0, 0.8], [1.0, 0.4], None, [1.0, 0.6], [0.0, 0.0]]
    assert aggregators.acc_drop(items) == pytest.approx((0.75 - 0.45) / 0.75)
    assert math.isnan(aggregators.acc_drop([[0.0, 1.0]]))
    assert math.isnan(aggregators.acc_drop([None]))


@pytest.mark.parametrize("aggregator", [aggregators.mean, aggregators.ras_destructive, aggregators.ras_corrective])
def test_a_mean_and_its_standard_error_have_the_same_bits_in_any_order(aggregator):
    generator = np.random.default_rng(7)
    items = [*generator.normal(size=200).tolist(), *[None] * 9]
    means, errors = set(), set()
    for _ in range(20):
        generator.shuffle(items)
        shuffled = list(items)
        means.add(aggregator(shuffled))
        # As lmms-eval computes it, from the list that the aggregator was given.
        errors.add(np.std([item for item in shuffled if item is not None], ddof=1))
    assert len(means) == len(errors) == 1


@pytest.mark.parametrize("aggregator", [aggregators.ece_clean, aggregators.ece_corrupted])
def test_an_ece_has_the_same_bits_in_any_order(aggregator):
    _, _, items = answers(5, samples=60)
    generator = np.random.default_rng(6)
    assert len({aggregator([items[place] for place in generator.permutation(60)]) for _ in range(20)}) == 1


@pytest.mark.parametrize("aggregator", [aggregators.ece_clean, aggregators.ece_corrupted])
def test_ece_is_over_all_answers_of_all_samples(aggregator):
    confidence, correct, items = answers(0)
    assert aggregator([*items, []]) == pytest.approx(expected_calibration_error(confidence, correct))
    assert math.isnan(aggregator([[], []]))


def test_ece_is_a_float_to_everyone():
    confidence, correct, items = answers(1)
    error = aggregators.ece_corrupted(items)
    expected = expected_calibration_error(confidence, correct)
    assert isinstance(error, float)
    assert "%.4f" % error == f"{error:.4f}" == f"{expected:.4f}"  # noqa: UP031  # as lmms-eval's table writes it
    assert json.loads(json.dumps({"ece": error})) == {"ece": pytest.approx(expected)}
    assert type(error * 2 + 1) is float
    for copied in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error), copy.copy(error)):
        assert copied == error
        assert copied.bins.count.tolist() == error.bins.count.tolist()


def test_group_ece_is_that_of_all_answers_together():
    parts = [answers(seed, samples) for seed, samples in ((2, 4), (3, 11), (4, 1))]
    errors = [aggregators.ece_corrupted(items) for _, _, items in parts]
    whole = expected_calibration_error(
        np.concatenate([confidence.ravel() for confidence, _, _ in parts]),
        np.concatenate([correct.ravel() for _, correct, _ in parts]),
    )
    for weight_by_size in (True, False):
        assert aggregators.group_ece(errors, [4, 11, 1], weight_by_size) == pytest.approx(whole, abs=1e-12)
    assert np.mean(errors) != pytest.approx(whole, abs=1e-3)
    empty = aggregators.ece_corrupted([[]])
    assert aggregators.group_ece([*errors, empty], [4, 11, 1, 0], False) == pytest.approx(whole, abs=1e-12)


def test_group_ece_without_bins_is_nan_and_no_wrong_number():
    error = aggregators.ece_clean([[[0.9, 1.0]]])
    assert math.isnan(aggregators.group_ece([error, 0.1], [1, 1], False))
    assert math.isnan(aggregators.group_ece([], [], False))
    assert math.isnan(aggregators.group_ece([CalibrationErrorOfBins(CalibrationBins.from_answers([], []))], [0], False))


def test_invalid_pairs_are_summed():
    assert aggregators.invalid_pairs([[0, 5], [2, 5], [5, 5]]) == 7.0
    assert aggregators.group_sum([7.0, 0.0, 1.0], [3, 3, 3], False) == 8.0


METRICS = {
    "ras": aggregators.mean,
    "ras_destructive": aggregators.ras_destructive,
    "acc_drop": aggregators.acc_drop,
    "ece_corrupted": aggregators.ece_corrupted,
    "invalid_pairs": aggregators.invalid_pairs,
}


class MetricsOnlyTask(Task):
    """As much of a task as lmms-eval's aggregation looks at."""

    construct_requests = doc_to_target = doc_to_text = process_results = None
    has_test_docs = has_training_docs = has_validation_docs = None

    def __init__(self, name):
        self.task_name = name

    def aggregation(self):
        return METRICS

    def higher_is_better(self):
        return {}

    def dump_config(self):
        return {"num_fewshot": 0}

    VERSION = 1


def test_lmms_eval_aggregates_tasks_and_their_group():
    items = {
        "benchc_fog": [
            {"ras": -0.2, "ras_destructive": -0.2, "acc_drop": [1.0, 0.5], "ece_corrupted": [[0.9, 0.0], [0.6, 1.0]]},
            {"ras": -0.4, "ras_destructive": None, "acc_drop": [0.0, 0.5], "ece_corrupted": [[0.7, 0.0], [0.8, 1.0]]},
            {"ras": -0.9, "ras_destructive": -0.9, "acc_drop": [1.0, 0.0], "ece_corrupted": [[0.8, 0.0], [0.8, 0.0]]},
        ],
        "benchc_snow": [
            {"ras": 0.1, "ras_destructive": 0.1, "acc_drop": [1.0, 1.0], "ece_corrupted": [[0.9, 1.0], [0.9, 1.0]]},
            {"ras": None, "ras_destructive": None, "acc_drop": None, "ece_corrupted": []},
            {"ras": 0.3, "ras_destructive": 0.3, "acc_drop": [1.0, 1.0], "ece_corrupted": [[0.8, 1.0]]},
        ],
    }
    invalid = {"benchc_fog": [[0, 2], [0, 2], [0, 2]], "benchc_snow": [[0, 2], [2, 2], [1, 2]]}
    tasks = {name: MetricsOnlyTask(name) for name in items}
    outputs = []
    for name, task in tasks.items():
        output = TaskOutput.from_taskdict(name, task)
        for item, pairs in zip(items[name], invalid[name], strict=True):
            for metric, value in (item | {"invalid_pairs": pairs}).items():
                output.sample_metrics[metric, "none"].append(value)
        output.calculate_aggregate_metric(bootstrap_iters=10)
        output.calculate_clt_aggregate_metric()
        outputs.append(output)
    results, _, _, versions, _, _ = consolidate_results(outputs)
    group = ConfigurableGroup(
        {
            "group": "benchc",
            "aggregate_metric_list": [
                {"metric": "ras", "aggregation": "mean", "weight_by_size": False},
                {"metric": "acc_drop", "aggregation": "mean", "weight_by_size": False},
                {"metric": "ece_corrupted", "aggregation": aggregators.group_ece, "weight_by_size": False},
                {"metric": "invalid_pairs", "aggregation": aggregators.group_sum, "weight_by_size": False},
            ],
        }
    )
    results, _, _, _ = consolidate_group_results(results, versions, {group: tasks})

    fog, snow, both = results["benchc_fog"], results["benchc_snow"], results["benchc"]
    assert fog["ras,none"] == pytest.approx(-0.5)
    assert snow["ras,none"] == pytest.approx(0.2)
    assert both["ras,none"] == pytest.approx(-0.15)
    assert both["ras_destructive,none"] == pytest.approx((-0.55 + 0.2) / 2)
    assert fog["acc_drop,none"] == pytest.approx((2 / 3 - 1 / 3) / (2 / 3))
    # All nine answers together: 0.9 three times, 0.6, 0.7, and 0.8 four times fall into four bins of width 1/15.
    gaps = [abs(2 - 2.7), abs(1 - 0.6), abs(0 - 0.7), abs(2 - 3.2)]
    assert both["ece_corrupted,none"] == pytest.approx(sum(gaps) / 9)
    assert both["invalid_pairs,none"] == 3.0
    assert (fog["samples"], both["samples"]) == (3, 6)

    # The standard error of a mean is over the samples that have the figure; of what is no mean there is none.
    assert fog["ras_stderr_clt,none"] == pytest.approx(np.std([-0.2, -0.4, -0.9], ddof=1) / np.sqrt(3))
    assert snow["ras_stderr_clt,none"] == pytest.approx(np.std([0.1, 0.3], ddof=1) / np.sqrt(2))
    assert fog["ras_destructive_stderr_clt,none"] == pytest.approx(np.std([-0.2, -0.9], ddof=1) / np.sqrt(2))
    for metric in ("acc_drop", "ece_corrupted", "invalid_pairs"):
        assert fog[f"{metric}_stderr_clt,none"] == "N/A"
        assert both[f"{metric}_stderr,none"] == "N/A"
