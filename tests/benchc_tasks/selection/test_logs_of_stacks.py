"""Answers for a selection, out of the folders of several stacks."""

from __future__ import annotations

from pathlib import Path

from run_folders import made_run, write_run

from benchc_tasks.selection.answers.sources import open_answers


def test_logs_of_lm_evaluation_harness_are_found_beside_those_of_lmms_eval(tmp_path: Path) -> None:
    write_run(made_run(4, corruptions=("fog",)), tmp_path / "lmms" / "model-a")
    write_run(made_run(4, corruptions=("fog",)), tmp_path / "lm" / "model-b")
    for log in (tmp_path / "lm" / "model-b").glob("*_samples_*.jsonl"):
        log.rename(log.with_name("samples_benchc_fog_2026-11-26T17-00-45.061184.jsonl"))
    assert [source.name for source in open_answers([str(tmp_path)])] == [
        "the logs of 'model-a'",
        "the logs of 'model-b'",
    ]
