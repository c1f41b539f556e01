"""Sets by name, built from a local copy in the hub's layout by the code that reads the hub."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loguru import logger
from PIL import Image

from benchc_tasks.datasets import DatasetError, load_dataset
from benchc_tasks.datasets.pools import BENCHMARKS
from benchc_tasks.datasets.sets import building
from benchc_tasks.datasets.sets.members import SELECTION_SCHEMA, read_members, text_digest
from benchc_tasks.datasets.sets.names import NAMED_SETS, SELECTED_SETS, NamedSet

CARD = """---
license: {licence}
configs:
- config_name: en
  data_files:
  - split: dev
    path: en/dev-*
---
# A copy
"""


def png(number: int) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.full((9, 7, 3), number, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the hub's MMBench with three questions, one of them twice with its options rotated."""
    folder = tmp_path / "copy"
    (folder / "en").mkdir(parents=True)
    rows = [
        {
            "index": index, "image": {"bytes": png(number), "path": None}, "question": f"What is {index % 10}?",
            "hint": "nan", "A": "a cat", "B": "a dog", "C": "nan", "D": "nan", "answer": "AB"[number % 2],
            "category": "animals",
        }
        for number, index in enumerate((1, 2, 3, 1_000_003))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "en" / "dev-00000-of-00001.parquet")
    (folder / "README.md").write_text(CARD.format(licence="apache-2.0"), encoding="utf-8")
    monkeypatch.setenv("BENCHC_SETS", str(tmp_path / "sets"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "home" / "datasets")
    monkeypatch.setitem(BENCHMARKS, "mmbench", replace(BENCHMARKS["mmbench"], hub_id=str(folder)))
    return folder


@pytest.fixture
def log() -> Any:
    told: list[str] = []
    handler = logger.add(lambda message: told.append(str(message)), level="INFO", format="{message}")
    yield told
    logger.remove(handler)


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "set.json").read_text(encoding="utf-8"))
    return found


def test_a_set_is_built_once_and_is_there_without_a_hub(copy: Path, tmp_path: Path, log: list[str]) -> None:
    first = load_dataset("mmbench")
    assert [row["id"] for row in first.without_images()] == ["mmbench_1", "mmbench_2", "mmbench_3"]
    assert first.source == "mmbench"
    assert any("1 rows are left out: a copy of a question" in line for line in log)
    shutil.rmtree(copy)
    log.clear()
    again = load_dataset("mmbench")
    assert again.fingerprint == first.fingerprint
    (told,) = log
    assert "licence apache-2.0; cite MMBench" in told
    record = record_of(tmp_path / "sets" / "mmbench")
    assert (record["schema"], record["samples"], record["fingerprint"]) == ("benchc.set/1", 3, first.fingerprint)
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == ["mmbench", "mmbench.lock"]


def test_the_variable_names_a_set(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHC_DATASET", "mmbench")
    assert len(load_dataset()) == 3


def test_a_folder_of_that_name_goes_before_the_set(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dataset("mmbench")
    shutil.copytree(tmp_path / "sets" / "mmbench", tmp_path / "here" / "mmbench")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BENCHC_SETS", str(tmp_path / "none"))
    assert len(load_dataset("mmbench")) == 3
    assert not (tmp_path / "none").exists()


def manifest(folder: Path, *members: tuple[str, str]) -> NamedSet:
    path = folder / "some-c.json"
    samples = [{"id": name, "digest": None, "text": text} for name, text in members]
    path.write_text(json.dumps({"schema": SELECTION_SCHEMA, "samples": samples}), encoding="utf-8")
    return NamedSet("some-c", "mmbench", "a paper", manifest=path)


def digest(number: int) -> str:
    return text_digest(f"What is {number}?", ["a cat", "a dog"], (number - 1) % 2)


def test_a_selected_set_is_taken_out_of_its_benchmark(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = manifest(tmp_path, ("mmbench_3", digest(3)), ("mmbench_1", digest(1)))
    monkeypatch.setitem(NAMED_SETS, "some-c", chosen)
    subset = load_dataset("some-c")
    assert [row["id"] for row in subset.without_images()] == ["mmbench_1", "mmbench_3"]
    assert subset[1]["image"] == png(2)
    record = record_of(tmp_path / "sets" / "some-c")
    assert (record["licence"], record["benchmark"], record["samples"]) == ("apache-2.0", str(copy), 2)


def test_a_changed_or_missing_question_is_named(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = manifest(tmp_path, ("mmbench_3", digest(2)), ("mmbench_7", digest(7)), ("mmbench_1", digest(1)))
    monkeypatch.setitem(NAMED_SETS, "some-c", chosen)
    told = "1 of its 3 samples are missing in mmbench and 1 have another text, first 'mmbench_7'"
    with pytest.raises(DatasetError, match=told):
        load_dataset("some-c")
    assert not (tmp_path / "sets" / "some-c").exists()


def test_mmbench_c_tells_that_a_copy_is_another_one(copy: Path) -> None:
    assert len(read_members(SELECTED_SETS["mmbench-c"])) == 400
    with pytest.raises(DatasetError, match="398 of its 400 samples are missing in mmbench and 2 have another text"):
        load_dataset("mmbench-c")


def test_without_a_network_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHC_SETS", str(tmp_path / "sets"))

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(DatasetError) as refusal:
        load_dataset("mmstar")
    told = str(refusal.value)
    assert "set 'mmstar' is not on this machine yet: Lin-Chen/MMStar cannot be had from the hub" in told
    assert "benchc pool mmstar --from PATH -o FOLDER" in told
    assert "\n" not in told
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["mmstar.lock"]


def test_a_build_that_was_interrupted_leaves_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "_recorded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mmbench")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["mmbench.lock"]


@pytest.mark.parametrize("damage", ["cut", "no record", "another version"])
def test_a_damaged_set_is_refused(copy: Path, tmp_path: Path, damage: str) -> None:
    load_dataset("mmbench")
    folder = tmp_path / "sets" / "mmbench"
    if damage == "cut":
        data = (folder / "data.parquet").read_bytes()
        (folder / "data.parquet").write_bytes(data[:-10])
    elif damage == "no record":
        (folder / "set.json").unlink()
    else:
        written = (folder / "set.json").read_text(encoding="utf-8")
        (folder / "set.json").write_text(written.replace("benchc.set/1", "benchc.set/9"), encoding="utf-8")
    with pytest.raises(DatasetError, match="remove that folder"):
        load_dataset("mmbench")


def test_a_revision_has_a_folder_of_its_own(copy: Path, tmp_path: Path) -> None:
    load_dataset("mmbench@abc/def")
    assert (tmp_path / "sets" / "mmbench@abc_def" / "data.parquet").is_file()


def test_a_name_that_is_no_set_is_told_the_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"or a set by name: mmbench, mmstar, .*mmbench-c"):
        load_dataset("mmstarr")
