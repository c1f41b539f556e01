"""TSV files of VLMEvalKit: `benchc pool tsv`."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import DatasetError, load_dataset
from benchc_tasks.datasets.pools import PoolReport, samples_of, tsv_benchmark, tsv_rows

NAMES = (
    "index",
    "image",
    "image_path",
    "question",
    "hint",
    "A",
    "B",
    "C",
    "D",
    "answer",
    "category",
    "split",
    "g_index",
)


def png(colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), colour).save(stream, "PNG")
    return stream.getvalue()


RED, BLUE = (base64.b64encode(png(colour)).decode() for colour in ((255, 0, 0), (0, 0, 255)))


def row(index: object, **fields: str) -> dict[str, str]:
    given = {"index": str(index), "image": RED, "question": "Which?", "A": "one", "B": "two", "answer": "A"}
    return {**dict.fromkeys(NAMES, ""), **given, **fields}


def written(folder: Path, *rows: dict[str, str], name: str = "Set.tsv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, NAMES, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path, images: Path | None = None) -> tuple[list[dict[str, Any]], PoolReport]:
    report = PoolReport(str(path))
    return list(samples_of(tsv_benchmark(path, images or path.parent), tsv_rows(path), report)), report


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    path = written(
        tmp_path, row(7, hint="Look.", C="three", answer="C", category="shape", split="dev", question="One\tor\ntwo?")
    )
    (sample,), report = read(path)
    assert sample == {
        "id": "Set_7", "image": png((255, 0, 0)), "question": "Look. One\tor\ntwo?", "options": ["one", "two", "three"],
        "answer": 2, "source": "Set, split dev", "category": "shape",
    }  # fmt: skip
    assert (report.rows, report.left_out) == (1, {})


def test_words_that_pandas_takes_for_nothing_are_options(tmp_path: Path) -> None:
    path = written(tmp_path, row(1, A="None", B="NA", C="null", D="N/A", answer="D"))
    (sample,), _ = read(path)
    assert sample["options"] == ["None", "NA", "null", "N/A"]


def test_a_short_image_is_the_index_of_an_earlier_or_later_row(tmp_path: Path) -> None:
    path = written(tmp_path, row(1, image="3"), row(2, image=BLUE), row(3), row(4, image="2"), row(5, image="9"))
    samples, report = read(path)
    assert [sample["image"] for sample in samples] == [
        png((255, 0, 0)),
        png((0, 0, 255)),
        png((255, 0, 0)),
        png((0, 0, 255)),
    ]
    assert report.left_out == {"no image": ["row 5"]}


def test_pictures_in_files_lie_below_the_folder_of_the_images(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png((0, 0, 255)))
    path = written(
        tmp_path,
        row(1, image="", image_path="a.png"),
        row(2, image="", image_path="b.png"),
        row(3, image="", image_path="../Set.tsv"),
    )
    samples, report = read(path, tmp_path / "pictures")
    assert [sample["image"] for sample in samples] == [png((0, 0, 255))]
    assert report.left_out == {"the image file cannot be read": ["row 2", "row 3"]}


def test_what_is_no_sample_is_counted_with_its_reason(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        row(1),
        row(1_000_001),
        row(2, g_index="1"),
        row(3, g_index="3"),
        row(4, image=f"['{RED}', '{BLUE}']"),
        row(5, image="", image_path="['a.png', 'b.png']"),
        row(6, answer=""),
        row(7, image="@" * 80),
        row(8, B="", C="three"),
        row(9, answer="D"),
        row(1),
    )
    samples, report = read(path)
    assert [sample["id"] for sample in samples] == ["Set_1", "Set_3"]
    assert report.left_out == {
        "a copy of a question with its options rotated": ["row 2", "row 3"],
        "several images": ["row 5", "row 6"],
        "no answer": ["row 7"],
        "the image cannot be decoded": ["row 8"],
        "an option is empty": ["row 9"],
        "the answer is not one of the options": ["row 10"],
        "an earlier row has the same id": ["row 11"],
    }
    assert report.rows == 11


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"index\tquestion\tA\n", "has no column 'B', 'image'"),
        (b"index\tquestion\tA\tB\timage\n1\tq\ta\tb\tx\ty\n", "line 2 has more fields than the first line"),
        (b"index\tquestion\tA\tB\timage\n\xff\n", "cannot be read as a TSV file"),
        (b'index\tquestion\tA\tB\timage\n"1\n', "cannot be read as a TSV file"),
    ],
)
def test_what_is_no_tsv_file_is_said_in_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "Set.tsv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read(path)


def test_the_command_writes_a_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMUData", str(tmp_path / "data"))
    (tmp_path / "data" / "images" / "Set").mkdir(parents=True)
    (tmp_path / "data" / "images" / "Set" / "a.png").write_bytes(png((0, 0, 255)))
    path = written(tmp_path, row(1), row(2, image="", image_path="a.png"))
    assert main(["pool", "tsv", "--from", str(path), "-o", str(tmp_path / "pool")]) == 0
    assert [sample["id"] for sample in load_dataset(tmp_path / "pool").without_images()] == ["Set_1", "Set_2"]


def test_the_command_needs_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pool", "tsv", "-o", str(tmp_path / "pool")]) == 1
    assert "benchc pool tsv needs --from FILE.tsv" in capsys.readouterr().err
