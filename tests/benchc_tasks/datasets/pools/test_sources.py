"""Where rows come from: the hub, a local copy, one's own questions; and `benchc pool`."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from benchc_tasks.commands.cli import build_parser, main
from benchc_tasks.commands.pool import BENCHMARK_NAMES
from benchc_tasks.datasets import load_dataset
from benchc_tasks.datasets.pools import BENCHMARKS, hub_rows, local_rows


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 15, 3), dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


ROW = {"question": "Which?", "options": ["one", "two", "three"], "answer": "1"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """One's own questions, with answers in each of the ways in which people write them."""
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    answers: list[Any] = [2, "B", "three", " (a) ", "0"]
    lines = []
    for number, answer in enumerate(answers):
        name = f"more/{number}.jpg" if number else "0.png"
        (tmp_path / "pictures" / name).write_bytes(jpeg(number) if number else png(number))
        lines.append({**ROW, "id": f"q{number}", "image": name, "answer": answer, "licence": "CC0", "category": "c"})
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return tmp_path


def local(folder: Path, *arguments: str) -> int:
    given = ["--jsonl", str(folder / "own.jsonl"), "--images", str(folder / "pictures")]
    return main(["pool", "local", *given, *arguments, "-o", str(folder / "pool")])


def change_row(folder: Path, number: int, **changes: Any) -> None:
    rows = [json.loads(line) for line in (folder / "own.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[number].update(changes)
    rows[number] = {name: value for name, value in rows[number].items() if value != "REMOVED"}
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_ones_own_questions(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert local(own) == 0
    found = load_dataset(own / "pool")
    assert [row["answer"] for row in found] == [2, 1, 2, 0, 0]
    assert [row["image"] for row in found] == [png(0), *map(jpeg, (1, 2, 3, 4))]
    assert [row["id"] for row in found] == ["q0", "q1", "q2", "q3", "q4"]
    assert "wrote 5 samples" in capsys.readouterr().out
    report = json.loads((own / "pool" / "pool.json").read_text(encoding="utf-8"))
    assert (report["rows"], report["samples"], report["left_out"]) == (5, 5, {})
    assert report["fingerprint"] == found.fingerprint


def test_images_lie_beside_the_questions_by_default(own: Path) -> None:
    (own / "own.jsonl").rename(own / "pictures" / "own.jsonl")
    assert main(["pool", "local", "--jsonl", str(own / "pictures" / "own.jsonl"), "-o", str(own / "pool")]) == 0


def test_an_option_that_looks_like_a_letter_is_itself(own: Path) -> None:
    change_row(own, 1, options=["B", "A"], answer="A")
    assert local(own) == 0
    assert load_dataset(own / "pool")[1]["answer"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": "four"}, "row 4 (id 'q3'): its `answer` 'four' is not one of its options; give an index from 0"),
        ({"answer": "D"}, "row 4 (id 'q3'): its `answer` 'D' is not one of its options"),
        ({"answer": 3}, "sample 'q3' (data.parquet row 4): its `answer` 3 is out of range"),
        ({"answer": True}, "sample 'q3' (data.parquet row 4): its `answer` is True, not an integer"),
        ({"image": "none.jpg"}, "row 4 (id 'q3'): the image file 'none.jpg' cannot be read (No such file"),
        ({"image": "../own.jsonl"}, "row 4 (id 'q3'): the image file '../own.jsonl' is not in the folder"),
        ({"image": 7}, "row 4 (id 'q3'): its `image` is 7, not a path"),
        ({"image": "iVBORw0KGgo" * 15_000}, "row 4 (id 'q3'): the image file 'iVBORw0KGgo"),
        ({"image": {"bytes": "iVBORw0KGgo" * 15_000}}, "row 4 (id 'q3'): its `image` is {'bytes': 'iVBORw0KGgo"),
        ({"image": "a\0b.jpg"}, "row 4 (id 'q3'): the image file 'a\\x00b.jpg' cannot be read (embedded null byte)"),
        ({"image": "more"}, "row 4 (id 'q3'): the image file 'more' is a folder or a device; give the path"),
        ({"image": "pipe.jpg"}, "row 4 (id 'q3'): the image file 'pipe.jpg' is a folder or a device; give the path"),
        ({"answer": "four" * 50_000}, "row 4 (id 'q3'): its `answer` 'fourfour"),
        (
            {"answer": "1", "options": ["1", "2", "3"]},
            "is the text of the option A and the index of the option B; give",
        ),
        ({"answer": 1.0}, "sample 'q3' (data.parquet row 4): its `answer` is 1.0, not an integer"),
        ({"id": "q" * 150_000, "answer": "four"}, "row 4 (id 'qqqq"),
        ({"question": "\ud83d"}, "sample 'q3' (data.parquet row 4): its `question` holds half a surrogate pair"),
        ({"options": ["one", "two", "nan"]}, "sample 'q3' (data.parquet row 4): one of its `options` is empty ('nan'"),
        ({"options": ["a", "a"], "answer": 0}, "sample 'q3' (data.parquet row 4): its option 'a' is repeated"),
        (
            {"options": "one, two", "answer": 0},
            "sample 'q3' (data.parquet row 4): its `options` are 'one, two', not a list",
        ),
        ({"question": "REMOVED"}, "own.jsonl has no column 'question'"),
        ({"id": "q1"}, "its `id` is also that of data.parquet row 2"),
    ],
)
def test_what_is_wrong_with_ones_own_row_is_told(
    own: Path, changes: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change_row(own, 3, **changes)
    os.mkfifo(own / "pictures" / "pipe.jpg")
    assert local(own) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert len(told) < 400
    assert told.startswith("benchc: ")
    assert message in told
    assert not (own / "pool" / "data.parquet").exists()


def test_a_line_that_is_no_json(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "own.jsonl").write_text("{}x", encoding="utf-8")
    assert local(own) == 1
    assert "own.jsonl row 1: the line is not JSON" in capsys.readouterr().err


FILES = {
    "a byte-order mark": (lambda text: b"\xef\xbb\xbf" + text, None),
    "carriage returns": (lambda text: text.replace(b"\n", b"\r\n"), None),
    "blank lines at the end": (lambda text: text + b"\n\n \n", None),
    "a blank line": (lambda text: text.replace(b"\n", b"\n\n", 1), "own.jsonl row 2: the line is blank; remove it"),
    "a key twice": (lambda text: text.replace(b'"answer"', b'"answer": 0, "answer"', 1),
                    "own.jsonl row 1: the line has the key 'answer' twice in one object; write one object a line"),
    "a list": (lambda text: b"[1]\n" + text, "own.jsonl row 1: the line is not a JSON object; write one object a line"),
    "deep JSON": (lambda text: text + b"\n" + b"[" * 100_000, "own.jsonl row 6: the line cannot be read ("),
    "Latin-1": (lambda text: text.replace(b"two", b"tw\xf6", 1), "own.jsonl is not UTF-8 (byte "),
    "NUL bytes": (lambda text: text + b"\n" + bytes(100), "own.jsonl row 6: the line is not JSON (Expecting value at"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_jsonl_is_read_as_a_dataset_reads_it(own: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = FILES[case]
    (own / "own.jsonl").write_bytes(change((own / "own.jsonl").read_bytes()))
    assert local(own) == (0 if message is None else 1)
    assert message is None or message in capsys.readouterr().err
    if message is None:
        assert [row["id"] for row in load_dataset(own / "pool")] == ["q0", "q1", "q2", "q3", "q4"]


def test_compressed_questions(own: Path) -> None:
    (own / "own.jsonl.gz").write_bytes(gzip.compress((own / "own.jsonl").read_bytes()))
    given = ["--jsonl", str(own / "own.jsonl.gz"), "--images", str(own / "pictures")]
    assert main(["pool", "local", *given, "-o", str(own / "pool")]) == 0
    assert len(load_dataset(own / "pool")) == 5


def test_letters_of_the_options_are_taken_off_and_counted(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_row(own, 1, options=["A. red", "B. blue"], answer="blue")
    change_row(own, 2, options=["(a) red", "(b) blue"], answer="(b) blue")
    change_row(own, 3, options=["A. red", "blue"], answer="A. red")
    assert local(own) == 0
    found = list(load_dataset(own / "pool"))
    assert [row["options"] for row in found[1:4]] == [["red", "blue"], ["red", "blue"], ["A. red", "blue"]]
    assert [row["answer"] for row in found[1:4]] == [1, 1, 0]
    report = json.loads((own / "pool" / "pool.json").read_text(encoding="utf-8"))
    assert report["changed"] == {"the options already had letters, which were removed": ["q1", "q2"]}
    assert "changed: the options already had letters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["local"], "needs --jsonl FILE"),
        (["local", "--jsonl", "x.jsonl", "--from", "y"], "--from and --revision are for benchmarks"),
        (["local", "--jsonl", "x.jsonl"], "'x.jsonl' is not a file"),
        (["mmstar", "--jsonl", "x.jsonl"], "--jsonl and --images are for `benchc pool local`"),
        (["mmstar", "--from", "nowhere"], "'nowhere' is neither a parquet or JSONL file"),
        (["mmstar", "--from", "x", "--revision", "y"], "give one of them"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pool", *arguments, "-o", str(tmp_path / "pool")]) == 1
    assert message in capsys.readouterr().err


def test_the_command_knows_every_benchmark() -> None:
    assert list(BENCHMARK_NAMES) == list(BENCHMARKS)
    assert build_parser().parse_args(["pool", "mmbench", "-o", "x"]).name == "mmbench"


def seed_rows() -> list[dict[str, Any]]:
    return [
        {
            "question_id": str(number), "question": "Which?", "answer": "ABCD"[number], "data_type": "image",
            "choice_a": "1", "choice_b": "2", "choice_c": "3", "choice_d": "4", "image": [f"pictures/{number}.png"],
        }
        for number in range(3)
    ]  # fmt: skip


def test_a_local_copy_in_jsonl_with_image_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "copy" / "pictures").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "copy" / "pictures" / f"{number}.png").write_bytes(png(number))
    (tmp_path / "copy" / "test.jsonl").write_text("\n".join(map(json.dumps, seed_rows())), encoding="utf-8")
    assert main(["pool", "seedbench", "--from", str(tmp_path / "copy"), "-o", str(tmp_path / "pool")]) == 0
    found = load_dataset(tmp_path / "pool")
    assert [(row["answer"], row["image"]) for row in found] == [(0, png(0)), (1, png(1)), (2, png(2))]


def test_what_was_left_out_is_shown_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "image": None} for row in seed_rows()]
    rows[0]["image"] = "0.png"
    (tmp_path / "0.png").write_bytes(png(0))
    (tmp_path / "copy.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert main(["pool", "seedbench", "--from", str(tmp_path / "copy.jsonl"), "-o", str(tmp_path / "pool")]) == 0
    told = capsys.readouterr().out
    assert [cell.strip() for cell in told.split("left out: ")[1].splitlines()[0].split("│")][:2] == ["no image", "2"]
    report = json.loads((tmp_path / "pool" / "pool.json").read_text(encoding="utf-8"))
    assert report["left_out"] == {"no image": ["row 2", "row 3"]}


def test_a_faulty_row_of_a_jsonl_copy_costs_itself_only(tmp_path: Path) -> None:
    """An image that is not there, one outside of the folder, a pipe, base64, and columns that a row lacks."""
    good = seed_rows()[0]
    (tmp_path / "copy").mkdir()
    (tmp_path / "secret.png").write_bytes(png(1))
    (tmp_path / "copy" / "good.png").write_bytes(png(0))
    os.mkfifo(tmp_path / "copy" / "pipe.png")
    images = ["none.png", "../secret.png", "pipe.png", "iVBORw0KGgo" * 15_000, "a\0b", {"bytes": "iVBORw0KGgo"}, 7]
    rows: list[dict[str, Any]] = [{**good, "image": image} for image in images]
    rows += [{name: value for name, value in good.items() if name != lost} for lost in ("image", "answer", "data_type")]
    rows += [{**good, "image": [{"bytes": None, "path": "good.png"}]}]
    rows = [{**row, "question_id": str(number)} for number, row in enumerate(rows)]
    (tmp_path / "copy" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert main(["pool", "seedbench", "--from", str(tmp_path / "copy"), "-o", str(tmp_path / "pool")]) == 0
    assert [row["image"] for row in load_dataset(tmp_path / "pool")] == [png(0)]
    report = json.loads((tmp_path / "pool" / "pool.json").read_text(encoding="utf-8"))
    assert report["left_out"] == {
        "the image file cannot be read": [f"row {number}" for number in range(1, 6)],
        "no image": ["row 6", "row 7", "row 8"],
        "no answer": ["row 9"],
        "not about an image": ["row 10"],
    }


def test_a_column_that_no_row_of_a_jsonl_copy_has_is_named(tmp_path: Path) -> None:
    rows = [{**row, "image": None} for row in seed_rows()]
    for row in rows:
        del row["answer"]
    (tmp_path / "copy.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^copy\.jsonl has no column 'answer'; give a copy with the columns"):
        list(local_rows(tmp_path, BENCHMARKS["seedbench"].columns))


def test_a_copy_that_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    os.mkfifo(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"is neither a parquet or JSONL file nor a folder of such files"):
        list(local_rows(tmp_path, ()))


def test_labels_of_the_hub_have_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**row, "image": None} for row in seed_rows()]
    labelled = datasets.Dataset.from_list(rows[1:]).class_encode_column("answer")
    assert labelled["answer"][:] == [0, 1]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: labelled)
    assert [row["answer"] for row in hub_rows(BENCHMARKS["seedbench"])] == ["B", "C"]


def test_labels_of_a_jsonl_copy_have_the_names_of_its_readme(tmp_path: Path) -> None:
    rows = [{**row, "image": None, "answer": number} for number, row in enumerate(seed_rows())]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    names = "{'0': D, '1': C, '2': A}"
    (tmp_path / "README.md").write_text(
        f"---\ndataset_info:\n  features:\n  - {{name: answer, dtype: {{class_label: {{names: {names}}}}}}}\n---\n"
    )
    assert [row["answer"] for row in local_rows(tmp_path, BENCHMARKS["seedbench"].columns)] == ["D", "C", "A"]


def test_the_hub_is_asked_for_what_lmms_eval_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(hub_id: str, configuration: str | None, *, split: str, revision: str | None) -> datasets.Dataset:
        asked.append((hub_id, configuration, split, revision))
        image = {"bytes": jpeg(len(asked)), "path": "x.jpg"}
        row = {"idx": f"val_{configuration}_1", "prompt": "Which?", "choices": ["a", "b"], "answer": "(B)"}
        found = datasets.Dataset.from_list([{**row, "image_1": image}])
        return found.cast_column("image_1", datasets.Image())

    monkeypatch.setattr(datasets, "load_dataset", load)
    rows = list(hub_rows(BENCHMARKS["blink"], "main"))
    assert [configuration for _, configuration, _, _ in asked] == list(BENCHMARKS["blink"].configurations)
    assert {(hub, split, revision) for hub, _, split, revision in asked} == {("BLINK-Benchmark/BLINK", "val", "main")}
    assert [row["image_1"]["bytes"] for row in rows] == [jpeg(number) for number in range(1, 7)]
    assert rows[1]["idx"] == "val_IQ_Test_1"


def test_a_hub_out_of_reach_says_how_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pool", "mmstar", "-o", str(tmp_path / "pool")]) == 1
    told = capsys.readouterr().err
    assert "Lin-Chen/MMStar cannot be downloaded from the hub" in told
    assert "give a copy that has its columns with --from PATH" in told
    assert not (tmp_path / "pool").exists()


def test_rows_are_read_in_the_order_of_the_files(tmp_path: Path) -> None:
    for name, number in (("b.jsonl", 1), ("a.jsonl", 0)):
        (tmp_path / name).write_text(json.dumps({"id": number}), encoding="utf-8")
    assert [row["id"] for row in local_rows(tmp_path, ("id",))] == [0, 1]
