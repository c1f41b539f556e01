"""Aggregators as lmms-eval calls them: over a task's items, over a group's tasks, through pickles and JSON."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmms_eval.api.group import ConfigurableGroup
from lmms_eval.api.task import Task
from lmms_eval.evaluator_utils import TaskOutput, consolidate_group_results, consolidate_results
from metrics_reference import metrics_by_loops

from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.records.assembly import assemble_generation_record, assemble_record
from benchc_metrics.runs import run_of_records
from benchc_tasks.stacks.aggregators import (
    MetricOfSample,
    MetricOfTask,
    SumsOfSample,
    UndefinedOfSample,
    items_of_record,
    mean,
    over_samples,
    over_tasks,
)
from support import logged

NAN = float("nan")
LN = math.log
MEANS = ("acc_clean", "acc_corrupted", "flip", "destroyed", "corrected")
NO_MEANS = {"acc_drop", "ece_clean", "ece_corrupted", "invalid_pairs"}
FACTS = {"dataset": "d", "engine": "1", "benchc": "0.1.0", "prompt": "p"}


def record_of(log_likelihoods, answer=0, sample="photo-7", corruption="fog", option_count=None):
    """A record of rows of log-likelihoods less 3, so that they sum to less than 1; None is an invalid condition."""
    option_count = option_count or next((len(row) for row in log_likelihoods if row is not None), max(2, answer + 1))
    results = [[value - 3, False] for row in log_likelihoods for value in (row or [NAN] * option_count)]
    conditions = ["clean", *(f"{corruption}@{severity}" for severity in range(1, len(log_likelihoods)))]
    return assemble_record(
        results, conditions=conditions, option_count=option_count, answer=answer, sample=sample, **FACTS
    )


def items_of(log_likelihoods, answer=0):
    return items_of_record(record_of(log_likelihoods, answer), METRICS)


def random_records(seed, samples=20, severities=5, invalid=0.0, corruption="fog", clean=None):
    """Records of a task of 3 options, and their log-likelihoods; clean rows are those given."""
    generator = np.random.default_rng(seed)
    scores = np.round(generator.normal(-3, 2, size=(samples, 1 + severities, 3)).clip(max=-0.1), 1)
    if clean is not None:
        scores[:, 0] = clean
    scores[generator.random((samples, 1 + severities)) < invalid] = NAN
    records = [
        record_of(
            [None if np.isnan(row).any() else row.tolist() for row in of_sample],
            answer=place % 3,
            sample=f"sample-{place:03}",
            corruption=corruption,
            option_count=3,
        )
        for place, of_sample in enumerate(scores)
    ]
    return records, scores


def task_metrics(records):
    items = [items_of_record(record, METRICS) for record in records]
    return {name: over_samples([item[name] for item in items]) for name in METRICS}


def test_items_of_one_sample_by_hand():
    # Right at 0.8; then right at 0.6 (hesitating), wrong at 0.9 (surer: erroneous confidence).
    items = items_of([[LN(0.8), LN(0.2)], [LN(0.6), LN(0.4)], [LN(0.1), LN(0.9)]])
    u = {p: -(p * LN(p) + (1 - p) * LN(1 - p)) / LN(2) for p in (0.8, 0.6, 0.9)}
    expected_ras = ((0.84 - 0.96) - (u[0.6] - u[0.8]) + (0.19 - 0.96) - (u[0.8] - u[0.9])) / 2
    numbers = {name: value for name, value in items.items() if isinstance(value, float)}
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
    assert items["ras_corrective"] == "not defined"
    assert items["acc_drop"] == [1.0, 0.5]
    assert items["invalid_pairs"] == [2, 2]
    # Of 15 bins of confidence, 0.8 is in bin 12; 0.6 is in bin 9 and 0.9 in bin 13. Behind them the number of answers.
    assert items["ece_clean"] == pytest.approx([0.0] * 12 + [0.2, 0.0, 0.0, 1])
    assert items["ece_corrupted"] == pytest.approx([0.0] * 9 + [0.4, 0.0, 0.0, 0.0, -0.9, 0.0, 2])
    assert list(items) == list(METRICS)


def test_a_sample_that_is_wrong_when_clean_has_a_corrective_part_only():
    items = items_of([[-1.0, -0.2], [-0.2, -1.0]])
    assert items["ras_destructive"] == "not defined"
    assert items["ras_corrective"] == items["ras"]
    assert (items["corrected"], items["destroyed"], items["flip"]) == (1.0, 0.0, 1.0)


def test_an_invalid_corrupted_condition_is_counted_and_left_out():
    whole = items_of([[-0.2, -1.0], [-0.5, -0.7]])
    with_invalid = items_of([[-0.2, -1.0], None, [-0.5, -0.7], None])
    assert with_invalid.pop("invalid_pairs") == [3, 1]
    assert whole.pop("invalid_pairs") == [1, 1]
    assert with_invalid == whole


@pytest.mark.parametrize("rows", [[None, [-0.5, -0.7], [-0.5, -0.7]], [None, None, None]])
def test_a_sample_whose_clean_condition_is_invalid_counts_in_invalid_pairs_only(rows):
    items = items_of(rows, answer=1)
    assert items.pop("invalid_pairs") == [2, 0]
    assert [items.pop(name) for name in ("ece_clean", "ece_corrupted", "acc_drop")] == [[0] * 16, [0] * 16, [0, 0]]
    assert set(items.values()) == {"not defined"}


def test_a_sample_without_a_valid_corrupted_condition_keeps_its_clean_metrics():
    items = items_of([[-0.2, -1.0], None])
    assert items["acc_clean"] == 1.0
    assert {items[name] for name in ("acc_corrupted", "ras", "ras_destructive")} == {"not defined"}
    assert items["acc_drop"] == [0, 0]
    assert items["ece_clean"][-1] == 1


def test_items_are_json_and_pickle_and_a_mean_is_made_of_floats():
    items = items_of([[-0.2, -float("inf")], [-0.5, -0.7], None])
    assert json.loads(json.dumps(items, allow_nan=False)) == items
    again = pickle.loads(pickle.dumps(items))
    assert again == items
    for name, item in again.items():
        assert (item.metric, item.record) == (name, items[name].record)
        assert type(item) in {MetricOfSample, UndefinedOfSample, SumsOfSample}, name
        assert isinstance(item, list) == (name in NO_MEANS), name


@pytest.mark.parametrize("invalid", [0.0, 0.3, 1.0])
def test_aggregated_items_are_the_metrics_of_all_responses(invalid):
    records, scores = random_records(7, invalid=invalid)
    items = pickle.loads(pickle.dumps([items_of_record(record, METRICS) for record in records]))
    aggregated = {name: over_samples([item[name] for item in items]) for name in METRICS}
    expected = metrics_by_loops(scores, [place % 3 for place in range(len(records))])
    assert aggregated == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_and_its_standard_error_have_the_same_bits_in_any_order(name):
    records, _ = random_records(3, samples=40, invalid=0.1)
    generator = np.random.default_rng(7)
    items = [items_of_record(record, [name])[name] for record in records]
    metrics, errors = set(), set()
    for _ in range(6):
        shuffled = [items[place] for place in generator.permutation(len(items))]
        metrics.add(over_samples(shuffled))
        # As lmms-eval computes it, from the list that the aggregator was given.
        errors.add(float(np.std([item for item in shuffled if isinstance(item, float)] or [0], ddof=0)))
    assert len(metrics) == len(errors) == 1


def test_metrics_of_nothing_are_nan():
    assert math.isnan(over_samples([]))
    assert math.isnan(over_tasks([], []))
    nothing = task_metrics([record_of([None, None], answer=1)])
    assert [name for name, value in nothing.items() if not math.isnan(value)] == ["invalid_pairs"]


@given(st.integers(1, 4), st.integers(0, 1 << 20), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_group_s_row_is_the_summary_of_all_its_records(samples, seed, any_invalid):
    """With invalid pairs, and with clean responses that are invalid in some of the tasks only."""
    clean = np.round(np.random.default_rng(seed).normal(-3, 2, size=(samples, 3)).clip(max=-0.1), 1)
    tasks = {
        # Out of the order of the alphabet, in which the samples logs are read.
        name: random_records(seed + place, samples, 2, invalid, corruption=name, clean=clean)
        for place, (name, invalid) in enumerate((("snow", 0.3 * any_invalid), ("fog", 0.3), ("frost", 0.3)))
    }
    of_tasks = [task_metrics(records) for records, _ in tasks.values()]
    group = {name: over_tasks([task[name] for task in of_tasks], [samples] * 3, False) for name in METRICS}
    logs = {f"benchc_{name}": tasks[name][0] for name in sorted(tasks)}
    assert group == pytest.approx(metrics_of_run(run_of_records("all", logs)), abs=1e-12, nan_ok=True)
    # By definition: a sample's clean response is its first valid one.
    first = np.full_like(clean, np.nan)
    for name in sorted(tasks, reverse=True):
        found = tasks[name][1][:, 0]
        first = np.where(np.isnan(found), first, found)
    everything = np.concatenate([first[:, np.newaxis], *(scores[:, 1:] for _, scores in tasks.values())], axis=1)
    expected = metrics_by_loops(everything, [place % 3 for place in range(samples)])
    assert group == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_group_s_row_is_no_mean_over_its_tasks():
    fog = task_metrics([record_of([[-1, -2], [-1, -2], None, None], corruption="fog")])
    snow = task_metrics([record_of([[-1, -2], [-2, -1], [-2, -1], [-2, -1]], corruption="snow")])
    assert (fog["flip"], snow["flip"]) == (0, 1)
    assert over_tasks([fog["flip"], snow["flip"]], [1, 1]) == 3 / 4


def test_a_plain_number_of_a_task_makes_no_metric_of_a_group():
    fog = task_metrics([record_of([[-1, -2], [-1, -2]])])
    assert math.isnan(over_tasks([fog["ras"], 0.5], [1, 1]))
    assert math.isnan(over_tasks([fog["ras"], "not defined"], [1, 1]))


def test_records_that_do_not_belong_together_make_no_row_and_a_warning():
    fog = task_metrics([record_of([[-1, -2], [-1, -2]])])
    with logged("WARNING") as lines:
        assert math.isnan(over_tasks([fog["flip"], fog["flip"]], [1, 1]))
        assert math.isnan(over_tasks([fog["ras"], fog["ras"]], [1, 1]))
    assert len(lines) == 1
    assert "these metrics are undefined: the evaluation has two answers of sample 'photo-7' under fog@1" in lines[0]


def test_a_metric_of_a_task_is_a_float_to_everyone():
    records, _ = random_records(1)
    number = task_metrics(records)["ece_corrupted"]
    assert type(number) is MetricOfTask
    assert "%.4f" % number == f"{number:.4f}" == f"{float(number):.4f}"  # noqa: UP031  # as lmms-eval's table writes it
    assert json.loads(json.dumps({"ece": number})) == {"ece": float(number)}
    assert type(number * 2 + 1) is float
    for kept in (copy.copy(number), copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert kept == number
        assert (kept.metric, kept.tasks) == (number.metric, number.tasks)


def generation_record(*texts, sample="sample-0", corruption="fog", answer=1):
    return assemble_generation_record(
        texts,
        options=("dog", "cat", "bird"),
        conditions=("clean", *(f"{corruption}@{severity}" for severity in range(1, len(texts)))),
        sample=sample,
        source=None,
        category=None,
        option_count=3,
        answer=answer,
        **FACTS,
    )


def test_generated_answers_use_the_same_metrics():
    items = items_of_record(generation_record("B", "B", "A", "nothing"), METRICS)
    assert [items[name] for name in MEANS] == [1, 0.5, 0.5, 0.5, 0]
    assert (items["acc_drop"], items["invalid_pairs"]) == ([1, 0.5], [3, 2])
    undefined = [name for name, item in items.items() if item == "not defined"]
    assert undefined == [name for name, metric in METRICS.items() if metric.needs_distribution]
    no_clean = items_of_record(generation_record("nothing", "B", "A"), METRICS)
    assert no_clean["invalid_pairs"] == [2, 0]
    assert {no_clean[name] for name in MEANS} == {"not defined"}
    no_pair = items_of_record(generation_record("A", "nothing"), METRICS)
    assert (no_pair["acc_clean"], no_pair["acc_corrupted"], no_pair["flip"]) == (0, "not defined", "not defined")


LETTER = st.sampled_from(["A", "B", "C", "no idea"])


@given(st.integers(1, 5), st.data())
@settings(max_examples=25, deadline=None)
def test_a_group_of_generated_answers_is_that_of_choice_scoring_on_the_same_predictions(samples, data):
    corruptions = ("fog", "snow", "frost")
    clean = [data.draw(LETTER) for _ in range(samples)]
    texts = {name: [[data.draw(LETTER) for _ in (1, 2)] for _ in range(samples)] for name in corruptions}
    of_tasks = [
        task_metrics(
            [
                generation_record(clean[n], *texts[name][n], sample=f"sample-{n}", corruption=name, answer=n % 3)
                for n in range(samples)
            ]
        )
        for name in corruptions
    ]
    group = {name: over_tasks([task[name] for task in of_tasks], [samples] * 3, False) for name in METRICS}
    everything = [[clean[n], *(text for name in corruptions for text in texts[name][n])] for n in range(samples)]
    predictions = np.array([["ABC".find(text) for text in row] for row in everything])
    scores = np.where(np.arange(3) == predictions[..., np.newaxis], 0.0, -np.inf)
    scores[predictions < 0] = NAN
    expected = metrics_by_loops(scores, [n % 3 for n in range(samples)])
    for name, metric in METRICS.items():
        if metric.needs_distribution:
            assert group[name] == "not defined"
        else:
            assert group[name] == pytest.approx(expected[name], nan_ok=True, abs=1e-12), name


def test_the_mean_of_plain_numbers():
    assert mean([0.5, None, 1.0, None]) == 0.75
    assert math.isnan(mean([None]))


class MetricsOnlyTask(Task):
    """As much of a task as lmms-eval's aggregation looks at."""

    construct_requests = doc_to_target = doc_to_text = process_results = None
    has_test_docs = has_training_docs = has_validation_docs = None

    def __init__(self, name):
        self.task_name = name

    def aggregation(self):
        return dict.fromkeys(METRICS, over_samples)

    def higher_is_better(self):
        return {}

    def dump_config(self):
        return {"num_fewshot": 0}

    VERSION = 1


def test_lmms_eval_aggregates_tasks_and_their_group():
    records = {
        f"benchc_{name}": random_records(place, samples=5, invalid=0.15, corruption=name)[0]
        for place, name in enumerate(("fog", "snow"))
    }
    records["benchc_snow"] = [
        record.model_copy(
            update={
                "log_likelihoods": (fog.log_likelihoods[0], *record.log_likelihoods[1:]),
                "predictions": (fog.predictions[0], *record.predictions[1:]),
                "invalid": {name: why for name, why in record.invalid.items() if name != "clean"}
                | {name: why for name, why in fog.invalid.items() if name == "clean"},
            }
        )
        for record, fog in zip(records["benchc_snow"], records["benchc_fog"], strict=True)
    ]
    tasks = {name: MetricsOnlyTask(name) for name in records}
    outputs = []
    for name, task in tasks.items():
        output = TaskOutput.from_taskdict(name, task)
        for record in records[name]:
            for metric, item in items_of_record(record, METRICS).items():
                output.sample_metrics[metric, "none"].append(item)
        output.calculate_aggregate_metric(bootstrap_iters=10)
        output.calculate_clt_aggregate_metric()
        outputs.append(output)
    results, _, _, versions, _, _ = consolidate_results(outputs)
    group = ConfigurableGroup(
        {
            "group": "benchc",
            "aggregate_metric_list": [
                {"metric": name, "aggregation": over_tasks, "weight_by_size": False} for name in METRICS
            ],
        }
    )
    results, _, _, _ = consolidate_group_results(results, versions, {group: tasks})

    for name, of_task in records.items():
        expected = metrics_of_run(run_of_records(name, {name: of_task}))
        assert {metric: results[name][f"{metric},none"] for metric in METRICS} == pytest.approx(expected, abs=1e-12)
    expected = metrics_of_run(run_of_records("both", records))
    found = {metric: results["benchc"][f"{metric},none"] for metric in METRICS}
    assert found == pytest.approx(expected, abs=1e-12)
    assert found["invalid_pairs"] > 0
    assert (results["benchc_fog"]["samples"], results["benchc"]["samples"]) == (5, 10)

    # The standard error of a mean is over the samples that have the metric; of what is no mean there is none.
    fog = results["benchc_fog"]
    for metric in METRICS:
        items = [items_of_record(record, [metric])[metric] for record in records["benchc_fog"]]
        numbers = [item for item in items if isinstance(item, float)]
        found = fog[f"{metric}_stderr_clt,none"]
        if metric in NO_MEANS:
            assert found == "N/A"
            assert results["benchc"][f"{metric}_stderr,none"] == "N/A"
        else:
            expected = np.std(numbers, ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else "N/A"
            assert found == (pytest.approx(expected) if len(numbers) > 1 else "N/A")


def test_a_task_of_the_control_has_its_metrics_and_no_group_mixes_them_in():
    fog, scores = random_records(3)
    control, _ = random_records(4, corruption="control", clean=scores[:, 0])
    of_fog, of_control = task_metrics(fog), task_metrics(control)
    assert of_control["acc_corrupted"] == metrics_of_run(run_of_records("alone", {"t": control}))["acc_corrupted"]
    for name in ("ras", "acc_corrupted", "flip", "ece_corrupted"):
        assert of_control[name] != of_fog[name]
        assert over_tasks([of_control[name], of_fog[name]], [20, 20]) == of_fog[name]
