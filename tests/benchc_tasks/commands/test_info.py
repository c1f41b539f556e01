"""`benchc info` and `benchc tasks-path`, as a user calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchc_tasks.commands.cli import main
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.datasets import write_dataset
from support import rows_of_samples


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


def test_info_tells_what_is_installed_and_what_can_be_run(capsys, wide, tmp_path, monkeypatch):
    write_dataset(tmp_path / "mine.parquet", rows_of_samples(3))
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "mine.parquet"))
    assert main(["info"]) == 0
    output = capsys.readouterr().out
    for corruption in CORRUPTIONS:
        assert f"benchc_{corruption}" in output
    for expected in ("lmms-eval", "benchc-weather", "demonstration set", "mine.parquet", "qwen2_5_vl"):
        assert expected in output


def test_a_missing_dataset_is_one_sentence_and_status_1(capsys, monkeypatch):
    monkeypatch.setenv("BENCHC_DATASET", "no/such.parquet")
    assert main(["info"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchc: dataset 'no/such.parquet' does not exist")


def test_the_tasks_path_holds_the_definitions(capsys):
    assert main(["tasks-path"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "benchc.yaml").is_file()


def test_wrong_words_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["inform"])
    assert ended.value.code == 2
