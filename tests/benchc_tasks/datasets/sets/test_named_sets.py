"""Sets by name, built from a local copy in the hub's layout by the code that reads the hub."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


def folder_of(root: Path, name: str) -> Path:
    return root / "sets" / f"{name}@{NAMED_SETS[name].revision}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that has every dataset, but not the revision that it is asked for; the paths that it was asked."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/datasets/"):
                asked.append(self.path)
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("X-Error-Message", "Invalid rev id")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("named", NAMED_SETS.values(), ids=lambda named: named.name)
def test_every_set_names_a_commit_and_where_it_is_published(named: NamedSet) -> None:
    assert re.fullmatch("[0-9a-f]{40}", named.revision)
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/[\w./-]+", named.published)
    assert NAMED_SETS[named.benchmark].revision == named.revision
    documented = (Path(__file__).parents[4] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert f"| `{named.benchmark}` | {BENCHMARKS[named.benchmark].hub_id} | `{named.revision[:12]}` | " in documented
    assert f"]({named.published}) |" in documented


def test_a_commit_that_the_hub_no_longer_has_is_told_with_the_cure(
    hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHC_SETS", str(tmp_path / "sets"))
    commit = NAMED_SETS["mmstar"].revision
    told = (
        f"set 'mmstar' cannot be built: Lin-Chen/MMStar has no revision '{commit}' on the hub; put @main behind the "
        "set's name, as in mmstar@main, to take its newest state"
    )
    with pytest.raises(DatasetError, match=f"^{re.escape(told)}$"):
        load_dataset("mmstar")
    assert hub == [f"/api/datasets/Lin-Chen/MMStar/revision/{commit}"]
    with pytest.raises(DatasetError, match=r"no revision 'main'"):
        load_dataset("mmstar@main")
    assert hub[1:] == ["/api/datasets/Lin-Chen/MMStar/revision/main"]


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
    record = record_of(folder_of(tmp_path, "mmbench"))
    assert (record["schema"], record["samples"], record["fingerprint"]) == ("benchc.set/1", 3, first.fingerprint)
    name = folder_of(tmp_path, "mmbench").name
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == [name, f"{name}.lock"]


def test_the_variable_names_a_set(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHC_DATASET", "mmbench")
    assert len(load_dataset()) == 3


def test_a_folder_of_that_name_goes_before_the_set(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dataset("mmbench")
    shutil.copytree(folder_of(tmp_path, "mmbench"), tmp_path / "here" / "mmbench")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BENCHC_SETS", str(tmp_path / "none"))
    assert len(load_dataset("mmbench")) == 3
    assert not (tmp_path / "none").exists()


def manifest(folder: Path, *members: tuple[str, str], removed: int = 0) -> NamedSet:
    path = folder / "some-c.json"
    samples = [{"id": name, "digest": None, "text": text} for name, text in members]
    path.write_text(json.dumps({"schema": SELECTION_SCHEMA, "samples": samples}), encoding="utf-8")
    return replace(NAMED_SETS["mmbench"], name="some-c", manifest=path, removed=removed)


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
    record = record_of(folder_of(tmp_path, "some-c"))
    assert (record["licence"], record["benchmark"], record["samples"]) == ("apache-2.0", str(copy), 2)


def test_a_changed_or_missing_question_is_named(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = manifest(tmp_path, ("mmbench_3", digest(2)), ("mmbench_7", digest(7)), ("mmbench_1", digest(1)))
    monkeypatch.setitem(NAMED_SETS, "some-c", chosen)
    told = "1 of its 3 samples are missing in mmbench and 1 have another text, first 'mmbench_7'; .*--leave-out-changed"
    with pytest.raises(DatasetError, match=told):
        load_dataset("some-c")
    assert not folder_of(tmp_path, "some-c").exists()


def test_as_many_questions_may_be_missing_as_the_benchmark_has_removed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    members = [(f"mmbench_{number}", digest(number)) for number in (3, 7, 1, 9)]
    monkeypatch.setitem(NAMED_SETS, "some-c", manifest(tmp_path, *members, removed=1))
    with pytest.raises(DatasetError, match="2 of its 4 samples are missing in mmbench and 0 have another text"):
        load_dataset("some-c")
    monkeypatch.setitem(NAMED_SETS, "some-c", manifest(tmp_path, *members, removed=2))
    assert [row["id"] for row in load_dataset("some-c").without_images()] == ["mmbench_1", "mmbench_3"]
    assert record_of(folder_of(tmp_path, "some-c"))["left_out"] == ["mmbench_7", "mmbench_9"]
    assert "2 samples of" in log[-1]
    assert ", 2 left out that it no longer has; licence" in log[-1]
    # One more that is there, with another text.
    changed = manifest(tmp_path, *members, ("mmbench_2", digest(1)), removed=2)
    monkeypatch.setitem(NAMED_SETS, "some-c", changed)
    shutil.rmtree(folder_of(tmp_path, "some-c"))
    with pytest.raises(DatasetError, match="2 of its 5 samples are missing in mmbench and 1 have another text"):
        load_dataset("some-c")


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
    assert "set 'mmstar' is not on this machine yet: Lin-Chen/MMStar cannot be downloaded from the hub" in told
    assert "benchc pool mmstar --from PATH -o FOLDER" in told
    assert "\n" not in told
    assert [path.name for path in (tmp_path / "sets").iterdir()] == [f"{folder_of(tmp_path, 'mmstar').name}.lock"]


def test_a_build_that_was_interrupted_leaves_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "_recorded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mmbench")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == [f"{folder_of(tmp_path, 'mmbench').name}.lock"]


@pytest.mark.parametrize("damage", ["cut", "no record", "another version"])
def test_a_damaged_set_is_refused(copy: Path, tmp_path: Path, damage: str) -> None:
    load_dataset("mmbench")
    folder = folder_of(tmp_path, "mmbench")
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
