from __future__ import annotations

import ast
import gzip
import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFile

from benchc_tasks.datasets import DatasetError, check_images, decode_image, load_dataset, write_dataset
from benchc_tasks.datasets import images as images_module


def test_parquet_and_jsonl_give_the_same_rows(tmp_path, make_rows, write_jsonl):
    rows = make_rows(70)
    write_dataset(tmp_path / "a.parquet", rows)
    parquet, jsonl = load_dataset(tmp_path / "a.parquet"), load_dataset(write_jsonl(tmp_path / "set", rows))
    assert list(parquet) == list(jsonl) == rows
    assert list(load_dataset(tmp_path / "set")) == rows
    assert parquet.features == jsonl.features


def test_parquet_as_hugging_face_writes_it(tmp_path, make_rows):
    datasets = pytest.importorskip("datasets")
    rows = make_rows(5)
    stored = [{**row, "image": {"bytes": row["image"], "path": "x.png"}} for row in rows]
    with_image = datasets.Dataset.from_list(stored).cast_column("image", datasets.Image())
    with_image.to_parquet(tmp_path / "data.parquet")
    assert list(load_dataset(tmp_path)) == rows


def test_shards_follow_each_other(tmp_path, make_rows):
    rows = make_rows(9)
    for shard in range(3):
        write_dataset(tmp_path / f"test-0000{shard}-of-00003.parquet", rows[3 * shard : 3 * shard + 3])
    dataset = load_dataset(tmp_path)
    assert list(dataset) == rows
    assert list(dataset[2:7]) == rows[2:7]


def test_other_columns_are_left_out_and_named(tmp_path, make_rows, write_jsonl):
    rows = [{**row, "hint": 1, "A": "x"} for row in make_rows()]
    assert load_dataset(write_jsonl(tmp_path, rows)).ignored_columns == ("A", "hint")
    write_dataset(tmp_path / "out" / "a.parquet", rows)
    assert load_dataset(tmp_path / "out").ignored_columns == ()
    table = pq.read_table(tmp_path / "out" / "a.parquet").append_column("hint", pa.array([1, 2, 3]))
    pq.write_table(table, tmp_path / "b.parquet")
    dataset = load_dataset(tmp_path / "b.parquet")
    assert dataset.ignored_columns == ("hint",)
    assert "hint" not in dataset[0]


# Both forms say the same of these.
ROW_FAULTS = {
    "duplicate id": ({"id": "s0"}, "sample 's0' ({file} row 2): its `id` is also that of {file} row 1; give each"),
    "null id": ({"id": None}, "{file} row 2: it has no `id`; give a string"),
    "id of two lines": ({"id": "a\nb"}, "sample 'a\\nb' ({file} row 2): its `id` is 'a\\nb'; give one or more"),
    "empty question": ({"question": ""}, "{row}its `question` is empty; give the question's text"),
    "null question": ({"question": None}, "{row}it has no `question`; give a string"),
    "one option": ({"options": ["a"], "answer": 0}, "{row}it has 1 option; give 2 to 26"),
    "27 options": ({"options": list("abcdefghijklmnopqrstuvwxyz?")}, "{row}it has 27 options; give"),
    "empty option": ({"options": ["a", ""]}, "{row}one of its `options` is empty; give each"),
    "repeated option": ({"options": ["a", "a"]}, "{row}its option 'a' is repeated; give each"),
    "answer out of range": ({"answer": 3}, "{row}its `answer` 3 is out of range for 3 options; give"),
    "negative answer": ({"answer": -1}, "{row}its `answer` -1 is out of range for 3 options; give"),
    "null answer": ({"answer": None}, "{row}it has no `answer`; give the right option's index"),
    "null image": ({"image": None}, "{row}it has no `image`; give the encoded image"),
    "empty image": ({"image": b""}, "{row}its image is empty; replace it by an intact PNG"),
    "no image": ({"image": b"<svg/>"}, "{row}its image does not begin like any known format; repl"),
    "zero-sized image": ({"image": b"GIF89a\0\0\5\0"}, "{row}its image has 0 x 5 pixels; replace it"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("case", ROW_FAULTS)
def test_what_is_wrong_with_a_row_is_said_with_its_id(tmp_path, make_rows, write_jsonl, case, form):
    change, sentence = ROW_FAULTS[case]
    rows = make_rows()
    rows[1].update(change)
    if form == "jsonl":
        path = write_jsonl(tmp_path, rows)
    else:
        path = tmp_path / "data.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(sentence.format(file=path.name, row=f"sample 's1' ({path.name} row 2): "))
    assert "more fault" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ROW_FAULTS)
def test_what_is_wrong_is_not_written(tmp_path, make_rows, case):
    change, _ = ROW_FAULTS[case]
    rows = make_rows()
    rows[1].update(change)
    write_dataset(tmp_path / "data.parquet", make_rows())
    before = (tmp_path / "data.parquet").read_bytes()
    with pytest.raises(DatasetError, match=r"data\.parquet row 2\)?: .*; "):
        write_dataset(tmp_path / "data.parquet", rows)
    assert [path.name for path in tmp_path.iterdir()] == ["data.parquet"]
    assert (tmp_path / "data.parquet").read_bytes() == before


@pytest.mark.parametrize("column", ["id", "image", "question", "options", "answer"])
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_missing_column_is_named(tmp_path, make_rows, write_jsonl, column, form):
    rows = [{name: value for name, value in row.items() if name != column} for row in make_rows()]
    if form == "jsonl":
        path = write_jsonl(tmp_path, rows)
    else:
        path = tmp_path / "data.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(
        DatasetError, match=rf"^data\.{form}: the column `{column}` is missing; a dataset needs the columns"
    ):
        load_dataset(path)


@pytest.mark.parametrize("column", ["id", "answer", "image"])
def test_a_column_that_is_there_twice_is_named(tmp_path, make_rows, column):
    table = pa.Table.from_pylist(make_rows(2))
    pq.write_table(table.append_column(column, table[column]), tmp_path / "data.parquet")
    with pytest.raises(DatasetError, match=f"^data.parquet: the column `{column}` occurs 2 times; keep one of them$"):
        load_dataset(tmp_path)


def test_a_column_whose_name_goes_on_behind_a_point_is_left_out(tmp_path, make_rows):
    table = pa.Table.from_pylist(make_rows(2))
    pq.write_table(table.append_column("answer.note", table["question"]), tmp_path / "data.parquet")
    assert load_dataset(tmp_path)[1]["answer"] == make_rows(2)[1]["answer"]


def test_ids_that_differ_in_case_are_different(tmp_path, make_rows):
    rows = make_rows(2)
    rows[1]["id"] = "S0"
    write_dataset(tmp_path / "data.parquet", rows)
    assert [row["id"] for row in load_dataset(tmp_path)] == ["s0", "S0"]


def test_a_column_of_another_type_is_named_with_its_first_row(tmp_path, make_rows):
    table = pa.Table.from_pylist([{**row, "answer": "A"} for row in make_rows()])
    pq.write_table(table, tmp_path / "data.parquet")
    with pytest.raises(
        DatasetError, match=r"^sample 's0' \(data.parquet row 1\): its `answer` is of type string; give the"
    ):
        load_dataset(tmp_path)
    pq.write_table(pa.Table.from_pylist([{**row, "image": 1} for row in make_rows()]), tmp_path / "data.parquet")
    with pytest.raises(
        DatasetError, match=r"^data.parquet row 1: its `image` is of type int64; give the encoded image"
    ):
        load_dataset(tmp_path)


def test_all_faults_are_counted_and_the_first_is_said(tmp_path, make_rows, write_jsonl):
    rows = make_rows(6)
    rows[2].update(answer="C", question="")
    rows[4].update(image=None)
    rows[5].update(id="s0")
    with pytest.raises(
        DatasetError, match=r"^sample 's2' .*: its `answer` is 'C'.* \(3 more faults in this dataset\)$"
    ):
        load_dataset(write_jsonl(tmp_path, rows))


def test_a_fault_in_a_later_shard_names_its_file(tmp_path, make_rows):
    rows = make_rows(4)
    write_dataset(tmp_path / "test-00000-of-00002.parquet", rows[:2])
    write_dataset(tmp_path / "test-00001-of-00002.parquet", [rows[2], rows[0]])
    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value).startswith(
        "sample 's0' (test-00001-of-00002.parquet row 2): its `id` is also that of test-00000-of-00002.parquet row 1; "
    )


def test_a_type_fault_in_a_later_shard_names_its_row(tmp_path, make_rows, write_jsonl):
    rows = make_rows(4)
    write_jsonl(tmp_path, rows[:2], "a.jsonl")
    write_jsonl(tmp_path, [rows[2], {**rows[3], "answer": "B"}], "b.jsonl")
    with pytest.raises(
        DatasetError, match=r"^sample 's3' \(b.jsonl row 2\): its `answer` is 'B', not an integer; give"
    ):
        load_dataset(tmp_path)


JSONL_FAULTS = {
    "not JSON": (b'{"id": 1}\n{oops\n', "data.jsonl row 2: the line is not JSON ("),
    "cut off": (b'{"id": 1}\n{"id": "a', "(Unterminated string starting at column 8); write one object a line"),
    "nested beyond measure": (b"[" * 100_000 + b"\n", "data.jsonl row 1: the line cannot be read ("),
    "no object": (b"[1]\n", "data.jsonl row 1: the line is not a JSON object; write one object a line"),
    "blank line": (b'{"id": "a"}\n \n{"id": "b"}\n', "data.jsonl row 2: the line is blank; remove it"),
    "a key twice": (b'{"id": "a", "answer": 0, "answer": 1}\n', "row 1: the line has the key 'answer' twice in one"),
    "an answer of 5,000 digits": (b'{"answer": ' + b"9" * 5000 + b"}\n", "data.jsonl row 1: the line cannot be read ("),
    "NUL bytes": (b'{"id": "a"}\n' + bytes(50), "data.jsonl row 2: the line is not JSON (Expecting value at column 1)"),
    "base64 as the bytes of an image": (
        json.dumps({"id": "a", "image": {"bytes": "iVBORw0KGgo" * 15_000}, "question": "?", "options": ["a", "b"],
                    "answer": 0}).encode(),
        "sample 'a' (data.jsonl row 1): its `image` holds `bytes` as 'iVBORw0KGgo"),
    "base64 as the path of an image": (
        json.dumps({"id": "a", "image": "iVBORw0KGgo" * 15_000, "question": "?", "options": ["a", "b"],
                    "answer": 0}).encode(),
        "sample 'a' (data.jsonl row 1): its `image` is a text of 165,000 characters, 'iVBORw0KGgo"),
    "an id of 150,000 characters": (
        json.dumps({"id": "a" * 150_000, "image": "a.gif", "question": "", "options": [], "answer": 0}).encode(),
        "sample 'aaa"),
    "a huge float": (b'{"id": "a", "image": "a.gif", "question": "?", "options": ["a", "b"], "answer": 9e999}',
                               "sample 'a' (data.jsonl row 1): its `answer` is inf, not an integer; give"),
    "two faults": (b"[1]\n\n[2]", "data.jsonl row 1: the line is not a JSON object; write one object a line (2 more"),
    "not UTF-8": (b'{"id": "\xff"}\n', "data.jsonl is not UTF-8 (byte 8); write it again as UTF-8"),
    "nothing": (b"\n\n", "has no samples; give it at least one row"),
    "a row without a column": (b'{"id": "a", "image": "a.gif", "question": "?", "options": ["a", "b"], "answer": 0}\n'
                               b'{"id": "b", "image": "a.gif", "options": ["a", "b"], "answer": 0}\n',
                               "sample 'b' (data.jsonl row 2): it has no `question`; give a string"),
    "a number as image": (b'{"id": "a", "image": 5, "question": "?", "options": ["a", "b"], "answer": 0}\n',
                          "sample 'a' (data.jsonl row 1): its `image` is 5, not a path; give"),
    "an image elsewhere": (b'{"id": "a", "image": "../a.gif", "question": "?", "options": ["a", "b"], "answer": 0}\n',
                           "sample 'a' (data.jsonl row 1): its image file '../a.gif' is not a relative path inside"),
    "an image not there": (b'{"id": "a", "image": "b.gif", "question": "?", "options": ["a", "b"], "answer": 0}\n',
                                   "sample 'a' (data.jsonl row 1): its image file 'b.gif' does not exist; put"),
}  # fmt: skip


@pytest.mark.parametrize("case", JSONL_FAULTS)
def test_what_is_wrong_with_a_jsonl_file_is_said_with_its_row(tmp_path, case):
    content, sentence = JSONL_FAULTS[case]
    (tmp_path / "a.gif").write_bytes(b"GIF89a\1\0\1\0")
    (tmp_path / "data.jsonl").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path / "data.jsonl")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["data.jsonl.gz", "test-00000-of-00001.jsonl.gz"])
def test_compressed_jsonl_gives_the_same_rows(tmp_path, make_rows, write_jsonl, name):
    rows = make_rows(5)
    path = write_jsonl(tmp_path, rows)
    (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert list(load_dataset(tmp_path)) == list(load_dataset(tmp_path / name)) == rows


LETTERED = {
    "A. red": (["A. red", "B. blue"], ["red", "blue"]),
    "(a) red": (["(a) red", "(b) blue", "(c) 3"], ["red", "blue", "3"]),
    "letters out of order": (["B. red", "A. blue"], None),
    "a letter alone": (["A. red", "blue"], None),
    "letters only": (["A", "B", "C"], None),
}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("case", LETTERED)
def test_letters_of_the_options_themselves_are_taken_off_and_counted(tmp_path, make_rows, write_jsonl, case, form):
    """The prompt writes a letter before each option: `A. A. red` would ask another question."""
    options, expected = LETTERED[case]
    rows = make_rows(3)
    rows[1].update(options=options, answer=1)
    path = tmp_path / "data.parquet"
    if form == "jsonl":
        path = write_jsonl(tmp_path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    dataset = load_dataset(path)
    assert [row["options"] for row in dataset] == [rows[0]["options"], expected or options, rows[2]["options"]]
    assert dataset[1]["answer"] == 1
    note = "the options of 1 sample already had letters; they were removed, because the prompt adds them"
    assert dataset.notes == dataset[:2].notes == ((note,) if expected else ())
    write_dataset(tmp_path / "again" / "data.parquet", dataset)
    assert load_dataset(tmp_path / "again").fingerprint == dataset.fingerprint
    assert load_dataset(tmp_path / "again").notes == ()


def test_jsonl_with_a_byte_order_mark_and_line_separators_in_its_text(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a\1\0\1\0")
    row = {"id": "a", "image": "a.gif", "question": "one\u2028two\x85", "options": ["a", "b"], "answer": 0}
    text = json.dumps(row, ensure_ascii=False) + "\r\n"
    (tmp_path / "data.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_dataset(tmp_path)[0]["question"] == "one\u2028two\x85"


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"x" * 1000])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    (tmp_path / "data.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"^data\.parquet is not a readable parquet file \([^.]+\); copy or write"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("column", [0, 1])
def test_a_parquet_file_with_a_broken_page_is_named(tmp_path, make_rows, column):
    """The first column is read when the dataset is loaded, the second, the images, piece by piece."""
    write_dataset(tmp_path / "data.parquet", make_rows(3))
    page = pq.ParquetFile(tmp_path / "data.parquet").metadata.row_group(0).column(column).data_page_offset
    content = bytearray((tmp_path / "data.parquet").read_bytes())
    content[page : page + 12] = b"\xff" * 12
    (tmp_path / "data.parquet").write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"^data\.parquet is not a readable parquet file \(.+\); copy or write it again$"
    ):
        load_dataset(tmp_path)


def test_a_file_that_breaks_while_it_is_in_use_is_named(tmp_path, make_rows):
    write_dataset(tmp_path / "data.parquet", make_rows(3))
    dataset = load_dataset(tmp_path)
    with (tmp_path / "data.parquet").open("r+b") as file:
        file.write(bytes((tmp_path / "data.parquet").stat().st_size))
    with pytest.raises(
        DatasetError, match=r"^sample 's1': data\.parquet is not a readable parquet file \(.+\); copy or"
    ):
        dataset[1]


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
@pytest.mark.parametrize("name", ["data.parquet", "data.jsonl"])
def test_what_is_no_file_is_named_and_waited_for_by_nobody(tmp_path, name, kind):
    path = tmp_path / name
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link to nothing": lambda: path.symlink_to("nothing"),
    }[kind]()
    with pytest.raises(DatasetError, match=f"^{name} is a folder, a device or a broken link; put a parquet or JSONL"):
        load_dataset(tmp_path)


def test_a_dataset_without_rows_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"data\.parquet' has no samples; give it at least one row$"):
        write_dataset(tmp_path / "data.parquet", [])
    assert list(tmp_path.iterdir()) == []


def test_images_are_written_byte_for_byte(tmp_path, encode, make_rows):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 8, 3), dtype=np.uint8))
    kinds = ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"]
    images = [encode(image.convert("P") if kind == "GIF" else image, kind) for kind in kinds]
    rows = [{**make_rows(1)[0], "id": kind, "image": data} for kind, data in zip(kinds, images, strict=True)]
    write_dataset(tmp_path / "deep" / "er" / "data.parquet", iter(rows))
    assert [row["image"] for row in load_dataset(tmp_path / "deep" / "er")] == images
    again = [
        {**row, "image": {"bytes": row["image"], "path": "any.png"}} for row in load_dataset(tmp_path / "deep" / "er")
    ]
    write_dataset(tmp_path / "again.parquet", again)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "deep" / "er" / "data.parquet").read_bytes()


def test_it_is_written_as_parquet_only(tmp_path, make_rows):
    with pytest.raises(DatasetError, match=r"data\.jsonl' must be a parquet file; end its name in \.parquet$"):
        write_dataset(tmp_path / "data.jsonl", make_rows())


def test_a_row_to_write_must_bring_its_bytes(tmp_path, make_rows):
    rows = make_rows(70)
    rows[66]["image"] = "a.png"
    with pytest.raises(
        DatasetError, match=r"^sample 's66' \(x\.parquet row 67\): its `image` is of type str; give the enc"
    ):
        write_dataset(tmp_path / "x.parquet", rows)


def test_broken_images_are_found_by_decoding_them_all(tmp_path, make_rows):
    rows = make_rows(20)
    write_dataset(tmp_path / "good.parquet", rows)
    check_images(load_dataset(tmp_path / "good.parquet"))
    for number in (4, 9, 17):
        rows[number]["image"] = rows[number]["image"][:-40]
    write_dataset(tmp_path / "bad.parquet", rows)
    dataset = load_dataset(tmp_path / "bad.parquet")
    with pytest.raises(DatasetError, match=r"^sample 's4': its image cannot be decoded \(.+\); .+ \(2 more images\)$"):
        check_images(dataset)
    with pytest.raises(DatasetError, match=r"^sample 's9': .+ \(1 more image\)$"):
        check_images(dataset[5:], workers=1)
    with pytest.raises(DatasetError, match=r"^sample 's17': [^()]+\([^()]+\(?[^()]*\)?[^()]*\); [^()]+$"):
        check_images(dataset[10:])


@pytest.fixture(scope="module")
def hundred_thousand(tmp_path_factory):
    """100,000 rows with images of their own, in one parquet file of the usual row groups."""
    count = 100_000
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(stream, "BMP")
    head = stream.getvalue()[:-48]
    noise = np.random.default_rng(0).integers(0, 256, (count, 48), dtype=np.uint8)
    table = pa.table(
        {
            "id": [f"s{number}" for number in range(count)],
            "image": [head + pixels.tobytes() for pixels in noise],
            "question": [f"What is {number}?" for number in range(count)],
            "options": [["red", "green", "blue", str(number)] for number in range(count)],
            "answer": np.arange(count) % 4,
        }
    )
    path = tmp_path_factory.mktemp("large") / "data.parquet"
    pq.write_table(table, path, row_group_size=1000)
    return path


def test_100_000_rows_load_without_decoding_an_image(hundred_thousand, monkeypatch, record_property):
    calls = []
    openers = ((Image, "open"), (images_module, "_open_encoded"))
    for owner, name in (*openers, (ImageFile.ImageFile, "load"), (Image.Image, "load")):
        monkeypatch.setattr(owner, name, lambda *_, called=name, **__: calls.append(called))
    started = time.perf_counter()
    dataset = load_dataset(hundred_thousand)
    seconds = time.perf_counter() - started
    record_property("seconds", seconds)
    print(f"100,000 rows loaded in {seconds:.2f} s")
    assert len(dataset) == 100_000
    assert len({dataset[index]["image"] for index in range(0, 100_000, 999)}) == 101
    assert calls == []
    # The watch itself works: a decoding would have been seen.
    with pytest.raises(DatasetError):
        decode_image(dataset[0]["image"], "s0")
    assert calls == ["_open_encoded"]


def test_a_fault_in_100_000_rows_is_found(hundred_thousand, tmp_path):
    table = pq.read_table(hundred_thousand)
    ids = [*table["id"].to_pylist()[:-1], "s5"]
    pq.write_table(table.set_column(0, "id", pa.array(ids)), tmp_path / "data.parquet")
    with pytest.raises(
        DatasetError, match=r"^sample 's5' \(data.parquet row 100000\): its `id` is also that of .* row 6;"
    ):
        load_dataset(tmp_path)


def test_importing_it_imports_neither_torch_nor_lmms_eval(tmp_path, make_rows):
    write_dataset(tmp_path / "data.parquet", make_rows())
    code = (
        "import sys; from benchc_tasks.datasets import decode_image, load_dataset; "
        "dataset = load_dataset(sys.argv[1]); "
        "decode_image(dataset[0]['image'], 's0'); dataset.fingerprint; "
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'lmms_eval', 'huggingface_hub') "
        "or name.startswith(('benchc_metrics', 'benchc_tasks.corruptions', 'benchc_tasks.models'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.fspath(tmp_path)], capture_output=True, text=True, check=False
    )
    # What reads and names is shared with the room behind it, and imports nothing but the standard library.
    shared = [
        "benchc_metrics",
        *(f"benchc_metrics.{name}" for name in ("benchmark", "files", "json_lines", "messages")),
    ]
    assert (sorted(ast.literal_eval(done.stdout)), done.returncode) == (shared, 0), done.stderr
