from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import made_run, without_distributions, write_run
from submissions import QUICK

from benchc_metrics.leaderboard import submission as submissions_module
from benchc_metrics.leaderboard import verification as verification_module
from benchc_metrics.runs import read_run
from benchc_tasks.commands import submit, verify
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import load_dataset, write_dataset
from support import rows_of_samples


@pytest.fixture(autouse=True)
def quick_bootstrap(monkeypatch):
    """The standard of 10,000 resamples has a test of its own."""
    for function in (submissions_module.write_submission, verification_module.verify):
        monkeypatch.setitem(function.__kwdefaults__, "bootstrap", QUICK)


def run_command(command, *words):
    parser = ArgumentParser()
    command.add_parser(parser.add_subparsers())
    chosen = parser.parse_args([command.__name__.rpartition(".")[2], *map(str, words)])
    return chosen.run(chosen)


def run_over(dataset, folder, **changes):
    """Write a whole run over the samples of a dataset."""
    docs = sorted(dataset.without_images(), key=lambda doc: doc["id"])
    run = made_run(len(docs), widths=(4, 4), engine=ENGINE_VERSION, dataset=dataset.fingerprint)
    counts = np.array([len(doc["options"]) for doc in docs])
    padding = np.arange(4) >= counts[:, np.newaxis]
    run = replace(
        run,
        sample_ids=tuple(doc["id"] for doc in docs),
        answers=np.array([doc["answer"] for doc in docs]),
        option_counts=counts,
        sources=tuple(doc["source"] for doc in docs),
        categories=tuple(doc["category"] for doc in docs),
        clean=np.where(padding, -np.inf, run.clean),
        corrupted=np.where(padding[:, np.newaxis, np.newaxis], -np.inf, run.corrupted),
        **changes,
    )
    return write_run(run, folder)


@pytest.fixture
def dataset(tmp_path):
    write_dataset(tmp_path / "data.parquet", rows_of_samples(6))
    return load_dataset(tmp_path / "data.parquet")


def test_a_run_is_submitted_and_verified(tmp_path, dataset, capsys):
    run = run_over(dataset, tmp_path / "run")
    assert run_command(submit, run, "-o", tmp_path / "out", "--dataset-id", "lab/set", "--organisation", "Lab") == 0
    told = capsys.readouterr().out
    assert "lab/model: 6 samples under 95 conditions and clean" in told
    assert "samples.parquet" in told
    assert run_command(verify, tmp_path / "out", "--dataset", tmp_path / "data.parquet") == 0
    told = capsys.readouterr().out
    assert "sound; lab/model over 6 samples" in told
    assert "--dataset" not in told


def test_facts_about_the_model_are_options(tmp_path, dataset, capsys):
    run = run_over(dataset, tmp_path / "run")
    facts = ("--size", "7.6B", "--licence", "apache-2.0", "--link", "https://hub.example/lab/model")
    assert run_command(submit, run, "-o", tmp_path / "out", "--dataset-id", "lab/set", *facts) == 0
    model = json.loads((tmp_path / "out" / "benchc.json").read_text())["model"]
    assert (model["parameters"], model["licence"], model["link"]) == (7_600_000_000, "apache-2.0", facts[-1])
    assert run_command(verify, tmp_path / "out", "--dataset", tmp_path / "data.parquet") == 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run_command(submit, run, "-o", tmp_path / "no", "--dataset-id", "lab/set", "--size", "big")
    assert "'big' is not a number of parameters: write it as 7.6B or 500M" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"link 'javascript:alert\(1\)' is refused: it is not a web address"):
        run_command(submit, run, "-o", tmp_path / "no", "--dataset-id", "lab/set", "--link", "javascript:alert(1)")
    assert not (tmp_path / "no").exists()


def test_a_run_of_generated_letters_is_submitted_and_verified(tmp_path, dataset, capsys):
    scored = read_run(run_over(dataset, tmp_path / "scored"))
    run = write_run(without_distributions(scored), tmp_path / "run")
    assert run_command(submit, run, "-o", tmp_path / "out", "--dataset-id", "lab/set") == 0
    assert run_command(verify, tmp_path / "out", "--dataset", tmp_path / "data.parquet") == 0
    assert "sound; lab/model over 6 samples" in capsys.readouterr().out


def test_without_the_dataset_the_answers_are_taken_as_stated(tmp_path, dataset, capsys):
    run = run_over(dataset, tmp_path / "run")
    run_command(submit, run, "-o", tmp_path / "out", "--dataset-id", "lab/set")
    capsys.readouterr()
    assert run_command(verify, tmp_path / "out") == 0
    assert "give --dataset to check them too" in capsys.readouterr().out


def test_answers_that_are_not_the_datasets_are_found(tmp_path, dataset, capsys):
    run = run_over(dataset, tmp_path / "run")
    folder = write_run(made_run(6, engine=ENGINE_VERSION, dataset=dataset.fingerprint), tmp_path / "other")
    assert run_command(submit, run, "-o", tmp_path / "a", "--dataset-id", "lab/set") == 0
    assert run_command(submit, folder, "-o", tmp_path / "b", "--dataset-id", "lab/set") == 0
    capsys.readouterr()
    assert run_command(verify, tmp_path / "a", tmp_path / "b", "--dataset", tmp_path / "data.parquet") == 1
    told = capsys.readouterr().out
    assert f"{tmp_path / 'a'}: sound" in told
    assert f"{tmp_path / 'b'}: samples.parquet: 6 samples of the dataset are missing" in told


def test_a_difference_is_told_and_makes_the_status_one(tmp_path, dataset, capsys):
    run_command(submit, run_over(dataset, tmp_path / "run"), "-o", tmp_path / "out", "--dataset-id", "lab/set")
    record = Path(tmp_path / "out" / "benchc.json")
    record.write_text(record.read_text().replace('"value": 0.', '"value": 0.9', 1))
    capsys.readouterr()
    assert run_command(verify, tmp_path / "out") == 1
    assert "benchc.json: acc_clean is 0.9" in capsys.readouterr().out


def test_a_run_that_is_not_whole_is_refused_with_all_that_is_missing(tmp_path):
    run = write_run(made_run(5, corruptions=("fog",), dataset_size=7), tmp_path / "run")
    with pytest.raises(ValueError, match="is not whole") as refusal:
        run_command(submit, run, "-o", tmp_path / "out", "--dataset-id", "lab/set")
    text = str(refusal.value)
    assert text.count("was not evaluated, at any severity") == 18
    assert "2 of the 7 samples were not evaluated" in text
    assert not (tmp_path / "out").exists()


def test_the_dataset_must_be_named(capsys):
    parser = ArgumentParser()
    submit.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["submit", "run", "-o", "out"])
    assert "--dataset-id" in capsys.readouterr().err
