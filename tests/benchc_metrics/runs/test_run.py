from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from run_folders import lite, made_run, with_control, without_distributions, write_run

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES, in_paper_order
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.runs import read_run, read_runs
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.corruptions import SEVERITIES as ENGINE_SEVERITIES

NAMES = ("fog", "gaussian_noise")
RUN = made_run(12, corruptions=("gaussian_noise", "fog"))


def assert_same_answers(read, written):
    for name in ("clean", "corrupted", "answers", "option_counts"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    for name in ("sample_ids", "sources", "categories", "corruptions", "metadata"):
        assert getattr(read, name) == getattr(written, name), name


@pytest.mark.parametrize("compressed", [False, True])
def test_a_run_is_read_as_it_was(tmp_path, compressed):
    read = read_run(write_run(RUN, tmp_path / "model", compressed=compressed))
    assert_same_answers(read, RUN)
    assert (read.name, read.notes, read.missing, dict(read.invalid)) == ("lab/model", (), (), {})
    np.testing.assert_allclose(read.corrupted_distributions().sum(axis=-1), 1)
    np.testing.assert_allclose(read.clean_distributions().sum(axis=-1), 1)


def test_samples_stand_in_the_order_of_their_ids(tmp_path):
    corrupted = RUN.corrupted.copy()
    corrupted[[2, 5], 1, 3] = np.nan
    gap = replace(RUN, corrupted=corrupted)
    read = read_run(write_run(gap, tmp_path, change=lambda rows: rows[::-1]))
    assert_same_answers(read, gap)
    assert list(read.invalid) == [("sample-0002", "fog@4"), ("sample-0005", "fog@4")]


def test_the_corruptions_are_those_of_the_engine():
    families = {name: corruption.category for name, corruption in CORRUPTIONS.items() if name in CORRUPTION_FAMILIES}
    assert families == dict(CORRUPTION_FAMILIES)
    assert list(families) == list(CORRUPTION_FAMILIES)
    assert SEVERITIES == ENGINE_SEVERITIES
    assert in_paper_order(["zebra", "fog", "ant", "snow"]) == ("snow", "fog", "ant", "zebra")


def test_the_newest_of_several_evaluations_is_read(tmp_path):
    write_run(made_run(5, corruptions=("snow",)), tmp_path, date="20250301_190000")
    read = read_run(write_run(RUN, tmp_path))
    assert_same_answers(read, RUN)
    assert read.notes == (f"{tmp_path} has 2 evaluations; the newest one, 20260301_190000_results.json, was read.",)


def test_a_run_of_generated_letters_is_read(tmp_path):
    predictions = RUN.corrupted_predictions.copy()
    predictions[2, 1, 3] = -1
    letters = without_distributions(RUN)
    letters = replace(letters, given=replace(letters.given, corrupted=predictions))
    read = read_run(write_run(letters, tmp_path))
    assert_same_answers(read, letters)
    assert (read.obtained, read.has_distributions) == ("generated letters", False)
    np.testing.assert_array_equal(read.clean_predictions, RUN.clean_predictions)
    np.testing.assert_array_equal(read.corrupted_predictions, predictions)
    assert (read.corrupted_predictions.dtype, list(read.invalid)) == (np.int64, [("sample-0002", "fog@4")])
    assert (read.notes, read.missing, read.asked.all()) == ((), (), True)


def test_predictions_are_the_most_probable_options(tmp_path):
    corrupted = RUN.corrupted.copy()
    corrupted[3, 0, 2] = np.nan
    gap = replace(RUN, corrupted=corrupted)
    read = read_run(write_run(gap, tmp_path))
    assert (read.obtained, read.has_distributions) == ("log-likelihoods", True)
    np.testing.assert_array_equal(read.clean_predictions, RUN.clean.argmax(axis=-1))
    expected = RUN.corrupted.argmax(axis=-1)
    expected[3, 0, 2] = -1
    np.testing.assert_array_equal(read.corrupted_predictions, expected)


def test_generated_answers_beside_log_likelihoods_are_left_out_and_that_is_told(tmp_path):
    write_run(without_distributions(made_run(5, corruptions=("fog",))), tmp_path)
    read = read_run(write_run(RUN, tmp_path))
    assert_same_answers(read, RUN)
    assert read.notes == ("Logs of benchc-gen tasks were left out (1): generated answers have no RAS.",)


def test_conditions_that_a_sample_was_not_asked_are_neither_invalid_nor_missing(tmp_path):
    asked = np.zeros(RUN.corrupted.shape[:-1], dtype=bool)
    asked[np.arange(12)[:, np.newaxis], [0, 1], (np.arange(12)[:, np.newaxis] + [0, 1]) % 5] = True
    corrupted = np.where(asked[..., np.newaxis], RUN.corrupted, np.nan)
    read = read_run(write_run(replace(RUN, corrupted=corrupted, asked=asked), tmp_path))
    np.testing.assert_array_equal(read.asked, asked)
    np.testing.assert_array_equal(read.corrupted, corrupted)
    assert (read.missing, dict(read.invalid)) == ((), {})


def test_invalid_and_missing_answers_are_told_apart(tmp_path):
    corrupted = RUN.corrupted.copy()
    corrupted[2, 1, 3] = np.nan
    clean = RUN.clean.copy()
    clean[4] = np.nan
    gap = replace(RUN, clean=clean, corrupted=corrupted)
    folder = write_run(gap, tmp_path)
    log = tmp_path / "20260301_190000_samples_benchc_gaussian_noise.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(keepends=True) if '"sample-0007"' not in line))
    read = read_run(folder)
    assert dict(read.invalid) == {
        ("sample-0002", "fog@4"): "the backend returned nan",
        ("sample-0004", "clean"): "the backend returned nan",
    }
    assert read.missing == tuple(("sample-0007", f"gaussian_noise@{severity}") for severity in SEVERITIES)
    assert np.isnan(read.clean[4]).all()
    assert np.isnan(read.corrupted[7, 0]).all()
    assert np.isnan(read.corrupted[2, 1, 3]).all()
    assert np.isnan(read.corrupted[..., 0]).sum() == 6


def edited(field, value, *, sample="sample-0003"):
    """Change a field of one sample's record."""

    def change(rows):
        for row in rows:
            if row["benchc"]["sample"] == sample and row["benchc"]["conditions"][1].startswith("fog"):
                row["benchc"][field] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited("dataset", "other"), "mixes 2 values of dataset"),
        (edited("engine", "2"), "mixes 2 values of engine"),
        (edited("prompt", "?"), "mixes 2 values of prompt"),
        (edited("benchc", "9"), "mixes 2 values of benchc"),
        (edited("category", "other"), "'sample-0003' has another category"),
        (edited("sample", "sample-0004"), "has sample 'sample-0004' twice"),
        (edited("obtained", "mean losses"), "mixes summed log-likelihoods and mean losses"),
        (edited("schema", "benchc.sample/9"), "'benchc.sample/9' is not"),
        (lambda rows: [], "are empty"),
    ],
)
def test_logs_that_do_not_belong_together_are_refused(tmp_path, change, reason):
    with pytest.raises(ValueError, match=reason):
        read_run(write_run(RUN, tmp_path, change=change))


def test_options_must_be_as_many_in_all_tasks(tmp_path):
    def change(rows):
        record = rows[0]["benchc"]
        if record["conditions"][1] == "fog@1":
            record["log_likelihoods"] = [[*options, -9.0] for options in record["log_likelihoods"]]
            record["option_count"] += 1
        return rows

    with pytest.raises(ValueError, match=r"sample 'sample-0000' has \[\d, \d\] options"):
        read_run(write_run(RUN, tmp_path, change=change))


@pytest.mark.parametrize(("shift", "outcome"), [(1e-9, "same"), (0.05, "note"), (3.0, "refused")])
def test_clean_answers_that_differ_between_tasks(tmp_path, shift, outcome):
    def change(rows):
        record = rows[0]["benchc"]
        if record["conditions"][1] == "gaussian_noise@1":
            options = record["log_likelihoods"][0]
            options[options.index(max(options))] -= shift
        return rows

    folder = write_run(RUN, tmp_path, change=change)
    if outcome == "refused":
        with pytest.raises(ValueError, match=r"clean answers of sample 'sample-0000' differ between tasks"):
            read_run(folder)
        return
    notes = read_run(folder).notes
    assert len(notes) == (outcome == "note")
    assert not notes or "differ between tasks by up to" in notes[0]


def test_mean_losses_are_noted(tmp_path):
    losses = replace(RUN, metadata=replace(RUN.metadata, length_normalised=True))
    read = read_run(write_run(losses, tmp_path))
    assert read.metadata.length_normalised
    assert "mean losses" in read.notes[0]


@pytest.mark.parametrize(
    ("spoil", "error", "reason"),
    [
        (lambda folder: [path.unlink() for path in folder.glob("*_results.json")], FileNotFoundError, "no \\*_results"),
        (lambda folder: [path.unlink() for path in folder.glob("*.jsonl")], FileNotFoundError, "--log_samples"),
        (lambda folder: (folder / "20260301_190000_results.json").write_text("{"), ValueError, "is not JSON"),
        (lambda folder: (folder / "20260301_190000_results.json").write_text("[]"), ValueError, "has no `config`"),
    ],
)
def test_a_folder_that_is_no_run_is_told_with_the_cure(tmp_path, spoil, error, reason):
    write_run(RUN, tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=reason):
        read_run(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"date": "20260301_190000"}, {"date": "2026-03-01T11:00:00Z"}),
        ({"date": "soon"}, {"date": None}),
        ({"config": {"model": "benchc", "model_args": ""}, "date": "20260301_190000"}, {"date": "2026-03-01T19:00:00"}),
        (
            {
                "config": {"model": "benchc", "model_args": {"backend": "llava_hf", "pretrained": "a/b"}},
                "model_name": "",
            },
            {"model": "a/b", "backend": "llava_hf", "model_args": "backend=llava_hf,pretrained=a/b"},
        ),
        ({"config": {"model": "llava", "model_args": None}, "model_name": None}, {"model": "", "backend": "llava"}),
        ({"n-samples": {}}, {"dataset_size": None}),
        ({"lmms_eval_version": "unknown@unknown"}, {"lmms_eval": "unknown"}),
    ],
)
def test_what_was_run_is_read_from_the_results_file(tmp_path, results, expected):
    metadata = read_run(write_run(RUN, tmp_path, results=results)).metadata
    assert {name: getattr(metadata, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "model_args", "name"),
    [
        ("llava", "", "first"),
        ("benchc", "backend=llava", "first"),
        ("benchc", "", "benchc-demo"),
        ("benchc", "device=cpu", "benchc-demo"),
    ],
)
def test_a_run_without_a_name_is_called_by_its_folder_or_is_the_bundled_model(tmp_path, model, model_args, name):
    results = {"config": {"model": model, "model_args": model_args}, "model_name": ""}
    assert read_run(write_run(RUN, tmp_path / "first", results=results)).name == name


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [write_run(RUN, tmp_path / name) for name in ("a", "b", "c/b")]
    assert [run.name for run in read_runs(folders)] == ["lab/model", "lab/model (b)", "lab/model (2)"]


def test_a_real_samples_log_has_more_keys(tmp_path):
    """lmms-eval adds keys of its own to a row; only the record is read."""
    folder = write_run(RUN, tmp_path, change=lambda rows: [{"token_counts": [None], **row} for row in rows])
    assert json.loads((folder / "20260301_190000_samples_benchc_fog.jsonl").read_text().splitlines()[0])["doc_id"] == 0
    assert_same_answers(read_run(folder), RUN)


def test_files_stand_for_their_folder(tmp_path):
    write_run(RUN, tmp_path)
    write_run(RUN, tmp_path / "model")
    names = [run.name for run in read_runs(sorted(tmp_path.iterdir()))]
    assert names == ["lab/model", "lab/model (model)"]


def log_of(folder, corruption="fog"):
    return folder / f"20260301_190000_samples_benchc_{corruption}.jsonl"


def without_last_row(log):
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("spoil", "gap"),
    [
        (lambda log: log.unlink(), "The samples log of benchc_fog is missing."),
        (lambda log: log.write_text(""), "The samples log of benchc_fog is empty."),
        (lambda log: log.write_text("\n\n"), "The samples log of benchc_fog is empty."),
        (without_last_row, "The samples log of benchc_fog has 11 of its 12 samples."),
    ],
)
@pytest.mark.parametrize("letters", [False, True])
def test_a_part_of_a_run_is_named_as_such(tmp_path, spoil, gap, letters):
    run = without_distributions(RUN) if letters else RUN
    log = log_of(write_run(run, tmp_path))
    log = log.with_name(log.name.replace("benchc_", "benchc-gen_")) if letters else log
    spoil(log)
    read = read_run(tmp_path)
    gap = gap.replace("benchc_", "benchc-gen_") if letters else gap
    assert (read.metadata.complete, read.metadata.gaps, read.complete) == (False, (gap,), False)
    assert gap in next(caution.sentence for caution in read.cautions if caution.name == "partial")


def test_a_cut_off_row_is_refused_by_file_and_line(tmp_path):
    log = log_of(write_run(RUN, tmp_path))
    log.write_text(log.read_text()[:-60])
    with pytest.raises(ValueError, match=r"benchc_fog\.jsonl, line 12: the row is not JSON .*: was the run interrupted\?"):
        read_run(tmp_path)


def test_two_logs_of_one_task_are_refused(tmp_path):
    log = log_of(write_run(RUN, tmp_path))
    log.with_name(log.name + ".gz").write_bytes(gzip.compress(log.read_bytes()))
    with pytest.raises(ValueError, match=r"has two logs of one task, .*_fog\.jsonl and .*_fog\.jsonl\.gz: keep one"):
        read_run(tmp_path)


def test_a_limit_and_an_offset_are_no_gap(tmp_path):
    sizes = {f"benchc_{name}": {"original": 20, "effective": 15} for name in RUN.corruptions}
    config = {"model": "benchc", "model_args": "", "offset": 8, "limit": 15}
    read = read_run(write_run(RUN, tmp_path, results={"n-samples": sizes, "config": config}))
    assert (read.metadata.complete, read.metadata.dataset_size) == (True, 20)


def test_logs_are_known_by_their_content_whatever_the_tasks_are_called(tmp_path):
    folder = write_run(RUN, tmp_path)
    results = folder / "20260301_190000_results.json"
    results.write_text(results.read_text().replace("benchc_fog", "my_own_fog"))
    log_of(folder).rename(folder / "20260301_190000_samples_my_own_fog.jsonl")
    (folder / "20260301_190000_samples_mme.jsonl").write_text('{"doc_id": 0}\n')
    read = read_run(folder)
    assert_same_answers(read, RUN)
    assert (read.metadata.complete, read.notes) == (True, ())


def test_an_empty_log_of_a_task_with_another_name_is_missed(tmp_path):
    folder = write_run(RUN, tmp_path)
    results = folder / "20260301_190000_results.json"
    results.write_text(results.read_text().replace("benchc_fog", "my_own_fog"))
    log_of(folder).unlink()
    (folder / "20260301_190000_samples_my_own_fog.jsonl").touch()
    assert read_run(folder).metadata.gaps == ("The samples log of my_own_fog is empty.",)


def test_a_log_that_is_given_is_read_alone(tmp_path):
    log = log_of(write_run(RUN, tmp_path))
    (read,) = read_runs([log])
    assert read.corruptions == ("fog",)
    assert read.notes == (f"Only {log.name} was read, as given.",)
    assert read.metadata.gaps == ("1 other tasks of the run were not given.",)
    assert read.metadata.model == "lab/model"
    both = [log, log_of(tmp_path, "gaussian_noise")]
    assert read_runs(both)[0].corruptions == ("gaussian_noise", "fog")
    assert read_runs(both)[0].metadata.complete


def test_a_log_without_its_results_file_is_read_as_a_part(tmp_path):
    log = log_of(write_run(RUN, tmp_path / "somewhere")).rename(tmp_path / "my.jsonl")
    read = read_run(log)
    assert (read.corruptions, read.metadata.model, read.name) == (("fog",), "", tmp_path.name)
    assert read.metadata.gaps == ("The results file is missing, so it is unknown what was asked.",)
    np.testing.assert_array_equal(read.corrupted[:, 0], RUN.corrupted[:, 1])


def test_stray_files_beside_runs_are_named_and_left_out(tmp_path):
    write_run(RUN, tmp_path / "model")
    (tmp_path / "notes.txt").write_text("tomorrow")
    (read,) = read_runs(sorted(tmp_path.iterdir()))
    assert read.notes[0].startswith("Files that are neither results nor samples logs were left out (1): ")
    assert "notes.txt" in read.notes[0]
    with pytest.raises(ValueError, match=r"notes\.txt' is neither a results file nor a samples log: give the folder"):
        read_runs([tmp_path / "notes.txt"])


WITH_CONTROL = with_control(RUN)


@pytest.mark.parametrize("letters", [False, True])
def test_the_control_stands_apart_from_the_corruptions(tmp_path, letters):
    written = without_distributions(WITH_CONTROL) if letters else WITH_CONTROL
    read = read_run(write_run(written, tmp_path))
    assert_same_answers(read, written)
    assert (read.metadata.complete, read.missing, read.asked.shape) == (True, (), (12, 2, 5))
    assert written.control is not None
    assert_same_answers(read.control, written.control)
    assert read.control.corruptions == ("control",)
    np.testing.assert_array_equal(read.control.corrupted_predictions, written.control.corrupted_predictions)


def test_a_run_without_the_control_has_none_and_one_of_the_control_alone_has_it_as_its_corruption(tmp_path):
    assert read_run(write_run(RUN, tmp_path / "without")).control is None
    alone = read_run(write_run(WITH_CONTROL.control, tmp_path / "alone"))
    assert (alone.corruptions, alone.control) == (("control",), None)
    np.testing.assert_array_equal(alone.corrupted, WITH_CONTROL.control.corrupted)


def test_what_is_invalid_or_missing_under_the_control_is_of_the_control(tmp_path):
    moved = WITH_CONTROL.control.corrupted.copy()
    moved[2, 0, 3] = np.nan
    written = replace(WITH_CONTROL, control=replace(WITH_CONTROL.control, corrupted=moved))
    folder = write_run(written, tmp_path)
    (log,) = folder.glob("*benchc-control.jsonl")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    read = read_run(folder)
    assert (read.missing, dict(read.invalid)) == ((), {})
    assert list(read.control.invalid) == [("sample-0002", "control@4")]
    assert read.control.missing == tuple(("sample-0011", f"control@{severity}") for severity in SEVERITIES)
    assert read.metadata.gaps == ("The samples log of benchc-control has 11 of its 12 samples.",)


def test_clean_answers_of_the_control_decide_nothing(tmp_path):
    """Batching moves the clean answer of a sample; the corruptions keep their own, as without a control."""
    written = replace(
        WITH_CONTROL, control=replace(WITH_CONTROL.control, clean=WITH_CONTROL.clean - [[1e-4, 0, 0, 0, 0]])
    )
    read = read_run(write_run(written, tmp_path))
    np.testing.assert_array_equal(read.clean, RUN.clean)
    np.testing.assert_array_equal(read.control.clean, RUN.clean)
    assert "differ between tasks" in read.notes[0]


@pytest.mark.parametrize("design", ["lite", "lite-10"])
@pytest.mark.parametrize("kind", [lambda run: run, without_distributions], ids=["probabilities", "letters"])
def test_a_run_of_few_conditions_is_read_as_it_was(tmp_path, design, kind):
    run = lite(kind(made_run(30)), design)
    read = read_run(write_run(run, tmp_path))
    assert_same_answers(read, run)
    assert read.metadata.design == design
    np.testing.assert_array_equal(read.asked, run.asked)
    np.testing.assert_array_equal(read.corrupted_predictions >= 0, run.asked)
    assert (read.missing, dict(read.invalid), read.notes) == ((), {}, ())
    assert "invalid" not in [caution.name for caution in read.cautions]
    assert metrics_of_run(read)["invalid_pairs"] == 0


def test_what_a_design_asked_and_did_not_get_is_invalid(tmp_path):
    run = lite(made_run(30))
    corrupted = run.corrupted.copy()
    corrupted[tuple(np.argwhere(run.asked)[7])] = np.nan
    read = read_run(write_run(replace(run, corrupted=corrupted), tmp_path))
    assert len(read.invalid) == 1
    assert metrics_of_run(read)["invalid_pairs"] == 1


def test_few_samples_of_a_design_have_all_corruptions_on_their_axis(tmp_path):
    read = read_run(write_run(lite(made_run(2), "lite-3"), tmp_path))
    assert read.corruptions == tuple(CORRUPTION_FAMILIES)
    assert read.asked.sum() == 6


def test_of_two_designs_in_one_evaluation_the_one_of_more_answers_is_read(tmp_path):
    run = made_run(10)
    write_run(lite(run), tmp_path)
    read = read_run(write_run(run, tmp_path))
    assert_same_answers(read, run)
    (note,) = read.notes
    assert note == (
        "The samples logs of another design ('20260301_190000_samples_benchc-lite.jsonl') were left out, because "
        "those of the design full (96 of 96 conditions a sample) have more answers: name a log to read it alone."
    )
    alone = read_run(tmp_path / "20260301_190000_samples_benchc-lite.jsonl")
    assert alone.metadata.design == "lite"


@pytest.mark.parametrize(("said", "version"), [({}, "1"), ({"ras_version": 3}, "3")])
def test_a_results_file_of_another_version_of_ras_is_noted(tmp_path, said, version):
    run = made_run(4, corruptions=("fog",))
    folder = write_run(run, tmp_path / "model")
    (file,) = folder.glob("*_results.json")
    results = json.loads(file.read_text())
    for task in results["configs"].values():
        del task["metadata"]["ras_version"]
        task["metadata"] |= said
    file.write_text(json.dumps(results))
    read = read_run(folder)
    (note,) = read.notes
    assert f"has RAS of version {version}, which cannot be compared with version 2" in note
    # The records hold what every reading needs.
    for reading in READINGS:
        assert metrics_of_run(read, reading) == pytest.approx(metrics_of_run(run, reading), abs=1e-12, nan_ok=True)
