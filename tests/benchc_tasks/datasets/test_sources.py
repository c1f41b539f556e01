from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchc_tasks.datasets import SOURCE_VARIABLE, DatasetError, load_dataset, write_dataset
from benchc_tasks.datasets.sources import choose_files, find_files
from benchc_tasks.demonstration import DEMONSTRATION_SET

COMMIT = "c" * 40


@pytest.fixture
def parquet(tmp_path, make_rows):
    write_dataset(tmp_path / "data.parquet", make_rows())
    return tmp_path / "data.parquet"


def test_the_variable_names_the_dataset(parquet, monkeypatch):
    monkeypatch.setenv(SOURCE_VARIABLE, str(parquet))
    found = find_files()
    assert (found.source, found.paths, found.is_demonstration) == (str(parquet), (parquet,), False)


def test_a_source_goes_before_the_variable(parquet, monkeypatch):
    monkeypatch.setenv(SOURCE_VARIABLE, "/nowhere.parquet")
    assert find_files(parquet).paths == (parquet,)


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_variable_it_is_the_demonstration(monkeypatch, value):
    if value is None:
        monkeypatch.delenv(SOURCE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(SOURCE_VARIABLE, value)
    for dataset in (load_dataset(), load_dataset(DEMONSTRATION_SET)):
        assert dataset.is_demonstration
        assert dataset.source == "the bundled demonstration set"
        assert dataset[:2].is_demonstration
        assert dataset.without_images().is_demonstration


def test_a_folder_under_home(parquet, monkeypatch):
    monkeypatch.setenv("HOME", str(parquet.parent))
    assert find_files("~").paths == (parquet,)


@pytest.mark.parametrize("source", ["nowhere", "/no/where", "a/b.parquet", "a/b.jsonl", "./a/b", "a/b/c", "a/b@", ".."])
def test_what_does_not_exist_is_named(tmp_path, monkeypatch, source):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    sentence = "has no parquet or JSONL file; put" if source == ".." else "does not exist; give an existing folder"
    with pytest.raises(DatasetError, match=f"^dataset {source!r} {sentence}"):
        find_files(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [("x" * 300, "File name too long"), ("~nobody-of-this-name/data", "Could not determine home directory")],
    ids=["too long", "no such user"],
)
def test_what_the_system_refuses_to_look_at_is_named(source, reason):
    shown = f"'{source}'" if len(source) < 100 else r"'x{47}\.\.\.x{48}'"
    with pytest.raises(DatasetError, match=rf"^dataset {shown} cannot be read \({reason}\); name a readable one$"):
        find_files(source)


def test_a_path_that_reads_as_a_hub_id_is_local_if_it_exists(tmp_path, monkeypatch, make_rows):
    monkeypatch.chdir(tmp_path)
    write_dataset("owner/name/data.parquet", make_rows())
    assert len(load_dataset("owner/name")) == 3
    with pytest.raises(DatasetError, match=r"^dataset 'owner/other' does not exist; give"):
        find_files(Path("owner/other"))


CHOICES = {
    "compressed": (["test.jsonl.gz", "train-00000-of-00001.jsonl.gz"], "test", ["test.jsonl.gz"]),
    "shards that are compressed": (["x.md", "val-00000-of-00001.jsonl.gz"], "val", ["val-00000-of-00001.jsonl.gz"]),
    "one": (["data.parquet", "README.md"], None, ["data.parquet"]),
    "sorted": (["b.parquet", "a.parquet"], None, ["a.parquet", "b.parquet"]),
    "the top first": (["data.jsonl", "old/test.jsonl"], None, ["data.jsonl"]),
    "below": (
        ["data/test-00001-of-00002.parquet", "data/test-00000-of-00002.parquet"],
        None,
        ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"],
    ),
    "a split's file": (["train.parquet", "test.parquet"], "test", ["test.parquet"]),
    "a split's shards": (
        ["data/train-00000-of-00001.parquet", "data/val-00000-of-00001.parquet"],
        "val",
        ["data/val-00000-of-00001.parquet"],
    ),
    "a split's folder": (["train/a.parquet", "test/a.parquet"], "test", ["test/a.parquet"]),
    "a split of its own name": (["hard.jsonl", "easy.jsonl"], "hard", ["hard.jsonl"]),
    "a single split": (["test-00000-of-00001.parquet"], None, ["test-00000-of-00001.parquet"]),
    "unnamed shards": (["data-00000-of-00001.parquet"], None, ["data-00000-of-00001.parquet"]),
    "one kind of two": (["test.parquet", "train.jsonl"], "train", ["train.jsonl"]),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_files_of_a_split(case):
    names, split, expected = CHOICES[case]
    assert choose_files(names, split, "mine") == expected


@pytest.mark.parametrize(
    ("names", "split", "sentence"),
    [
        (
            ["data-00000-of-00001.arrow", "state.json"],
            None,
            r"has Arrow files, .*; write it with Dataset\.to_parquet.*",
        ),
        (["a.csv"], None, "has no parquet or JSONL file; put its rows in data.parquet or data.jsonl"),
        (["test.parquet", "train.parquet"], None, "has the splits test, train; name the one to evaluate"),
        (["test.parquet", "train.parquet"], "val", "has no split 'val'; choose from test, train"),
        (["data.parquet"], "test", "has no split 'test'; its files name no splits, so name none"),
        (["a.parquet", "a.jsonl"], None, "has both parquet and JSONL files; name the file, or keep one kind"),
    ],
)
def test_what_leaves_the_files_open_is_refused(names, split, sentence):
    with pytest.raises(DatasetError, match=f"^dataset 'mine' {sentence}$"):
        choose_files(names, split, "mine")


def test_a_folder_that_lacks_a_shard_is_refused_but_the_shard_itself_can_be_named(tmp_path, make_rows):
    shard = tmp_path / "data" / "test-00001-of-00002.parquet"
    write_dataset(shard, make_rows())
    with pytest.raises(DatasetError, match=r"has 1 of 2 shards of 'test'; fetch the others$"):
        load_dataset(tmp_path, "test")
    assert len(load_dataset(shard)) == 3


def test_hidden_folders_hold_no_data(parquet, make_rows):
    inner = parquet.parent / "set"
    write_dataset(inner / ".cache" / "test.parquet", make_rows())
    write_dataset(inner / "data" / "test.parquet", make_rows(2))
    assert find_files(inner).paths == (inner / "data" / "test.parquet",)


PROGRAM = """
import json, sys
from benchc_tasks.datasets import DatasetError, load_dataset
for arguments in json.loads(sys.argv[1]):
    try:
        dataset = load_dataset(*arguments)
        print(len(dataset), dataset.source, dataset.fingerprint)
    except DatasetError as error:
        print("error:", error)
"""


HUB_SETTINGS = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "", "NO_PROXY": "127.0.0.1"}


def load_in_process(home: Path, *calls: list[str], **environment: str) -> list[str]:
    """What a fresh process says of each call: the hub's client reads its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(calls)],
        env={**os.environ, **HUB_SETTINGS, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_offline_and_not_in_the_cache_is_one_sentence(tmp_path):
    assert load_in_process(tmp_path, ["owner/name@v1"], HF_HUB_OFFLINE="1") == [
        "error: dataset 'owner/name@v1' is not complete on this machine and the hub is out of reach "
        "(OfflineModeIsEnabled); correct the path, or download it once with a network: it then loads offline from the "
        "hub's cache"
    ]


def fill_cache(home: Path, file: Path, name: str) -> None:
    """Lay a file out as the hub's client keeps it: a blob, and a link to it in the commit's snapshot."""
    repository = home / "hub" / "datasets--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", (snapshot / name).parent):
        folder.mkdir(parents=True, exist_ok=True)
    blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
    blob.write_bytes(file.read_bytes())
    (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    (repository / "refs" / "v1").write_text(COMMIT)
    (repository / "refs" / "main").write_text(COMMIT)


def test_offline_it_loads_from_the_hubs_cache(tmp_path, parquet):
    fill_cache(tmp_path, parquet, "data/test-00000-of-00001.parquet")
    sources = ["owner/name@v1", "owner/name", f"owner/name@{COMMIT}"]
    fingerprint = load_dataset(parquet).fingerprint
    calls = [[source, "test"] for source in sources] + [["owner/name"]]
    said = load_in_process(tmp_path, *calls, HF_HUB_OFFLINE="1")
    assert said == [f"3 {source} {fingerprint}" for source in (*sources, "owner/name")]


def test_offline_jsonl_and_images_load_through_the_caches_links(tmp_path, make_rows, write_jsonl):
    data = write_jsonl(tmp_path / "set", make_rows())
    fill_cache(tmp_path, data, "data.jsonl")
    for image in (tmp_path / "set" / "images").iterdir():
        fill_cache(tmp_path, image, f"images/{image.name}")
    said = load_in_process(tmp_path, ["owner/name"], HF_HUB_OFFLINE="1")
    assert said == [f"3 owner/name {load_dataset(data).fingerprint}"]


class Hub:
    """As much of the hub as its client asks for: one dataset repository, on a local port."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.downloads: list[str] = []
        self.broken: set[str] = set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer()

            def do_GET(self) -> None:
                self.answer()

            def answer(self) -> None:
                path = self.path.split("?")[0]
                known = path.startswith(("/api/datasets/owner/name", "/datasets/owner/name"))
                revision = next((path.split(part)[1].split("/")[0] for part in ("/revision/", "/tree/", "/resolve/")
                                 if part in path), "main")  # fmt: skip
                if not known:
                    return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                if revision not in ("main", COMMIT):
                    return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                if "/resolve/" in path:
                    return self.send_data(path.split("/resolve/")[1].split("/", 1)[1])
                if "/tree/" in path:
                    tree = [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                            for name, data in hub.files.items()]  # fmt: skip
                    return self.send(200, json.dumps(tree).encode(), {})
                siblings = [{"rfilename": name} for name in hub.files]
                info = {"_id": "1", "id": "owner/name", "sha": COMMIT, "siblings": siblings}
                return self.send(200, json.dumps(info).encode(), {})

            def send_data(self, name: str) -> None:
                if name in hub.broken:
                    return self.send(403, b"", {})
                data = hub.files[name]
                if self.command == "GET":
                    hub.downloads.append(name)
                self.send(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

            def send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def start_hub():
    hubs: list[Hub] = []

    def start(files: dict[str, bytes]) -> Hub:
        hubs.append(Hub(files))
        return hubs[-1]

    yield start
    for hub in hubs:
        hub.server.shutdown()
        hub.server.server_close()


def test_a_split_is_downloaded_alone_and_then_loads_offline(tmp_path, parquet, start_hub):
    data = parquet.read_bytes()
    hub = start_hub(
        {"README.md": b"#", "data/train-00000-of-00001.parquet": b"", "data/test-00000-of-00001.parquet": data}
    )
    expected = f"3 owner/name {load_dataset(parquet).fingerprint}"
    assert load_in_process(tmp_path, ["owner/name", "test"], HF_ENDPOINT=hub.endpoint) == [expected]
    # The README may name the types of the columns.
    assert sorted(hub.downloads) == ["README.md", "data/test-00000-of-00001.parquet"]
    with_split, without = load_in_process(tmp_path, ["owner/name", "test"], ["owner/name"], HF_HUB_OFFLINE="1")
    assert with_split == expected
    # The hub has a second split: what happens to be in the cache is not the whole dataset.
    assert without.startswith("error: dataset 'owner/name' is not complete on this machine and the hub is out of reach")


def test_jsonl_is_downloaded_with_its_images(tmp_path, make_rows, write_jsonl, start_hub):
    data = write_jsonl(tmp_path / "set", make_rows())
    files = {path.relative_to(data.parent).as_posix(): path for path in data.parent.rglob("*") if path.is_file()}
    hub = start_hub({"weights.bin": b"no", **{name: path.read_bytes() for name, path in files.items()}})
    said = load_in_process(tmp_path, [f"owner/name@{COMMIT}"], HF_ENDPOINT=hub.endpoint)
    assert said == [f"3 owner/name@{COMMIT} {load_dataset(data).fingerprint}"]
    assert sorted(hub.downloads) == sorted(files)


INCOMPLETE = {
    "a file of the split": ("test.parquet", "it lacks 'test.parquet';"),
    "the file that may name types": ("README.md", "it lacks 'README.md';"),
}


@pytest.mark.parametrize("keeps_trees", [True, False], ids=["this client", "a client that keeps no lists"])
@pytest.mark.parametrize("case", INCOMPLETE)
def test_offline_a_part_of_a_dataset_is_not_taken_for_the_whole(tmp_path, make_rows, start_hub, case, keeps_trees):
    lost, sentence = INCOMPLETE[case]
    write_dataset(tmp_path / "set" / "a.parquet", make_rows())
    data = (tmp_path / "set" / "a.parquet").read_bytes()
    hub = start_hub({"README.md": b"#", "more.parquet": data, "test.parquet": data})
    assert load_in_process(tmp_path, ["owner/name", "test"], HF_ENDPOINT=hub.endpoint)[0].startswith("3 owner/name")
    cache = tmp_path / "hub" / "datasets--owner--name"
    if not keeps_trees:
        shutil.rmtree(cache / "trees", ignore_errors=True)
    (cache / "snapshots" / COMMIT / lost).unlink()
    (said,) = load_in_process(tmp_path, ["owner/name", "test"], HF_HUB_OFFLINE="1")
    assert said.startswith(
        "error: dataset 'owner/name' is not complete on this machine and the hub is out of reach "
        "(OfflineModeIsEnabled): "
    )
    assert sentence in said


def test_offline_a_download_that_was_cut_off_is_named(tmp_path, make_rows, start_hub):
    """Unsharded files: only the list of the repository tells that one is missing."""
    write_dataset(tmp_path / "set" / "a.parquet", make_rows())
    hub = start_hub({"a.parquet": (tmp_path / "set" / "a.parquet").read_bytes(), "b.parquet": b"", "c.parquet": b""})
    hub.broken = {"b.parquet", "c.parquet"}
    load_in_process(tmp_path, ["owner/name"], HF_ENDPOINT=hub.endpoint)
    shutil.rmtree(tmp_path / "hub" / "datasets--owner--name" / "trees", ignore_errors=True)
    (said,) = load_in_process(tmp_path, ["owner/name"], HF_HUB_OFFLINE="1")
    assert "is not complete on this machine" in said
    assert "it lacks 'b.parquet' and 1 more; correct the path, or download it once" in said


def test_offline_jsonl_without_an_image_is_named_as_a_whole(tmp_path, make_rows, write_jsonl, start_hub):
    data = write_jsonl(tmp_path / "set", make_rows())
    files = {path.relative_to(data.parent).as_posix(): path for path in data.parent.rglob("*") if path.is_file()}
    hub = start_hub({name: path.read_bytes() for name, path in files.items()})
    load_in_process(tmp_path, ["owner/name"], HF_ENDPOINT=hub.endpoint)
    (image, *_) = sorted(name for name in files if name.endswith(".png"))
    (tmp_path / "hub" / "datasets--owner--name" / "snapshots" / COMMIT / image).unlink()
    (said,) = load_in_process(tmp_path, ["owner/name"], HF_HUB_OFFLINE="1")
    assert f"it lacks '{image}';" in said


@pytest.mark.parametrize("declared", [3, 7])
def test_fewer_rows_than_the_readme_declares_are_refused(tmp_path, parquet, declared):
    """Nothing else tells of a cache that another tool filled."""
    readme = tmp_path / "README.md"
    readme.write_text(
        "---\ndataset_info:\n  features: []\n  splits:\n  - name: test\n"
        f"    num_examples: {declared}\n  - name: train\n    num_examples: 99\n---\n# Mine\n"
    )
    for file, name in ((parquet, "data/test.parquet"), (readme, "README.md")):
        fill_cache(tmp_path, file, name)
    said = load_in_process(tmp_path, ["owner/name", "test"], ["owner/name"], HF_HUB_OFFLINE="1")
    if declared == 3:
        assert said[0].startswith("3 owner/name")
    else:
        sentence = "has 3 of the 7 rows that its README.md declares; download the rest of it"
        assert said == [f"error: dataset 'owner/name' {sentence}"] * 2


def test_what_the_hub_does_not_have_is_one_sentence(tmp_path, start_hub):
    hub = start_hub({"train.parquet": b"", "test.parquet": b""})
    calls = [["owner/none"], ["owner/name@v9"], ["owner/name"], ["owner/name", "val"]]
    assert load_in_process(tmp_path, *calls, HF_ENDPOINT=hub.endpoint) == [
        "error: dataset 'owner/none' is neither on this machine nor on the hub; correct the path or the id, "
        "or run `hf auth login` if it is private",
        "error: dataset 'owner/name' has no revision 'v9'; name a branch, tag or commit",
        "error: dataset 'owner/name' has the splits test, train; name the one to evaluate",
        "error: dataset 'owner/name' has no split 'val'; choose from test, train",
    ]
    assert hub.downloads == []
