from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchc_tasks.datasets import DatasetError, decode_image, stores
from benchc_tasks.datasets.stores import FileImages, JoinedImages, ParquetImages, column_problem

HEAD = b"GIF89a\x01\x00\x01\x00"
VALUES = [HEAD + bytes([number]) * 1000 for number in range(50)]


def write_images(path, values, kind=None, group=8):
    pq.write_table(pa.table({"image": pa.array(values, kind)}), path, row_group_size=group)
    return ParquetImages(path)


def test_each_row_is_read_in_any_order(tmp_path):
    store = write_images(tmp_path / "a.parquet", VALUES)
    order = [49, 0, 7, 8, 31, 32, 1]
    assert len(store) == 50
    assert [store.read(row) for row in order] == [VALUES[row] for row in order]


def test_all_kinds_of_image_columns_are_read(tmp_path):
    (tmp_path / "x.gif").write_bytes(HEAD)
    both = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = [
        ([HEAD], pa.binary()),
        ([HEAD], pa.large_binary()),
        ([{"bytes": HEAD}], pa.struct([("bytes", pa.binary())])),
        ([{"bytes": HEAD, "path": "nowhere.gif"}], both),
        ([{"bytes": None, "path": "x.gif"}], both),
        (["x.gif"], pa.string()),
    ]
    for number, (values, kind) in enumerate(columns):
        assert column_problem(kind) is None
        store = write_images(tmp_path / f"{number}.parquet", values, kind)
        assert store.read(0) == HEAD
        assert list(store.problems()) == [None]


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.list_(pa.uint8()), pa.struct([("path", pa.string())]), pa.struct([("bytes", pa.string())])]
)
def test_a_column_of_another_type_is_named(kind):
    assert (column_problem(kind) or "").startswith(f"its `image` is of type {kind}; give the encoded image")


def test_the_cache_keeps_within_its_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "CACHED_BYTES", 20_000)
    store = write_images(tmp_path / "a.parquet", VALUES)
    for row in (*range(50), *range(50)):
        assert store.read(row) == VALUES[row]
        kept = sum(column.nbytes for column in store._groups.values())
        assert kept == store._cached_bytes <= 20_000
    # Two whole groups, and the last one, of two rows.
    assert [len(column) for column in store._groups.values()] == [8, 8, 2]


def test_the_row_group_used_last_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "CACHED_BYTES", 20_000)
    store = write_images(tmp_path / "a.parquet", VALUES)
    for row in (0, 8, 1, 16):
        store.read(row)
    assert list(store._groups) == [0, 2]


def test_a_row_group_beyond_the_bound_is_still_read(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "CACHED_BYTES", 10)
    store = write_images(tmp_path / "a.parquet", VALUES, group=25)
    assert [store.read(row) for row in (3, 30, 4)] == [VALUES[row] for row in (3, 30, 4)]
    assert len(store._groups) == 1


def test_threads_read_what_one_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "CACHED_BYTES", 20_000)
    store = write_images(tmp_path / "a.parquet", VALUES)
    rows = [(number * 17) % 50 for number in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(store.read, rows)) == [VALUES[row] for row in rows]


def test_stores_can_be_pickled_after_a_read(tmp_path):
    (tmp_path / "x.gif").write_bytes(HEAD)
    parquet, files = write_images(tmp_path / "a.parquet", VALUES), FileImages(tmp_path, ["x.gif"])
    joined = JoinedImages([parquet, files, parquet])
    joined.read(3)
    copy = pickle.loads(pickle.dumps(joined))
    assert len(copy) == 101
    assert [copy.read(row) for row in (0, 49, 50, 51, 100)] == [VALUES[0], VALUES[49], HEAD, VALUES[0], VALUES[49]]
    assert list(copy.problems()) == [None] * 101


FILE_FAULTS = {
    "null": (None, "it has no `image`; give the encoded image"),
    "number": (3, "its `image` is 3, not a path; give the encoded image"),
    "empty": ("", "its `image` is '', not a path; give the encoded image"),
    "absent": ("none.png", "its image file 'none.png' does not exist; put it in the dataset's folder"),
    "folder": ("inner", "its image file 'inner' is a folder or a device; give the path of an image file"),
    "pipe": ("pipe.png", "its image file 'pipe.png' is a folder or a device; give the path of an image file"),
    "endless": ("zero.png", "its image file 'zero.png' is a folder or a device; give the path of an image file"),
    "loop": ("loop.png", "its image file 'loop.png' cannot be read (Too many levels of symbolic links); make it"),
    "NUL": ("a\0b", "its image file 'a\\x00b' cannot be read (embedded null byte); make it a readable file"),
    "base64": ("iVBORw0KGgo" * 15_000, "its `image` is a text of 165,000 characters, 'iVBORw0KGgo"),
    "a data URI": (
        "data:image/png;base64,iVBORw0KGgo=",
        "its `image` is a text of 34 characters, 'data:image",
    ),
    "base64 as bytes": ({"bytes": "iVBORw0KGgo" * 15_000}, "its `image` holds `bytes` as 'iVBORw0KGgo"),
    "a list of numbers as bytes": (
        {"bytes": [137, 80, 78, 71]},
        "its `image` holds `bytes` as [137, 80, 78, 71]",
    ),
    "a mapping without a path": ({"url": "x"}, "it has no `image`; give the encoded image"),
    "a long name": ("x" * 3000 + ".png", "its image file 'xxx"),
    "a list": (["a.png"], "its `image` is ['a.png'], not a path; give the encoded image"),
    "a number in a mapping": ({"bytes": None, "path": 7}, "its `image` is 7, not a path; give the encoded image"),
    "empty file": ("empty.png", "its image is empty; replace it by an intact PNG"),
    "no image": ("text.png", "its image does not begin like any known format; replace it by an intact PNG"),
}


@pytest.mark.parametrize("case", FILE_FAULTS)
def test_a_file_that_does_not_serve_is_named(tmp_path, case):
    (tmp_path / "inner").mkdir()
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "text.png").write_text("not an image")
    value, sentence = FILE_FAULTS[case]
    (problem,) = FileImages(tmp_path, [value]).problems()
    assert (problem or "").startswith(sentence)
    assert len(problem or "") < 300
    with pytest.raises(DatasetError):
        decode_image(FileImages(tmp_path, [value]).read(0), "s0")


def test_a_mapping_with_a_path_names_a_file(tmp_path):
    (tmp_path / "x.gif").write_bytes(HEAD)
    store = FileImages(tmp_path, [{"bytes": None, "path": "x.gif"}, {"path": "x.gif"}])
    assert list(store.problems()) == [None, None]
    assert [store.read(0), store.read(1)] == [HEAD, HEAD]


@pytest.mark.parametrize(
    "path", ["/secret.gif", "../secret.gif", "a/../../secret.gif", "C:/secret.gif", "..\\secret.gif"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    (tmp_path / "secret.gif").write_bytes(HEAD)
    (tmp_path / "set" / "a").mkdir(parents=True)
    store = FileImages(tmp_path / "set", [path])
    (problem,) = store.problems()
    assert "is not a relative path inside the dataset's folder; move the file" in (problem or "")
    with pytest.raises(DatasetError, match="is not a relative path inside the dataset's folder"):
        store.read(0)


def test_an_absolute_path_into_the_folder_is_refused_too(tmp_path):
    (tmp_path / "x.gif").write_bytes(HEAD)
    (problem,) = FileImages(tmp_path, [os.fspath(tmp_path / "x.gif")]).problems()
    assert "is not a relative path inside the dataset's folder" in (problem or "")
