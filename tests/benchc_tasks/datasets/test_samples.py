from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchc_tasks.datasets import DatasetError, load_dataset, write_dataset


@pytest.fixture
def rows(make_rows):
    return make_rows(130)


@pytest.fixture
def dataset(tmp_path, rows):
    write_dataset(tmp_path / "data.parquet", rows)
    return load_dataset(tmp_path / "data.parquet")


def test_it_is_a_sequence_of_the_rows(dataset, rows):
    assert isinstance(dataset, Sequence)
    assert len(dataset) == 130
    assert list(dataset) == rows
    assert dataset[-1] == rows[129]
    assert dataset[np.int64(64)] == rows[64]
    assert list(dataset[0]) == ["id", "image", "question", "options", "answer", "source", "category"]
    assert [type(value) for value in dataset[1].values()] == [str, bytes, str, list, int, str, type(None)]


@pytest.mark.parametrize("index", [130, -131])
def test_an_index_beyond_its_end_is_an_index_error(dataset, index):
    with pytest.raises(IndexError, match=f"index {index} is out of range for 130 samples"):
        dataset[index]
    with pytest.raises(IndexError, match="is out of range for 130 samples"):
        dataset.select([0, index])


@pytest.mark.parametrize("part", [slice(3, 9), slice(None, None, -40), slice(-2, None), slice(5, 5)])
def test_a_slice_is_a_dataset(dataset, rows, part):
    view = dataset[part]
    assert list(view) == rows[part]
    assert len(view) == len(rows[part])
    assert (view.source, view.is_demonstration, view.features) == (dataset.source, False, dataset.features)


def test_a_selection_of_a_selection(dataset, rows):
    view = dataset.select([100, 5, 64, 5]).select([2, 0])
    assert list(view) == [rows[64], rows[100]]


def test_a_sample_given_away_is_a_copy(dataset, rows):
    sample = dataset[0]
    sample["options"].append("other")
    sample["answer"] = 2
    assert dataset[0] == rows[0]


def test_without_images_a_sample_has_none(dataset, rows):
    view = dataset.without_images()
    assert list(view) == [{name: value for name, value in row.items() if name != "image"} for row in rows]
    assert list(view.features) == ["id", "question", "options", "answer", "source", "category"]
    assert "image" not in view[:3][0]
    assert "image" in dataset[0]


def test_features_name_the_types(dataset):
    assert dataset.features == {
        "id": "string",
        "image": "binary",
        "question": "string",
        "options": "list<string>",
        "answer": "int64",
        "source": "string",
        "category": "string",
    }
    assert list(dataset.features) == list(dataset[0])


def test_it_can_be_pickled_with_its_fingerprint(dataset, rows):
    known = dataset.fingerprint
    copy = pickle.loads(pickle.dumps(dataset.select([7, 120])))
    assert list(copy) == [rows[7], rows[120]]
    assert pickle.loads(pickle.dumps(dataset)).fingerprint == known


def test_threads_read_it(dataset, rows):
    indices = [(number * 37) % 130 for number in range(1000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.__getitem__, indices)) == [rows[index] for index in indices]


def test_its_attributes_cannot_be_set(dataset):
    for name in ("source", "is_demonstration", "ignored_columns", "features"):
        with pytest.raises(AttributeError):
            setattr(dataset, name, "other")


def test_an_image_that_goes_missing_is_an_error_with_the_id(tmp_path, rows, write_jsonl):
    dataset = load_dataset(write_jsonl(tmp_path, rows[:2]))
    (tmp_path / "images" / "data.jsonl.1.png").unlink()
    assert dataset.without_images()[1]["id"] == "s1"
    with pytest.raises(
        DatasetError, match=r"^sample 's1': its image file 'images/data.jsonl.1.png' does not exist; put"
    ):
        dataset[1]
    with pytest.raises(DatasetError, match=r"^sample 's1': its image file"):
        print(dataset.fingerprint)


def test_it_shows_its_source_and_size(dataset, tmp_path):
    assert repr(dataset) == f"SampleDataset({str(tmp_path / 'data.parquet')!r}, 130 samples)"
