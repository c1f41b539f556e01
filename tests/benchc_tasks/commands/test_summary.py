from __future__ import annotations

import csv
import io
import json
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run, with_control, without_distributions, write_run

from benchc_metrics.benchmark import CONTROL_CHANGES
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.metrics.views import corruption_views, severity_views
from benchc_metrics.runs import read_run
from benchc_metrics.statistics.estimates import compare as compare_runs
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.floor import estimate_floor
from benchc_tasks.commands import compare, summary
from benchc_tasks.commands.cli import main

CORRUPTIONS = ("gaussian_noise", "snow", "fog")


def run_command(command, *words):
    parser = ArgumentParser()
    command.add_parser(parser.add_subparsers())
    chosen = parser.parse_args([command.__name__.rpartition(".")[2], *map(str, words), "--resamples", "200"])
    return chosen.run(chosen)


@pytest.fixture
def folders(tmp_path):
    return [
        write_run(made_run(30, corruptions=CORRUPTIONS, noise=noise, model=f"lab/{name}"), tmp_path / name)
        for name, noise in (("steady", 0.2), ("shaky", 0.8))
    ]


def test_summary_in_json_has_the_figures_of_the_answers(folders, capsys):
    assert run_command(summary, *folders, "--json") == 0
    written = json.loads(capsys.readouterr().out)
    assert (written["resamples"], written["confidence_level"]) == (200, 0.95)
    rows = written["tables"][0]["rows"]
    assert [row["run"] for row in rows] == ["lab/steady", "lab/shaky"]
    found = estimate(read_run(folders[1]), resamples=200)
    for figure in headline_metrics():
        assert rows[1][figure] == found.of(figure)._asdict()


def test_summary_of_views_and_chosen_figures(folders, capsys):
    assert run_command(summary, folders[0], "--csv", "--by", "severity", "--metrics", "flip") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    run = read_run(folders[0])
    found = estimate(run, severity_views(run), resamples=200)
    assert [row["severity"] for row in rows] == [f"severity {severity}" for severity in range(1, 6)]
    assert [float(row["flip"]) for row in rows] == found.values("flip").tolist()


@pytest.mark.parametrize(("by", "rows"), [("corruption", 3), ("condition", 15), ("category", 3), ("severity", 5)])
def test_summary_by(folders, capsys, by, rows):
    assert run_command(summary, folders[0], "--by", by, "--csv") == 0
    assert len(capsys.readouterr().out.splitlines()) == rows + 1


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize(("command", "words"), [(summary, ()), (compare, ("--all",))])
def test_tables_fit_the_terminal(folders, capsys, monkeypatch, width, command, words):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run_command(command, *folders, *words) == 0
    text = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "lab/steady" in text
    assert text.count("[") > 15


@pytest.mark.parametrize("form", ["--markdown", "--latex", "--csv"])
def test_notes_do_not_disturb_a_table(folders, capsys, form):
    write_run(
        made_run(4, corruptions=CORRUPTIONS, demonstration=True, dataset_size=9), folders[0], date="20270101_000000"
    )
    assert run_command(summary, *folders, form) == 0
    captured = capsys.readouterr()
    for note in ("has 2 evaluations", "demonstration set", "4 of the 9 samples", "differ in dataset"):
        assert note not in captured.out
        assert (note in captured.err) == (note != "differ in dataset")


def test_runs_that_cannot_be_compared_are_shown_with_a_note(folders, tmp_path, capsys):
    other = write_run(made_run(5, corruptions=CORRUPTIONS, engine="9"), tmp_path / "other")
    assert run_command(summary, *folders, other, "--json") == 0
    assert any("cannot be compared" in note for note in json.loads(capsys.readouterr().out)["notes"])


def test_samples_without_categories_have_no_rows_by_them(tmp_path):
    def change(rows):
        for row in rows:
            row["benchc"]["category"] = None
        return rows

    folder = write_run(made_run(4, corruptions=CORRUPTIONS), tmp_path, change=change)
    with pytest.raises(ValueError, match="have no category"):
        run_command(summary, folder, "--by", "category")


def test_a_bootstrap_of_next_to_nothing_is_refused(folders, capsys):
    parser = ArgumentParser()
    summary.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["summary", str(folders[0]), "--resamples", "5"])
    assert "5 resamples are too few" in capsys.readouterr().err


def test_compare_shows_the_difference_its_interval_and_p_values(folders, capsys):
    assert run_command(compare, *folders, "--json") == 0
    overall, ras, accuracy = json.loads(capsys.readouterr().out)["tables"]
    assert [row["metric"] for row in overall["rows"]] == list(headline_metrics())
    assert all(row["p_holm"] is None and row["corruption"] == "all" for row in overall["rows"])
    assert [row["corruption"] for row in ras["rows"]] == list(CORRUPTIONS)
    assert {row["metric"] for row in accuracy["rows"]} == {"acc_corrupted"}
    for row in ras["rows"]:
        assert row["difference"]["value"] == pytest.approx(row["first"]["value"] - row["second"]["value"], abs=1e-9)
        assert 0 < row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
        assert row["p_value"] == pytest.approx(1 / 201)
        assert row["p_holm"] == pytest.approx(3 / 201)


@pytest.mark.parametrize("width", [80, 140])
def test_compare_shows_thirty_lines_and_ends_with_a_verdict(folders, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run_command(compare, *folders) == 0
    short = capsys.readouterr().out.rstrip()
    assert len(short.splitlines()) <= 30
    assert max(len(line.rstrip()) for line in short.splitlines()) <= width
    assert "█" in short
    assert run_command(compare, *folders, "--all") == 0
    long = capsys.readouterr().out.rstrip()
    verdict = "lab/steady is more robust than lab/shaky by ras_tempered: A - B is +"
    for text in (short, long):
        said = " ".join(text.split())
        assert verdict in said
        assert said.endswith("ras_tempered differs under 3 of 3 corruptions (Holm's correction).")
    assert len(long.splitlines()) > len(short.splitlines())


def test_compare_says_what_holds_of_both_runs_once(tmp_path, capsys):
    runs = [made_run(20, corruptions=CORRUPTIONS, noise=n, model=f"lab/{n}", demonstration=True) for n in (0.2, 0.3)]
    assert run_command(compare, *(write_run(run, tmp_path / run.name) for run in runs)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("the bundled demonstration set was evaluated") == 1
    assert "lab/0.2 and lab/0.3: the bundled demonstration set" in said


def test_compare_refuses_with_the_reason(folders, tmp_path):
    other = write_run(made_run(30, corruptions=CORRUPTIONS, prompt="Choose."), tmp_path / "other")
    with pytest.raises(ValueError, match="their prompts differ"):
        run_command(compare, folders[0], other)


def test_compare_in_csv_is_one_table(folders, capsys):
    assert run_command(compare, *folders, "--csv", "--metrics", "flip") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(headline_metrics()) + 3
    assert {"difference_low", "difference_high", "p_value", "p_holm", "first_low"} <= set(rows[0])


def test_a_list_of_metrics_does_not_swallow_the_runs(folders, capsys):
    assert run_command(summary, "--metrics", "ras,flip", "--metrics", "acc_clean", folders[0], "--json") == 0
    rows = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    assert list(rows[0]) == ["run", "ras", "flip", "acc_clean"]


@pytest.mark.parametrize("command", [["summary", "RUN"], ["compare", "RUN", "RUN"]])
@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--resamples", "1000000000", "'1000000000' is not a whole number from 0 to 100000"),
        ("--resamples", "99", "99 resamples are too few for"),
        ("--resamples", "1e4", "'1e4' is not a whole number"),
        ("--resamples", "9" * 5000, "is not a whole number from 0 to 100000"),
        ("--seed", "-1", "'-1' is not a whole number from 0 to 9223372036854775807"),
        ("--seed", str(2**63), "is not a whole number from 0 to"),
        ("--metrics", "ras,nonsense", "'nonsense' is not one of acc_clean,"),
        ("--metrics", ",", "',' is not one of acc_clean,"),
    ],
)
def test_what_an_option_refuses_is_one_sentence(folders, capsys, command, option, value, sentence):
    words = [str(folders[0]) if word == "RUN" else word for word in command]
    with pytest.raises(SystemExit) as ended:
        main([*words, f"{option}={value}"])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert "Traceback" not in shown
    assert len(shown.splitlines()[-1]) < 600


def test_the_largest_values_are_taken(folders, capsys):
    words = ["summary", str(folders[0]), "--resamples", "100", "--seed", str(2**63 - 1)]
    assert main(words) == 0


@pytest.fixture
def generated(tmp_path):
    """Two runs of generated letters and one of log-likelihoods, over the same samples."""
    made = {
        name: made_run(30, corruptions=CORRUPTIONS, noise=noise, model=f"lab/{name}") for name, noise in NOISES.items()
    }
    runs = {name: run if name == "scored" else without_distributions(run) for name, run in made.items()}
    return {name: write_run(run, tmp_path / name) for name, run in runs.items()}, made


NOISES = {"steady": 0.2, "shaky": 0.8, "scored": 0.2}
NEED_PROBABILITIES = ("ras", "ras_destructive", "ras_corrective", "ece_clean", "ece_corrupted")


def test_a_run_of_generated_letters_has_what_predictions_define(generated, capsys):
    folders, made = generated
    assert run_command(summary, folders["steady"], "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    expected = estimate(made["steady"], resamples=200)
    for name in ("acc_clean", "acc_corrupted", "acc_drop"):
        assert row[name] == pytest.approx(expected.of(name)._asdict(), abs=1e-12)
    assert {row[name] for name in NEED_PROBABILITIES} == {"not defined"}
    assert run_command(summary, folders["steady"], "--csv", "--metrics", "flip,ras") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["ras"] == "not defined"
    assert float(row["flip"]) == pytest.approx(expected.of("flip").value, abs=1e-12)


def test_the_two_kinds_stand_in_tables_of_their_own(generated, capsys):
    folders, _ = generated
    assert run_command(summary, *folders.values(), "--json") == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [(table["title"], [row["run"] for row in table["rows"]]) for table in tables] == [
        ("Bench-C, from generated letters: metrics with 95 % intervals", ["lab/steady", "lab/shaky"]),
        ("Bench-C, from probabilities: metrics with 95 % intervals", ["lab/scored"]),
    ]
    with pytest.raises(ValueError, match="generated letters and of probabilities do not fit into one CSV"):
        run_command(summary, *folders.values(), "--csv")


def test_generated_letters_are_compared_with_their_like_only(generated, capsys):
    folders, made = generated
    assert run_command(compare, folders["steady"], folders["shaky"], "--json") == 0
    overall, of_ras, of_accuracy = json.loads(capsys.readouterr().out)["tables"]
    rows = {row["metric"]: row for row in overall["rows"]}
    expected = compare_runs(made["steady"], made["shaky"], resamples=200).of("acc_corrupted")
    assert rows["acc_corrupted"]["difference"]["value"] == pytest.approx(expected.value, abs=1e-12)
    assert rows["acc_corrupted"]["p_value"] == pytest.approx(expected.p_value)
    assert rows["ras"]["difference"] == rows["ras"]["first"] == "not defined"
    assert rows["ras"]["p_value"] is None
    assert {row["difference"] for row in of_ras["rows"]} == {"not defined"}
    assert all(row["p_holm"] is not None for row in of_accuracy["rows"])
    with pytest.raises(
        ValueError, match=r"lab/steady and lab/scored cannot be compared: the predictions of one come from"
    ):
        run_command(compare, folders["steady"], folders["scored"])


def test_cautions_are_shown_before_the_tables(tmp_path, capsys):
    run = made_run(40, corruptions=CORRUPTIONS, model="lab/blind")
    blind = replace(run, corrupted=np.broadcast_to(run.clean[:, None, None], run.corrupted.shape).copy())
    folder = write_run(blind, tmp_path / "blind")
    (caution, *_) = read_run(folder).cautions
    expected = f"CAUTION ({caution.name}): lab/blind: {caution.sentence}"
    assert run_command(summary, folder) == 0
    shown = capsys.readouterr().out
    assert " ".join(shown.split()).startswith(expected)
    assert run_command(summary, folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["cautions"][0] == expected
    assert run_command(summary, folder, "--csv") == 0
    assert expected in capsys.readouterr().err
    assert run_command(compare, folder, write_run(run, tmp_path / "seeing"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["cautions"][0] == expected


def test_the_reading_of_ras_is_chosen_and_said(folders, capsys):
    values = {}
    for reading in READINGS:
        assert run_command(summary, folders[0], "--json", "--ras-reading", reading) == 0
        written = json.loads(capsys.readouterr().out)
        assert written["ras_reading"] == reading
        values[reading] = written["tables"][0]["rows"][0]["ras"]
        assert values[reading] == estimate(read_run(folders[0]), reading=reading, resamples=200).of("ras")._asdict()
    assert len({value["value"] for value in values.values()}) == len(READINGS)
    assert run_command(compare, *folders, "--json", "--ras-reading", "certainty") == 0
    overall = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    (row,) = [row for row in overall if row["metric"] == "ras"]
    assert row["first"] == values["certainty"]


def test_readings_are_not_compared_with_one_another(folders):
    first, second = (PairValues.of_run(read_run(folders[0]), reading) for reading in ("brier", "confidence"))
    with pytest.raises(ValueError, match="RAS is read as 'brier' in one and as 'confidence' in the other"):
        compare_runs(first, second)


@pytest.fixture
def controlled(tmp_path):
    return write_run(with_control(made_run(30, corruptions=CORRUPTIONS, model="lab/with")), tmp_path / "with")


def test_summary_shows_the_floor_and_each_corruptions_distance_from_it(folders, controlled, capsys):
    assert run_command(summary, controlled, folders[0], "--json") == 0
    metrics, floor = json.loads(capsys.readouterr().out)["tables"]
    run = read_run(controlled)
    alone = estimate(replace(run, control=None), resamples=200)
    for metric in headline_metrics():
        assert metrics["rows"][0][metric] == alone.of(metric)._asdict()
    assert [(row["run"], row["corruption"]) for row in floor["rows"]] == [
        ("lab/with", part) for part in ("all", *CORRUPTIONS)
    ]
    whole, parts = (estimate_floor(run, views, resamples=200) for views in (None, corruption_views(run)))
    for metric in ("ras", "acc_corrupted"):
        first, second = floor["rows"][:2]
        assert first[f"{metric}_floor"] == whole.of(metric)._asdict()
        assert first[f"{metric}_distance"]["value"] == whole.distance(metric).value
        assert (second[f"{metric}_floor"], first[f"{metric}_p_holm"]) == (None, None)
        assert second[f"{metric}_distance"]["low"] == parts.distance(metric, CORRUPTIONS[0]).low
        assert second[f"{metric}_p_holm"] == parts.distance(metric, CORRUPTIONS[0]).p_adjusted


def test_the_floor_by_itself_in_any_form(controlled, capsys):
    assert run_command(summary, controlled, "--floor", "--csv", "--by", "severity", "--metrics", "flip") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    changes = [f"control: {change}" for change in CONTROL_CHANGES]
    assert [row["severity"] for row in rows] == [
        "all",
        *changes,
        *(f"severity {severity}" for severity in range(1, 6)),
    ]
    assert np.mean([float(row["flip_floor"]) for row in rows[1:6]]) == pytest.approx(float(rows[0]["flip_floor"]))
    assert float(rows[0]["flip_floor"]) >= 0
    assert {"flip_distance_low", "flip_p_holm"} <= set(rows[0])


def test_csv_of_the_metrics_says_where_the_floor_is(controlled, capsys):
    assert run_command(summary, controlled, "--csv") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "--floor --csv writes it" in captured.err


def test_a_floor_that_no_run_has_is_refused_with_the_cure(folders):
    with pytest.raises(ValueError, match=r"lab/steady has no control: evaluate with --tasks benchc,benchc-control"):
        run_command(summary, folders[0], "--floor")


def test_a_run_with_the_control_is_compared_with_one_without_it_over_the_corruptions(folders, controlled, capsys):
    assert run_command(compare, controlled, folders[0], "--json") == 0
    text = capsys.readouterr().out
    assert "control" not in text.replace("lab/with", "")
    without = replace(read_run(controlled), control=None)
    expected = compare_runs(without, read_run(folders[0]), resamples=200).of("ras")
    assert json.loads(text)["tables"][0]["rows"]
    assert f"{expected.value}" in text


def test_what_lacks_under_the_control_is_said(tmp_path, capsys):
    run = with_control(made_run(6, corruptions=CORRUPTIONS))
    moved = run.control.corrupted.copy()
    moved[2, 0, 3] = np.nan
    alone = replace(run.control, corrupted=moved)
    folder = write_run(replace(run, control=alone), tmp_path / "part")
    assert run_command(summary, folder, write_run(alone, tmp_path / "alone"), "--json") == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "lab/model: 1 answers under the control are missing or invalid." in notes
    assert "lab/model (alone): only the control was run; the metrics under corruption are its floor." in notes
