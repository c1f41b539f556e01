"""What restoration cures and costs, from a run with it and one without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import made_run, write_run

from benchc_metrics.findings.restoration import note_on_restoration, notes_on_restorations
from benchc_metrics.report.document import render_report
from benchc_metrics.runs import Run, read_run
from benchc_metrics.statistics.estimates import compare
from benchc_tasks.commands.cli import main

PLAIN = made_run(120, seed=5, noise=1.0)


def restored_run() -> Run:
    """Fog is cured, contrast is harmed, the rest is as before; two clean answers are lost."""
    corrupted = PLAIN.corrupted.copy()
    fog, contrast = (PLAIN.corruptions.index(name) for name in ("fog", "contrast"))
    corrupted[:, fog] = PLAIN.clean[:, np.newaxis]
    rows = np.arange(len(PLAIN.answers))
    corrupted[rows, contrast, :, PLAIN.answers] = -20.0
    clean = PLAIN.clean.copy()
    right = np.flatnonzero(PLAIN.clean_predictions == PLAIN.answers)[:2]
    clean[right, PLAIN.answers[right]] = -20.0
    metadata = replace(PLAIN.metadata, restoration="median")
    return replace(PLAIN, name="lab/model with restoration median", metadata=metadata, clean=clean, corrupted=corrupted)


RESTORED = restored_run()


def test_cured_and_harmed_corruptions_and_the_cost_on_clean_pictures_are_named() -> None:
    note = note_on_restoration(RESTORED, PLAIN, resamples=2000)
    assert note.startswith("lab/model with restoration median against lab/model: restoration changes accuracy on clean")
    assert "by −1.7 points [" in note
    gain = 100 * (compare(RESTORED, PLAIN).of("acc_corrupted").value)
    assert f"under corruption by {'−' if gain < 0 else '+'}{abs(gain):.1f} points" in note
    assert "Of 19 corruptions it cures fog (+" in note
    assert " points) and harms contrast (−" in note


def test_a_run_without_its_counterpart_says_that_it_was_restored() -> None:
    (note,) = notes_on_restorations([RESTORED])
    assert note.startswith("lab/model with restoration median: every picture, clean ones too, was restored by median")
    other = replace(PLAIN, metadata=replace(PLAIN.metadata, model="lab/other"))
    assert notes_on_restorations([RESTORED, other]) == [note]
    assert notes_on_restorations([PLAIN]) == []


def test_records_keep_it_and_the_report_and_compare_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tuple(replace(run, **_fog_of(run)) for run in (RESTORED, PLAIN))
    folders = [write_run(run, tmp_path / name) for run, name in zip(few, ("with", "without"), strict=True)]
    read = [read_run(folder) for folder in folders]
    assert [run.metadata.restoration for run in read] == ["median", None]
    assert [run.name for run in read] == ["lab/model with restoration median", "lab/model"]
    page = render_report(read)
    assert "median and none" in page
    assert "it cures fog (+" in page
    assert main(["compare", *map(str, folders), "--resamples", "500", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("Of 1 corruptions it cures fog (+" in note for note in notes)


def test_records_with_and_without_are_not_one_run(tmp_path: Path) -> None:
    run = replace(PLAIN, **_fog_of(PLAIN))
    folder = write_run(run, tmp_path / "mixed")
    (log,) = folder.glob("*_samples_*.jsonl")
    lines = log.read_text().splitlines()
    row = json.loads(lines[0])
    row["benchc"]["restoration"] = "median"
    log.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"mixes 2 values of restoration \('median', 'none'\): evaluate again"):
        read_run(folder)


def _fog_of(run: Run) -> dict[str, object]:
    place = run.corruptions.index("fog")
    return {"corruptions": ("fog",), "corrupted": run.corrupted[:, [place]], "asked": run.asked[:, [place]]}
