from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchc_tasks.datasets import load_dataset, write_dataset


@pytest.fixture
def fingerprint_of(tmp_path):
    def compute(rows, name="data.parquet"):
        write_dataset(tmp_path / name, rows)
        return load_dataset(tmp_path / name).fingerprint

    return compute


def test_it_is_the_hash_of_the_documented_encoding(fingerprint_of):
    rows = [
        {"id": f"s{n}", "image": b"GIF89a\x01\x00\x01\x00" + bytes([n]), "question": "Grün?", "options": ["ja", "nein"],
         "answer": n, "source": None, "category": "colour"}
        for n in range(2)
    ]  # fmt: skip
    images = [hashlib.sha256(row["image"]).hexdigest() for row in rows]
    encoded = (
        "benchc-dataset-1"
        f'\n["s0", "Gr\\u00fcn?", ["ja", "nein"], 0, null, "colour", "{images[0]}"]'
        f'\n["s1", "Gr\\u00fcn?", ["ja", "nein"], 1, null, "colour", "{images[1]}"]'
    )
    assert fingerprint_of(rows) == hashlib.sha256(encoded.encode()).hexdigest()


def test_one_changed_pixel_changes_it(fingerprint_of, make_rows, encode):
    rows = make_rows()
    before = fingerprint_of(rows)
    pixels = np.random.default_rng(7).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)[1]
    assert encode(Image.fromarray(pixels)) == rows[1]["image"]
    pixels[2, 3, 1] ^= 1
    rows[1]["image"] = encode(Image.fromarray(pixels))
    assert fingerprint_of(rows) != before


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"question": "Which colour has shape 1 ?"},
        {"options": ["red", "green", "1"]},
        {"options": ["grün", "red", "1"]},
        {"answer": 2},
        {"source": None},
        {"category": "colour"},
    ],
    ids=str,
)
def test_a_changed_value_changes_it(fingerprint_of, make_rows, change):
    rows = make_rows()
    before = fingerprint_of(rows)
    rows[1].update(change)
    assert fingerprint_of(rows) != before


def test_the_order_and_the_number_of_samples_change_it(fingerprint_of, make_rows):
    rows = make_rows()
    assert len({fingerprint_of(rows), fingerprint_of(rows[::-1]), fingerprint_of(rows[:2])}) == 3


def test_the_borders_between_values_count(fingerprint_of, make_rows):
    rows = make_rows(1)
    prints = set()
    for options in (["a", "b, c"], ["a, b", "c"], ['a", "b', "c"]):
        rows[0].update(options=options, answer=0)
        prints.add(fingerprint_of(rows))
    assert len(prints) == 3


def test_parquet_jsonl_and_any_row_group_have_the_same(tmp_path, make_rows, write_jsonl):
    rows = make_rows(150)
    (tmp_path / "a").mkdir()
    write_dataset(tmp_path / "a" / "data.parquet", rows)
    stored = pq.read_table(tmp_path / "a" / "data.parquet")
    for size, folder in ((150, "b"), (7, "c")):
        (tmp_path / folder).mkdir()
        pq.write_table(stored.select(stored.column_names[::-1]), tmp_path / folder / "x.parquet", row_group_size=size)
    write_jsonl(tmp_path / "d", [{**row, "hint": "ignored"} for row in rows])
    sharded = tmp_path / "e"
    sharded.mkdir()
    write_dataset(sharded / "test-00000-of-00002.parquet", rows[:70])
    write_dataset(sharded / "test-00001-of-00002.parquet", rows[70:])
    assert len({load_dataset(tmp_path / folder).fingerprint for folder in "abcde"}) == 1


def test_an_absent_optional_column_is_as_one_of_nulls(tmp_path, make_rows, write_jsonl):
    rows = [{**row, "source": None} for row in make_rows()]
    bare = [{name: value for name, value in row.items() if name not in ("source", "category")} for row in rows]
    with_nulls = load_dataset(write_jsonl(tmp_path / "a", rows)).fingerprint
    assert load_dataset(write_jsonl(tmp_path / "b", bare)).fingerprint == with_nulls


def test_a_selection_has_that_of_its_samples(fingerprint_of, tmp_path, make_rows):
    rows = make_rows(100)
    write_dataset(tmp_path / "all.parquet", rows)
    picked = [70, 3, 99, 64]
    selection = load_dataset(tmp_path / "all.parquet").select(picked)
    assert selection.fingerprint == fingerprint_of([rows[index] for index in picked])


def test_a_view_without_images_has_the_same(tmp_path, make_rows):
    write_dataset(tmp_path / "data.parquet", make_rows())
    dataset = load_dataset(tmp_path / "data.parquet")
    early = dataset.without_images()
    assert early.fingerprint == dataset.fingerprint == dataset.without_images().fingerprint


def test_it_is_the_same_in_another_process(tmp_path, make_rows):
    write_dataset(tmp_path / "data.parquet", make_rows())
    code = "import sys; from benchc_tasks.datasets import load_dataset; print(load_dataset(sys.argv[1]).fingerprint)"
    prints = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "data.parquet")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert prints == {load_dataset(tmp_path / "data.parquet").fingerprint}
