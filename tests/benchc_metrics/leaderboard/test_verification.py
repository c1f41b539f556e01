"""Submissions that were tampered with, by someone who also mends the hashes wherever that helps."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.benchmark import DEMONSTRATION_FINGERPRINT
from benchc_metrics.leaderboard.schema import SAMPLES_SCHEMA, STANDARD_BOOTSTRAP
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import SampleFacts, read_submission, verify
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET


def check(folder, **settings):
    return verify(folder, **{"engine": "1", "bootstrap": QUICK, **settings})


def texts(folder, **settings):
    return [str(finding) for finding in check(folder, **settings).findings]


def with_hashes(folder):
    """Write the sizes and hashes of the files as they now are into the record."""
    file = folder / "benchc.json"
    record = json.loads(file.read_text())
    for facts in record["files"]:
        content = (folder / facts["path"]).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def edit_record(folder, edit):
    file = folder / "benchc.json"
    record = json.loads(file.read_text())
    edit(record)
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def edit_answers(folder, edit, schema=SAMPLES_SCHEMA):
    file = folder / "samples.parquet"
    rows = pq.read_table(file).to_pylist()
    edited = edit(rows)
    pq.write_table(pa.Table.from_pylist(rows if edited is None else edited, schema=schema), file)
    with_hashes(folder)


def edit_text(folder, pattern, edit):
    (file,) = folder.rglob(pattern)
    file.write_text(edit(file.read_text()))
    with_hashes(folder)


def softmax(values):
    weights = np.exp(np.array(values) - max(values))
    return (weights / weights.sum()).tolist()


def make_right(row):
    """Give a row the answer that is right, with its probabilities."""
    row["log_likelihoods"][row["answer"]] = -0.01
    row["probabilities"] = softmax(row["log_likelihoods"])


def test_a_submission_that_was_not_touched_is_sound(pristine):
    verification = check(pristine)
    assert verification.findings == ()
    assert verification.is_sound
    assert verification.record.model.id == "lab/model"
    assert len(verification.run.sample_ids) == 8


def test_rewriting_the_record_as_it_was_changes_nothing(submission):
    with_hashes(submission)
    edit_record(submission, lambda record: None)
    assert texts(submission) == []


def nudged_scores(folder, digits):
    """Change the scores of the instances in their last digits, as another CPU computes them."""
    (file,) = folder.rglob("*_samples.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    changed = 0
    for row in rows:
        score = row["evaluation"]["score"]
        for _ in range(digits):
            row["evaluation"]["score"] = float(np.nextafter(row["evaluation"]["score"], 2))
        changed += row["evaluation"]["score"] != score
    assert changed > len(rows) // 2
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def with_checksum(folder):
    """Write the checksum of the instances as they now are into Every Eval Ever's record."""
    (instances,) = folder.rglob("*_samples.jsonl")
    file = instances.with_name(instances.name.replace("_samples.jsonl", ".json"))
    log = json.loads(file.read_text())
    log["detailed_evaluation_results"]["checksum"] = hashlib.sha256(instances.read_bytes()).hexdigest()
    file.write_text(json.dumps(log, indent=1, ensure_ascii=False) + "\n")


def test_scores_of_another_cpu_are_the_same_scores(submission):
    """Vector instructions of another CPU change the last digits, and so every hash over what is computed."""
    nudged_scores(submission, 2)
    with_checksum(submission)
    with_hashes(submission)
    assert texts(submission) == []


def test_instances_that_were_edited_below_a_stale_checksum_are_caught(submission):
    nudged_scores(submission, 1)
    with_hashes(submission)
    (text,) = texts(submission)
    assert ".detailed_evaluation_results.checksum is" in text


CHILD = """
import os, sys, warnings
warnings.filterwarnings("error", message="During parsing environment variable")
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
sys.path.insert(0, "tests")
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK
from benchc_metrics.leaderboard.verification import verify
print(" ".join(__cpu_dispatch__))
print(" ".join(name for name in __cpu_dispatch__ if __cpu_features__[name]))
print(*verify(sys.argv[1], engine="1", bootstrap=QUICK).findings, sep="\\n")
"""


def in_child(folder, without=""):
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": without}
    found = subprocess.run(
        [sys.executable, "-c", CHILD, folder], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    features, enabled, *findings = found.stdout.splitlines()
    return features.split(), enabled.split(), [finding for finding in findings if finding]


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="the module of numpy's features moved")
def test_a_machine_without_vector_instructions_verifies_what_this_one_wrote(pristine):
    _, enabled, findings = in_child(pristine)
    assert findings == []
    if not enabled:
        pytest.skip("numpy finds no vector instruction to switch off here")
    # Only those that a machine has can be switched off.
    _, enabled, findings = in_child(pristine, without=" ".join(enabled))
    assert enabled == []
    assert findings == []


def set_metric(name, part, value):
    return lambda record: record["metrics"][name].update({part: value})


RECORD_TAMPERS = {
    "a date that is none": (lambda record: record.update(created="2026-99-99T99:99:99Z"), "benchc.json: created: "),
    "a metric of 309 digits": (set_metric("ras", "value", 1e308), "benchc.json: ras is 1e+308 where the answers give"),
    "an address that shows another host": (
        lambda record: record["source"].update(url="https://huggingface.co@evil.example/"),
        "source.url: it leads to evil.example, whatever stands before the @",
    ),
    "an address with a password": (
        lambda record: record["source"].update(url="https://huggingface.co:443@evil.example/"),
        "source.url: it leads to evil.example",
    ),
    "an address with a backslash": (
        lambda record: record["source"].update(url="https://evil.example\\@huggingface.co/"),
        "source.url: ",
    ),
    "an address of look-alike letters": (
        lambda record: record["source"].update(url="https://hugging\u0493ace.co/"),
        "source.url: it is not a web address",
    ),
    "a script for an address": (lambda record: record["source"].update(url="javascript:alert(1)//x"), "source.url: "),
    "a name that reorders text": (
        lambda record: record["source"].update(organisation="Lab\u202eecaF gniggH"),
        "source.organisation: it holds characters that control",
    ),
    "more samples than can be checked": (lambda record: record["dataset"].update(samples=20_000), "dataset.samples: "),
    "a caution that is not due": (
        lambda record: record["dataset"].update(demonstration=True),
        "it says demonstration: true, and its dataset is not the bundled demonstration set",
    ),
    "a million resamples": (
        lambda record: record["bootstrap"].update(resamples=1_000_000),
        "its intervals were made with resamples=1000000",
    ),
    "a metric": (set_metric("ras", "value", 0.5), "benchc.json: ras is 0.5 where the answers give -0."),
    "a metric by little": (
        lambda record: record["metrics"]["acc_corrupted"].update(
            value=record["metrics"]["acc_corrupted"]["value"] + 1e-6
        ),
        "benchc.json: acc_corrupted is 0.",
    ),
    "a bound": (set_metric("ras", "low", -0.0001), "low bound of ras is -0.0001"),
    "a metric taken away": (lambda record: record["metrics"].pop("flip"), "has the metrics"),
    "an undefined metric": (set_metric("ece_clean", "value", None), "ece_clean is None"),
    "a cell": (
        lambda record: record["table"][48]["metrics"]["acc_corrupted"].update(value=0.99),
        "fog@4 acc_corrupted is 0.99 where",
    ),
    "a cell taken away": (lambda record: record["table"].pop(3), "has or lacks gaussian_noise@4"),
    "cells in another order": (lambda record: record["table"].reverse(), "is in another order"),
    "a number as text": (set_metric("ras", "value", "0.5"), "metrics.ras.value: input should be a valid number"),
    "not a number": (set_metric("ras", "value", float("nan")), "metrics.ras.value"),
    "an unknown key": (lambda record: record.update(better=True), "better: extra inputs are not permitted"),
    "another version of the schema": (
        lambda record: record.update(schema="benchc.submission/9"),
        "schema: input should",
    ),
    "another engine": (lambda record: record.update(engine="2"), "corruption engine '2', not '1'"),
    "a seed of one's own": (lambda record: record["bootstrap"].update(seed=8), "its intervals were made with"),
    "fewer resamples": (lambda record: record["bootstrap"].update(resamples=20), "its intervals were made with"),
    "more samples than there are": (
        lambda record: record["dataset"].update(samples=9),
        "samples.parquet: it has 8 samples where the dataset has 9",
    ),
    "a number of samples beyond reason": (lambda record: record["dataset"].update(samples=10**9), "dataset.samples"),
    "a model's id that is a path": (lambda record: record["model"].update(id="../../etc"), "model.id"),
    "a path that leaves the folder": (
        lambda record: record["files"][0].update(path="../outside"),
        "its path '../outside' leaves the folder",
    ),
    "an absolute path": (lambda record: record["files"][0].update(path="/etc/passwd"), "'/etc/passwd' leaves"),
    "a path of Windows": (lambda record: record["files"][0].update(path="..\\outside"), "leaves the folder"),
    "a file listed twice": (lambda record: record["files"].append(record["files"][0]), "lists a file twice"),
    "the answers not listed": (
        lambda record: record.update(files=[f for f in record["files"] if f["path"] != "samples.parquet"]),
        "does not list samples.parquet",
    ),
    "a wrong hash": (lambda record: record["files"][0].update(sha256="0" * 64), "is not what was hashed"),
    "a wrong size": (lambda record: record["files"][0].update(bytes=1), "bytes where the record says 1"),
    "another model": (lambda record: record["model"].update(id="lab/better"), "every_eval_ever/data/benchc/lab/better"),
    "mean losses": (lambda record: record.update(obtained="mean losses"), ".eval_results/benchc.yaml"),
    "letters in the place of log-likelihoods": (
        lambda record: record.update(obtained="generated letters", ras=None),
        "samples.parquet: it has log-likelihoods, and the record says 'generated letters'",
    ),
    "a hidden caution": (lambda record: record.update(cautions=[]), "benchc.json: it hides the caution 'letter mass'"),
}


@pytest.mark.parametrize("name", RECORD_TAMPERS)
def test_a_changed_record_is_caught(submission, name):
    edit, expected = RECORD_TAMPERS[name]
    edit_record(submission, edit)
    found = texts(submission)
    assert any(expected in text for text in found), found
    assert check(submission).record is None


def repeated(rows):
    return [*rows, rows[7]]


def dropped(rows):
    return [row for number, row in enumerate(rows) if number != 7]


def dropped_sample(rows):
    return [row for row in rows if row["sample"] != "sample-0003"]


def changed_row(**changes):
    def edit(rows):
        rows[7].update(changes)

    return edit


def all_right(rows):
    for row in rows:
        make_right(row)


def one_right(rows):
    make_right(next(row for row in rows if row["probabilities"][row["answer"]] < 0.3))


def shifted_answer(rows):
    for row in rows[:96]:
        row["answer"] = (row["answer"] + 1) % len(row["log_likelihoods"])


def renamed_sample(rows):
    for row in rows[:96]:
        row["sample"] = "sample-9999"


ANSWER_TAMPERS = {
    "a duplicated answer": (repeated, "1 duplicated answers: sample-0000 under shot_noise@2"),
    "a missing answer": (dropped, "1 missing answers: sample-0000 under shot_noise@2"),
    "a missing sample": (dropped_sample, "it has 7 samples where the dataset has 8"),
    "an unknown condition": (changed_row(condition="rain@1"), "1 unknown conditions: rain@1"),
    "probabilities that do not sum to one": (
        lambda rows: rows[7].update(probabilities=[2 * p for p in rows[7]["probabilities"]]),
        "1 probabilities that do not sum to one: sample-0000 under shot_noise@2",
    ),
    "probabilities of another answer": (
        lambda rows: rows[7].update(probabilities=rows[7]["probabilities"][::-1]),
        "1 probabilities that are not those of the log-likelihoods",
    ),
    "a positive log-likelihood": (
        lambda rows: rows[7].update(log_likelihoods=[0.5] * len(rows[7]["log_likelihoods"])),
        "1 log-likelihoods that are not valid",
    ),
    "a log-likelihood that is not a number": (
        lambda rows: rows[7].update(log_likelihoods=[float("nan")] * len(rows[7]["log_likelihoods"])),
        "1 log-likelihoods that are not valid",
    ),
    "a right answer under one condition": (changed_row(answer=7), "whose answer, category or options change"),
    "a right answer that is no option": (
        lambda rows: [row.update(answer=9) for row in rows[:96]] and None,
        "right options that the sample does not have",
    ),
    "another right answer": (shifted_answer, "where the answers give"),
    "an option more": (
        lambda rows: rows[7].update(log_likelihoods=[*rows[7]["log_likelihoods"], -9.0]),
        "not of the same 2 to 26 options",
    ),
    "one better answer": (one_right, "where the answers give"),
    "all answers right": (all_right, "benchc.json: acc_corrupted is 0."),
    "another sample": (renamed_sample, "_samples.jsonl: "),
    "a very long name": (changed_row(source="x" * 2000), "a source is longer than 1000 bytes"),
    "nothing": (lambda rows: [], "it has no answer"),
}


@pytest.mark.parametrize("name", ANSWER_TAMPERS)
def test_changed_answers_are_caught(submission, name):
    edit, expected = ANSWER_TAMPERS[name]
    edit_answers(submission, edit)
    found = texts(submission)
    assert any(expected in text for text in found), found


def test_answers_in_another_order_are_the_same_answers(submission):
    edit_answers(submission, lambda rows: rows[::-1])
    assert texts(submission) == []


def test_answers_of_another_schema_are_refused(submission):
    edit_answers(submission, lambda rows: None, schema=SAMPLES_SCHEMA.with_metadata({"schema": "benchc.answers/9"}))
    assert texts(submission) == ["samples.parquet: it does not say that it is benchc.answers/4"]
    edit_answers(submission, lambda rows: None, schema=SAMPLES_SCHEMA.remove(1))
    assert texts(submission) == ["samples.parquet: its columns are not those of benchc.answers/4"]


def test_what_is_no_parquet_is_refused(submission):
    (submission / "samples.parquet").write_bytes(b"PAR1" + bytes(300))
    with_hashes(submission)
    (text,) = texts(submission)
    assert "cannot be read as parquet" in text


def test_many_rows_in_a_small_file_are_not_unpacked(submission):
    row = pq.read_table(submission / "samples.parquet").slice(0, 1)
    with pq.ParquetWriter(submission / "samples.parquet", SAMPLES_SCHEMA) as writer:
        writer.write_table(pa.concat_tables([row] * 2000).combine_chunks())
    with_hashes(submission)
    (text,) = texts(submission)
    assert "2000 rows of" in text
    assert "are more than the 1536 rows" in text


BILLION_LAUGHS = "[&a0 [x, x], " + ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)) + "] #"

TEXT_TAMPERS = {
    "a value for the hub": (
        ".eval_results/benchc.yaml",
        lambda text: text.replace("value: ", "value: 1", 1),
        ".eval_results/benchc.yaml: [0].value is",
    ),
    "an entry taken from the hub's file": (
        ".eval_results/benchc.yaml",
        lambda text: yaml.safe_dump(yaml.safe_load(text)[1:]),
        " entries where ",
    ),
    "another task": (
        ".eval_results/benchc.yaml",
        lambda text: text.replace("task_id: ras\n", "task_id: rasp\n"),
        "[3].dataset.task_id is 'rasp' where",
    ),
    "an entry for the reader only": (
        ".eval_results/benchc.yaml",
        lambda text: text + "- error: hidden\n  filename: x\n",
        "does not see the same entries",
    ),
    "a value that YAML's aliases make endless": (
        ".eval_results/benchc.yaml",
        lambda text: text.replace("value: 0.", f"value: {BILLION_LAUGHS}", 1),
        "it has aliases",
    ),
    "a number too large for a float": (
        ".eval_results/benchc.yaml",
        lambda text: text.replace("value: 0.", f"value: {'9' * 400} #", 1),
        "[0].value is 9999",
    ),
    "a binary file": ("unaggregated_results.csv", lambda text: "\0\x1b[2J", "unaggregated_results.csv: "),
    "no YAML": (".eval_results/benchc.yaml", lambda text: "{", "cannot be read"),
    "code in YAML": (
        ".eval_results/benchc.yaml",
        lambda text: "- !!python/object/apply:os.getcwd []\n",
        "cannot be read",
    ),
    "an accuracy in the CSV": (
        "unaggregated_results.csv",
        lambda text: text.replace("lab/model,0.", "lab/model,1.", 1),
        "unaggregated_results.csv: [2][1] is 1.",
    ),
    "a score for Every Eval Ever": (
        "every_eval_ever/data/*/*/*/*.json",
        lambda text: text.replace('"score": ', '"score": 1', 1),
        ".evaluation_results[0].score_details.score is",
    ),
    "another range": (
        "every_eval_ever/data/*/*/*/*.json",
        lambda text: text.replace('"min_score": -2.0', '"min_score": -1.0', 1),
        ".evaluation_results[3].metric_config.min_score is -1.0",
    ),
    "a key twice": (
        "every_eval_ever/data/*/*/*/*.json",
        lambda text: text.replace('"schema_version"', '"schema_version": "0", "schema_version"', 1),
        "a key stands twice",
    ),
    "an instance": (
        "every_eval_ever/data/*/*/*/*_samples.jsonl",
        lambda text: text.replace('"is_correct": true', '"is_correct": false', 1),
        ".evaluation.is_correct is False where",
    ),
    "an instance taken away": (
        "every_eval_ever/data/*/*/*/*_samples.jsonl",
        lambda text: text.partition("\n")[2],
        "it has 23 entries where 24 are expected",
    ),
    "a path in Every Eval Ever that leaves the folder": (
        "every_eval_ever/data/*/*/*/*.json",
        lambda text: text.replace('"file_path": "data/', '"file_path": "../data/'),
        ".detailed_evaluation_results.file_path is '../data/",
    ),
}


@pytest.mark.parametrize("name", TEXT_TAMPERS)
def test_changed_files_are_caught(submission, name):
    pattern, edit, expected = TEXT_TAMPERS[name]
    edit_text(submission, pattern, edit)
    found = texts(submission)
    assert any(expected in text for text in found), found


FILES = (
    "benchc.json",
    "samples.parquet",
    ".eval_results/benchc.yaml",
    "unaggregated_results.csv",
    "every_eval_ever/data/*/*/*/*.json",
    "every_eval_ever/data/*/*/*/*_samples.jsonl",
)


@pytest.mark.parametrize("pattern", FILES)
def test_a_file_a_hundred_times_too_large_is_not_read(submission, pattern, monkeypatch):
    (file,) = submission.glob(pattern)
    # A file of this small submission is far below what one of full size may have: grow that.
    usual = 849 * file.stat().st_size // 8 if file.name in ("samples.parquet",) or file.suffix == ".jsonl" else 0
    size = 100 * max(usual, file.stat().st_size)
    os.truncate(file, size)
    if file.name != "benchc.json":
        edit_record(
            submission,
            lambda record: [
                facts.update(bytes=size) for facts in record["files"] if (submission / facts["path"]) == file
            ],
        )
    opened = os.open
    monkeypatch.setattr(
        "benchc_metrics.leaderboard.folder.os.open",
        lambda path, flags: pytest.fail(f"{path} was read") if path == file else opened(path, flags),
    )
    found = texts(submission)
    assert any(f"it has {size} bytes where at most" in text for text in found), found


@pytest.mark.parametrize("pattern", FILES)
def test_a_missing_file_is_named(submission, pattern):
    (file,) = submission.glob(pattern)
    file.unlink()
    assert f"{file.relative_to(submission).as_posix()}: it is missing" in texts(submission)


def test_a_file_that_does_not_belong_there_is_named(submission):
    (submission / "run_me.sh").write_text("true")
    assert texts(submission) == ["run_me.sh: no submission has this file"]
    edit_record(
        submission,
        lambda record: record["files"].append(
            {"path": "run_me.sh", "bytes": 4, "sha256": hashlib.sha256(b"true").hexdigest()}
        ),
    )
    assert "run_me.sh: no submission has this file" in texts(submission)


def test_the_caution_of_the_demonstration_set_cannot_be_dropped(tmp_path):
    assert load_dataset(DEMONSTRATION_SET).fingerprint == DEMONSTRATION_FINGERPRINT
    run = made_run(4, dataset=DEMONSTRATION_FINGERPRINT, demonstration=True)
    write_submission(run, tmp_path / "out", DETAILS, bootstrap=QUICK, created=CREATED)
    assert texts(tmp_path / "out") == []
    edit_record(tmp_path / "out", lambda record: record["dataset"].update(demonstration=False))
    assert texts(tmp_path / "out") == [
        "benchc.json: it says demonstration: false, and its dataset is the bundled demonstration set"
    ]


def test_another_prompt_than_the_accepted_one_is_refused(pristine, whole):
    assert texts(pristine, prompt=whole.metadata.prompt) == []
    (text,) = texts(pristine, prompt="Answer with one letter.")
    assert text.startswith("benchc.json: its prompt ")


def test_cheap_checks_come_before_the_answers(submission, monkeypatch):
    monkeypatch.setattr(
        "benchc_metrics.leaderboard.verification.AnswerTable.read", lambda *arguments: pytest.fail("answers were read")
    )
    assert texts(submission, engine="2")
    assert texts(submission, dataset="another")
    assert texts(submission, prompt="another")
    assert texts(submission, samples={"one": SampleFacts(0, 2, None, None)}) == [
        "benchc.json: it is over 8 samples where the dataset has 1"
    ]


def test_links_are_not_followed(submission, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_bytes((submission / "unaggregated_results.csv").read_bytes())
    (submission / "unaggregated_results.csv").unlink()
    (submission / "unaggregated_results.csv").symlink_to(outside)
    assert texts(submission) == ["unaggregated_results.csv: it is a link that leaves the folder"]
    (submission / "unaggregated_results.csv").unlink()
    (submission / "unaggregated_results.csv").symlink_to(submission / "benchc.json")
    assert texts(submission) == ["unaggregated_results.csv: it is a link; give the file itself"]


def test_a_linked_folder_is_not_followed(submission, tmp_path):
    (submission / "more").symlink_to(tmp_path)
    assert texts(submission) == ["more: it is a link that leaves the folder"]


def test_a_pipe_is_not_opened(submission):
    os.mkfifo(submission / "pipe")
    assert texts(submission) == ["pipe: it is neither a file nor a folder"]


def test_a_key_that_stands_twice_is_caught(submission):
    file = submission / "benchc.json"
    file.write_text(file.read_text().replace('"engine": "1"', '"engine": "9", "engine": "1"'))
    assert texts(submission) == ["benchc.json: the file: a key stands twice in it ('engine')"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_record_that_is_no_record_is_refused(submission, content):
    (submission / "benchc.json").write_bytes(content)
    found = texts(submission)
    assert len(found) == 1
    assert found[0].startswith("benchc.json: ")


def facts_of(run):
    return {
        sample: SampleFacts(int(answer), int(count), source, category)
        for sample, answer, count, source, category in zip(
            run.sample_ids, run.answers, run.option_counts, run.sources, run.categories, strict=True
        )
    }


def test_the_datasets_own_answers_decide(submission, whole):
    assert texts(submission, samples=facts_of(whole), dataset="f1" * 32) == []
    assert texts(submission, dataset="ab") == [f"benchc.json: its dataset '{'f1' * 32}' is not 'ab'"]
    samples = facts_of(whole)
    samples["sample-0001"] = samples["sample-0001"]._replace(answer=9)
    samples["sample-0009"] = samples.pop("sample-0002")
    assert texts(submission, samples=samples) == [
        "samples.parquet: 1 samples of the dataset are missing, 'sample-0009' the first",
        "samples.parquet: 1 samples are not in the dataset, 'sample-0002' the first",
        "samples.parquet: 1 samples have another right answer, options, source or category than in the dataset, "
        "'sample-0001' the first",
    ]


def test_names_cannot_talk_to_the_terminal(submission):
    edit_answers(submission, lambda rows: rows[7].update(condition="\x1b[2Jrain\u202e"))
    found = texts(submission)
    assert any("\\x1b[2Jrain\\u202e" in text for text in found)
    assert all(text.isprintable() for text in found)


def test_another_bootstrap_than_the_standard_is_refused(pristine):
    (text,) = texts(pristine, bootstrap=STANDARD_BOOTSTRAP)
    assert "its intervals were made with" in text


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="benchc submit"):
        check(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="benchc submit"):
        read_submission(tmp_path / "nowhere")


def test_reading_refuses_what_cannot_be_read(submission):
    edit_answers(submission, dropped)
    with pytest.raises(ValueError, match=r"samples\.parquet: 1 missing answers"):
        read_submission(submission)


def test_no_byte_can_be_changed_unseen(submission):
    """Whatever single byte of a file beside the record is turned, its hash tells."""
    draw = np.random.default_rng(0)
    files = sorted(path for path in submission.rglob("*") if path.is_file() and path.name != "benchc.json")
    for _ in range(40):
        file = files[draw.integers(len(files))]
        content = bytearray(file.read_bytes())
        place = int(draw.integers(len(content)))
        content[place] ^= 1 << int(draw.integers(7))
        unspoilt = file.read_bytes()
        file.write_bytes(bytes(content))
        assert texts(submission), f"byte {place} of {file.name}"
        file.write_bytes(unspoilt)
