"""Aggregators of generated answers: a group's figures are those of all its answers, and lmms-eval's own machinery."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.assembly import assemble_generation_record
from benchc_metrics.generation_figures import generation_figures
from benchc_metrics.metrics.sample_metrics import run_figures
from benchc_metrics.records import SampleRecord
from benchc_tasks.stacks.lmms_eval.aggregators import group_sum, invalid_pairs
from benchc_tasks.stacks.lmms_eval.generation_aggregators import (
    PairedCounts,
    RelativeDrop,
    SampleShare,
    ShareOfSamples,
    group_ras_not_defined,
    group_relative_drop,
    group_share,
    ras_not_defined,
    relative_accuracy_drop,
    share,
)

OPTIONS = ("dog", "cat", "bird")
CORRUPTIONS = ("fog", "snow", "frost")


def record(sample: int, corruptions: tuple[str, ...], answers: list[str]) -> SampleRecord:
    conditions = ("clean", *(f"{name}@{severity}" for name in corruptions for severity in (1, 2)))
    return assemble_generation_record(
        answers,
        options=OPTIONS,
        conditions=conditions,
        sample=f"sample-{sample}",
        dataset="fingerprint",
        engine="1",
        benchc="0.1",
        prompt="{question}",
        source=None,
        category=None,
        option_count=3,
        answer=sample % 3,
    )


def aggregated(records: list[SampleRecord]) -> dict[str, float]:
    items = [generation_figures(of_sample) for of_sample in records]
    figures = {name: share([item[name] for item in items]) for name in ("acc_clean", "acc_corrupted", "flip")}
    figures |= {name: share([item[name] for item in items]) for name in ("destroyed", "corrected")}
    figures["acc_drop"] = relative_accuracy_drop([item["acc_drop"] for item in items])
    figures["invalid_pairs"] = invalid_pairs([item["invalid_pairs"] for item in items])
    return figures


LETTER = st.sampled_from(["A", "B", "C", "no idea"])


@given(st.integers(1, 5), st.data())
def test_a_group_s_figures_are_those_of_all_its_answers_in_one_task(samples, data):
    """With invalid answers too, and as choice scoring computes them."""
    clean = [data.draw(LETTER) for _ in range(samples)]
    corrupted = {name: [[data.draw(LETTER) for _ in (1, 2)] for _ in range(samples)] for name in CORRUPTIONS}
    tasks = [
        aggregated([record(n, (name,), [clean[n], *corrupted[name][n]]) for n in range(samples)])
        for name in CORRUPTIONS
    ]
    at_once = [
        record(n, CORRUPTIONS, [clean[n], *(answer for name in CORRUPTIONS for answer in corrupted[name][n])])
        for n in range(samples)
    ]
    sizes = [samples] * len(tasks)
    group = {
        name: {"acc_drop": group_relative_drop, "invalid_pairs": group_sum}.get(name, group_share)(
            [task[name] for task in tasks], sizes, False
        )
        for name in tasks[0]
    }
    predictions = np.array(
        [[-1 if option is None else option for option in of_sample.predictions] for of_sample in at_once]
    )
    scores = np.where(np.arange(3) == predictions[..., np.newaxis], 0.0, -np.inf)
    scores[predictions < 0] = np.nan
    expected = run_figures(scores, [n % 3 for n in range(samples)])
    for name, value in group.items():
        assert value == pytest.approx(aggregated(at_once)[name], nan_ok=True, abs=1e-12), name
        assert value == pytest.approx(expected[name], nan_ok=True, abs=1e-12), name


def test_the_mean_over_tasks_would_not_be_the_figure_of_all_answers():
    tasks = [share([SampleShare("a", 1, 1)]), share([SampleShare("a", 0, 4)])]
    assert group_share(tasks, [1, 1]) == 1 / 5
    assert sum(tasks) / 2 == 1 / 2


def test_a_share_and_its_standard_error_have_the_same_bits_in_any_order():
    generator = np.random.default_rng(1)
    items = [SampleShare(f"s{number}", int(generator.integers(0, 6)), 5) for number in range(200)] + [None] * 9
    shares, errors = set(), set()
    for _ in range(20):
        shuffled = [items[place] for place in generator.permutation(len(items))]
        shares.add(float(share(shuffled)))
        # As lmms-eval computes it, from the list that the aggregator was given.
        errors.add(np.std([item for item in shuffled if item is not None], ddof=1))
    assert len(shares) == len(errors) == 1


def test_figures_of_nothing_are_nan():
    assert math.isnan(share([None]))
    assert math.isnan(relative_accuracy_drop([None]))
    assert math.isnan(relative_accuracy_drop([PairedCounts("a", 0, 1, 1)]))


def test_a_plain_float_of_a_task_makes_no_figure_of_a_group():
    assert math.isnan(group_share([share([SampleShare("a", 1, 1)]), 0.5], [1, 1]))
    assert math.isnan(group_relative_drop([0.5], [1]))


def test_ras_is_a_text():
    assert ras_not_defined(["not defined"]) == group_ras_not_defined(["not defined"], [1]) == "not defined"


@pytest.mark.parametrize(
    "number",
    [
        SampleShare("a", 1, 3),
        ShareOfSamples({"a": (1, 3), "b": (1, 1)}),
        RelativeDrop(ShareOfSamples({"a": (3, 3)}), ShareOfSamples({"a": (1, 3)})),
    ],
)
def test_numbers_keep_what_they_come_from_on_their_way_through_lmms_eval(number):
    for kept in (copy.copy(number), copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert kept == number
        assert type(kept) is type(number)
        assert kept.__dict__ == number.__dict__
    assert json.loads(json.dumps(number)) == float(number)
