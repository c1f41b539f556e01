"""`benchc export tsv`: the pictures of the tasks, in files."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset
from benchc_tasks.stacks.pictures import ConditionedPicture

NARROW = ["export", "tsv", "--limit", "3", "--corruption", "gaussian_noise", "--severity", "2", "--severity", "5"]


def test_the_pictures_are_those_of_the_tasks_to_the_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NARROW, "-o", str(tmp_path / "files")]) == 0
    assert "3 files of 3 samples take about" in capsys.readouterr().err
    names = ["BenchC_clean.tsv", "BenchC_gaussian_noise_2.tsv", "BenchC_gaussian_noise_5.tsv"]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == names
    csv.field_size_limit(10**8)
    with (tmp_path / "files" / names[2]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    dataset = load_dataset()
    for number, row in enumerate(rows):
        sample = dataset[number]
        (expected,) = ConditionedPicture(dataset.fingerprint, sample["id"], Condition("gaussian_noise", 5))(sample)
        picture = Image.open(io.BytesIO(base64.b64decode(row["image"])))
        assert np.array_equal(np.asarray(picture), np.asarray(expected))
        assert (row["index"], row["id"], row["split"]) == (str(number), sample["id"], "gaussian_noise@5")
    assert len(rows) == 3


def test_a_clean_file_is_a_pool_of_the_same_questions(tmp_path: Path) -> None:
    assert main([*NARROW, "-o", str(tmp_path / "files")]) == 0
    clean = str(tmp_path / "files" / "BenchC_clean.tsv")
    assert main(["pool", "tsv", "--from", clean, "-o", str(tmp_path / "pool")]) == 0
    pool, dataset = load_dataset(tmp_path / "pool"), load_dataset()
    for number in range(3):
        for name in ("question", "options", "answer"):
            assert pool[number][name] == dataset[number][name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--severity", "6"], "--severity is 6: give a whole number from 1 to 5"),
        (["--corruption", "fogg"], "there is no corruption 'fogg'"),
        (["--limit", "0"], "--limit is 0"),
    ],
)
def test_wrong_arguments_are_told(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "tsv", "-o", str(tmp_path / "files"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "files").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("kept", encoding="utf-8")
    assert main(["export", "tsv", "-o", str(tmp_path)]) == 1
    assert "is there already and not empty" in capsys.readouterr().err
