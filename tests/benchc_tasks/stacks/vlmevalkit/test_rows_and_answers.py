"""What stands between VLMEvalKit and the records, without VLMEvalKit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, Condition
from benchc_metrics.runs import read_run
from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.stacks.common import AnsweringModel
from benchc_tasks.stacks.prompting import task_prompt
from benchc_tasks.stacks.vlmevalkit.answers import read_answer, read_text, write_answer
from benchc_tasks.stacks.vlmevalkit.names import DATASET_NAMES, datasets_of
from benchc_tasks.stacks.vlmevalkit.results import Results, records_of
from benchc_tasks.stacks.vlmevalkit.rows import rows_of, table_of, write_picture

(FOG,) = datasets_of(["BenchC_fog"])


@pytest.fixture(scope="module")
def samples() -> SampleDataset:
    return load_dataset()


@pytest.mark.parametrize(
    "options",
    [
        [(-0.1, True), (-2.345678901234567, False)],
        [(-math.inf, False), (-0.0, True)],
        [(-0.1, True, 0.25), (-3.0, False, 0.25)],
    ],
)
def test_an_answer_comes_back_to_the_last_digit(options):
    text = write_answer(options)
    assert read_answer(text, 2) == options
    assert text[-2:] == (" A" if options[0][0] > options[1][0] else " B")


def test_a_fault_comes_back_as_a_reason():
    text = write_answer([(-0.1, True), "no answer: the picture is too large"])
    assert read_answer(text, 2) == ["no answer: the picture is too large"] * 2


@pytest.mark.parametrize("text", ["A", "[[-0.1, true]] A", "nan", "", "{} A", "[1, 2] A"])
def test_a_text_without_log_likelihoods_is_no_answer(text):
    assert all(isinstance(option, str) for option in read_answer(text, 2))


def test_a_failed_text_is_invalid():
    assert read_text("Failed to obtain answer via API.") == {"invalid": "Failed to obtain answer via API."}
    assert read_text("B") == "B"


def test_names_stand_for_datasets():
    assert [named.task for named in datasets_of(["BenchC"])] == [f"benchc_{name}" for name in CORRUPTION_FAMILIES]
    tasks = [named.task for named in datasets_of(["BenchC_lite", "BenchC_control", "BenchC_fog", "BenchC_fog"])]
    assert tasks == ["benchc-lite", "benchc-control", "benchc_fog"]
    with pytest.raises(ValueError, match=r"'BenchC_fogg' is none of benchc's datasets.*BenchC_fog"):
        datasets_of(["BenchC_fogg"])


@pytest.mark.parametrize("part", ["mmbench", "ccbench", "circular", "mmcr", "crpe", "ocrvqa", "mm_niah", "qspatial"])
def test_no_name_is_one_that_vlmevalkit_treats_in_a_way_of_its_own(part):
    """Such datasets are evaluated under rotations of the options, or share a folder of pictures."""
    assert not [name for name in DATASET_NAMES if part in name.lower()]


@pytest.mark.parametrize(("name", "conditions"), [("lite", 1 + 19), ("control", 1 + 5), ("fog", 1 + 5)])
def test_a_dataset_has_so_many_rows_a_sample(samples, name, conditions):
    (named,) = datasets_of([f"BenchC_{name}"])
    rows = rows_of(samples, named.asked, task_prompt(), "m", limit=3)
    assert len(rows) == len({row.index for row in rows}) == 3 * conditions


def test_a_row_is_another_one_for_another_model_prompt_or_picture(samples):
    def indices(prompt=None, answered_by="m", asked=FOG.asked, **settings):
        return [row.index for row in rows_of(samples, asked, prompt or task_prompt(), answered_by, limit=2, **settings)]

    first = indices()
    assert len(set(first)) == len(first) == 12
    assert first == indices()
    others = [indices(task_prompt().after("Look.")), indices(answered_by="n")]
    others.append(indices(asked=datasets_of(["BenchC_snow"])[0].asked))
    for other in others:
        assert not {index for index in first if "clean" not in index} & set(other)
    assert not set(first) & {*others[0], *others[1]}
    assert len(set(indices(votes=3))) == 36


def test_a_picture_file_shows_its_condition(samples, tmp_path):
    rows = rows_of(samples, FOG.asked, task_prompt(), "m", limit=1)
    paths = [write_picture(row, tmp_path) for row in rows]
    assert len(set(paths)) == 6
    for row, path in zip(rows, paths, strict=True):
        (expected,) = row.picture(samples[0])
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(expected))


def test_texts_that_a_spreadsheet_cannot_hold_are_shown_without_them(samples, monkeypatch):
    rows = rows_of(samples, FOG.asked, task_prompt(), "m", limit=1)
    doc = {**samples.without_images()[0], "question": "a\x00b\x1fc\n"}
    monkeypatch.setattr(type(samples), "without_images", lambda self: [doc])
    assert table_of(rows)["question"] == ["a b c\n"] * 6


def test_records_are_read_as_those_of_any_stack(samples, tmp_path: Path, capsys):
    rows = rows_of(samples, FOG.asked, task_prompt(), "m", limit=3)
    counts = [len(samples.without_images()[row.position]["options"]) for row in rows]
    texts = {
        row.index: write_answer([(-2.0 - (option + row.position) % count, option == 0) for option in range(count)])
        for row, count in zip(rows, counts, strict=True)
    }
    lost = texts.pop(rows[4].index)
    assert lost
    records = records_of(FOG, rows, texts, AnsweringModel("the name"), scores_options=True)
    results = Results(tmp_path, "20260101_000000", "2026-01-01T00:00:00Z", "benchc", {"pretrained": "a/b"}, "0.0.20")
    metrics = results.add(FOG, rows, records)
    run = read_run(tmp_path)
    assert (run.metadata.stack, run.metadata.lmms_eval, run.metadata.model) == ("VLMEvalKit", "0.0.20", "a/b")
    assert [reason for reason in run.invalid.values() if "lacks this row" in reason or "no log-likelihoods" in reason]
    assert len(run.invalid) == 1
    assert metrics["invalid_pairs"] == 1
    assert main(["summary", str(tmp_path)]) == 0
    assert "a/b" in capsys.readouterr().out


def test_letters_and_votes_become_records(samples):
    rows = rows_of(samples, FOG.asked, task_prompt(), "m", limit=1)
    texts = {row.index: "B" for row in rows} | {rows[3].index: "Failed to obtain answer: RuntimeError"}
    (record,) = records_of(FOG, rows, texts, AnsweringModel(), scores_options=False)
    assert record.predictions == (1, 1, 1, None, 1, 1)
    assert record.obtained == "generated letters"
    assert Condition.parse(record.conditions[3]) == Condition("fog", 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "BenchC_fogg"], "is none of benchc's datasets"),
        (["--data", "BenchC_fog", "--votes", "2"], "has log-likelihoods"),
        (["--data", "BenchC_fog", "--model", "x", "--votes", "2"], "--votes needs --temperature above 0"),
        (["--data", "BenchC_fog", "--model", "x", "--model_args", "a=1"], "model arguments are for --model benchc"),
        (["--data", "BenchC_fog", "--limit", "0"], "--limit is 0"),
        (["--data", "BenchC_fog", "--repo", "nowhere"], "is not a checkout of VLMEvalKit"),
    ],
)
def test_what_cannot_be_had_is_told_before_anything_starts(words, message, capsys):
    assert main(["vlmevalkit", *words]) == 1
    assert message in capsys.readouterr().err
