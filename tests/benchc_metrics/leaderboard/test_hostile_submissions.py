"""Folders that were made to break whoever checks them: each is refused by name, quickly, in little memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from submissions import QUICK

from benchc_metrics.leaderboard.folder import MOST_DEPTH, MOST_ENTRIES
from benchc_metrics.leaderboard.schema import LARGEST_SAMPLES, SAMPLES_SCHEMA
from benchc_metrics.leaderboard.verification import verify

DEEP = "[" * 50_000 + "]" * 50_000
HOSTILE = {
    "a number of 309 digits": "1e308",
    "its negative": "-1e308",
    "a number that is almost none": "1e-320",
    "not a number": "NaN",
    "infinity": "Infinity",
    "beyond every float": "1e999",
    "an integer of 5,000 digits": "9" * 5_000,
    "a large integer": str(2**64),
    "minus one": "-1",
    "zero": "0",
    "null": "null",
    "a truth value": "true",
    "an empty text": '""',
    "a text of a million characters": f'"{"x" * 900_000}"',
    "half a surrogate": '"\\ud800"',
    "a NUL": '"lab/\\u0000"',
    "an escape sequence": '"\\u001b[2J"',
    "a text that runs backwards": '"\\u202egnp.exe"',
    "a date that is none": '"2026-99-99T99:99:99Z"',
    "the year 0": '"0000-01-01T00:00:00Z"',
    "an empty list": "[]",
    "an empty object": "{}",
    "deep nesting": DEEP,
    "a key twice": '{"value": 1, "value": 2}',
}
MARK = '"@@hostile@@"'


def with_hashes(folder: Path) -> None:
    file = folder / "benchc.json"
    record = json.loads(file.read_text())
    for facts in record["files"]:
        content = (folder / facts["path"]).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def places_of(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a record, of a list only the first entry."""
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            # One metric stands for all, and one cell.
            if place not in (("metrics",), ("table", 0, "metrics")) or key == "acc_corrupted":
                yield from places_of(inner, (*place, key))
    elif isinstance(value, list) and value:
        yield from places_of(value[0], (*place, 0))


def replaced(record: dict[str, Any], place: tuple[str | int, ...], written: str) -> str:
    copied = json.loads(json.dumps(record))
    target = copied
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = json.loads(MARK)
    return json.dumps(copied).replace(MARK, written)


def refused(folder: Path, **settings: Any) -> list[str]:
    """The findings: there are some, none is that the check broke, and all can be printed."""
    verification = verify(folder, **{"engine": "1", "bootstrap": QUICK, **settings})
    texts = [str(finding) for finding in verification.findings]
    assert texts
    assert verification.record is None
    assert verification.run is None
    assert not any("cannot be checked" in text for text in texts), texts
    assert all(text.isprintable() and len(text) < 3_000 for text in texts)
    return texts


def test_every_field_with_hostile_values(submission: Path) -> None:
    file = submission / "benchc.json"
    record = json.loads(file.read_text())
    places = list(places_of(record))
    assert len(places) > 45
    for number, place in enumerate(places):
        # A fourth of the values at each place: every value meets a dozen places, and every place six values.
        for name, written in list(HOSTILE.items())[number % 4 :: 4]:
            changed = replaced(record, place, written)
            if changed == json.dumps(record):
                continue  # null where null was
            file.write_text(changed)
            try:
                refused(submission, prompt=record["prompt"])
            except Exception as fault:
                raise AssertionError(f"{place}: {name}") from fault


FILES = (
    "benchc.json",
    "samples.parquet",
    ".eval_results/benchc.yaml",
    "unaggregated_results.csv",
    "every_eval_ever/data/*/*/*/*.json",
    "every_eval_ever/data/*/*/*/*_samples.jsonl",
)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        pytest.skip("only root can make a device")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        # The name of a socket may have 107 characters.
        folder = os.open(path.parent, os.O_RDONLY)
        opened.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


SUBSTITUTES: dict[str, Callable[[Path], Any]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a device": device,
    "a socket": listening,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("/nowhere"),
    "nothing": lambda path: None,
    "an empty file": Path.touch,
    "a terabyte of holes": lambda path: (path.touch(), os.truncate(path, 2**40)),
    "zeros": lambda path: path.write_bytes(bytes(1_000)),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe\xfa" * 100),
    "brackets": lambda path: path.write_bytes(b"[" * 90_000),
    "line ends": lambda path: path.write_bytes(b"\n" * 90_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other kinds of files")
@pytest.mark.parametrize("substitute", SUBSTITUTES)
@pytest.mark.parametrize("pattern", FILES)
def test_every_file_replaced(submission: Path, pattern: str, substitute: str) -> None:
    (file,) = submission.glob(pattern)
    file.unlink()
    SUBSTITUTES[substitute](file)
    texts = refused(submission)
    assert any(file.relative_to(submission).as_posix() in text for text in texts)
    # Also by someone who mends the hashes.
    if file.is_file() and file.name != "benchc.json" and file.stat().st_size < 1_000_000:
        with_hashes(submission)
        texts = refused(submission)
        assert any(file.relative_to(submission).as_posix() in text for text in texts)


def test_a_deep_folder_and_a_full_one(submission: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(submission)
        for _ in range(1_100):
            os.mkdir("d")
            os.chdir("d")
        (text,) = refused(submission)
        assert f"it lies more than {MOST_DEPTH} folders deep" in text
        # Libraries that delete folders call themselves for each, and pytest would use one.
        for _ in range(1_100):
            os.chdir("..")
            os.rmdir("d")
    finally:
        os.chdir(here)
    full = submission / "full"
    full.mkdir()
    for number in range(MOST_ENTRIES + 1):
        (full / f"{number}\x1b[2J").touch()
    (text,) = refused(submission)
    assert text == f"full: it holds more than {MOST_ENTRIES} files and folders, and no submission does"


def test_names_that_are_no_text(submission: Path) -> None:
    os.mkdir(os.fsencode(submission) + b"/\xff\x1b[2J\n")
    open(os.fsencode(submission) + b"/\xff\x1b[2J\n/\x80", "w").close()
    (text,) = refused(submission)
    assert text.endswith("/\\udc80: no submission has this file")


def rows_of(submission: Path) -> list[dict[str, Any]]:
    return pq.read_table(submission / "samples.parquet").to_pylist()


COLUMNS = {
    "text for numbers": ("answer", pa.string(), "0"),
    "32 bits": ("answer", pa.int32(), 0),
    "a number for a list": ("log_likelihoods", pa.float64(), -1.0),
    "numbers of 32 bits": ("log_likelihoods", pa.list_(pa.float32()), [-1.0, -2.0]),
    "a list for a text": ("sample", pa.list_(pa.string()), ["a"]),
    "bytes for a text": ("sample", pa.binary(), b"\xff"),
    "a struct": ("condition", pa.struct([("x", pa.int64())]), {"x": 1}),
    "nulls": ("condition", pa.null(), None),
    "a dictionary": ("condition", pa.dictionary(pa.int32(), pa.string()), "clean"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_other_types(submission: Path, name: str) -> None:
    column, kind, value = COLUMNS[name]
    rows = [{**row, column: value} for row in rows_of(submission)]
    schema = pa.schema(
        [pa.field(each.name, kind) if each.name == column else each for each in SAMPLES_SCHEMA],
        metadata=SAMPLES_SCHEMA.metadata,
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), submission / "samples.parquet")
    with_hashes(submission)
    (text,) = refused(submission)
    assert text == "samples.parquet: its columns are not those of benchc.answers/4"


VALUES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no options": lambda row: {"log_likelihoods": [], "probabilities": []},
    "one option": lambda row: {"log_likelihoods": [-1.0], "probabilities": [1.0]},
    "27 options": lambda row: {"log_likelihoods": [-1.0] * 27, "probabilities": [1 / 27] * 27},
    "a null in a list": lambda row: {"log_likelihoods": [None, *row["log_likelihoods"][1:]]},
    "infinity": lambda row: {"log_likelihoods": [float("inf"), *row["log_likelihoods"][1:]]},
    "nothing possible": lambda row: {"log_likelihoods": [-float("inf")] * len(row["log_likelihoods"])},
    "the largest number": lambda row: {"log_likelihoods": [-1.7e308] * len(row["log_likelihoods"])},
    "nan probabilities": lambda row: {"probabilities": [float("nan")] * len(row["probabilities"])},
    "a large answer": lambda row: {"answer": 2**62},
    "a small answer": lambda row: {"answer": -(2**63)},
    "an empty name": lambda row: {"sample": ""},
    "a name of controls": lambda row: {"sample": "\x1b[2J\x00\u202e"},
    "an empty condition": lambda row: {"condition": ""},
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("rows", ["one", "all"])
def test_values_that_are_none(submission: Path, name: str, rows: str) -> None:
    changed = rows_of(submission)
    for row in changed[7:8] if rows == "one" else changed:
        row.update(VALUES[name](row))
    pq.write_table(pa.Table.from_pylist(changed, schema=SAMPLES_SCHEMA), submission / "samples.parquet")
    with_hashes(submission)
    refused(submission)


def edited(submission: Path, **changes: Any) -> None:
    file = submission / "benchc.json"
    record = json.loads(file.read_text())
    for key, value in changes.items():
        outer, _, inner = key.partition("__")
        record[outer][inner] = value
    file.write_text(json.dumps(record, indent=1))


def forged_parquet(submission: Path) -> None:
    """200 MB in less than 50 kB, below a footer that states 400 kB: what it says is a hundredth of what it is."""
    file = submission / "samples.parquet"
    row = pq.read_table(file).slice(0, 1)
    wide = row.set_column(0, SAMPLES_SCHEMA.field("sample"), pa.array(["x" * 100_000]))
    block = pa.concat_tables([wide] * 500).combine_chunks()
    with pq.ParquetWriter(
        file, SAMPLES_SCHEMA, compression="zstd", use_dictionary=False, data_page_size=2**30, write_statistics=False
    ) as writer:
        for _ in range(4):
            writer.write_table(block)
    content = file.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    body, footer = content[: -8 - length], content[-8 - length :]
    facts = pq.read_metadata(file)
    for number in range(facts.num_row_groups):
        group = facts.row_group(number)
        for stated in (group.total_byte_size, group.column(0).total_uncompressed_size):
            footer = footer.replace(zigzag(stated), zigzag(400_000, len(zigzag(stated))))
    file.write_bytes(body + footer)
    assert len(content) < 50_000


def zigzag(value: int, length: int = 1) -> bytes:
    """Write a number as Thrift does, in at least so many bytes."""
    value, written = value << 1, b""
    while value >= 0x80 or len(written) < length - 1:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def write(pattern: str, content: bytes) -> Callable[[Path], None]:
    def written(submission: Path) -> None:
        (file,) = submission.glob(pattern)
        file.write_bytes(content)

    return written


COSTLY: dict[str, tuple[Callable[[Path], None], str]] = {
    "a million resamples": (
        lambda submission: edited(submission, bootstrap__resamples=1_000_000),
        "its intervals were made with resamples=1000000",
    ),
    "a forged parquet footer": (forged_parquet, "samples.parquet: 2000 rows of"),
    "90 KB of brackets in YAML": (write(".eval_results/benchc.yaml", b"[" * 90_000), ".eval_results/benchc.yaml: "),
    "nested keys in YAML": (write(".eval_results/benchc.yaml", b"{a: " * 40_000), ".eval_results/benchc.yaml: "),
    "dashes in YAML": (write(".eval_results/benchc.yaml", b"- " * 90_000), ".eval_results/benchc.yaml: "),
    "lists in JSON": (
        write("every_eval_ever/data/*/*/*/*.json", b"[" + b"[]," * 60_000 + b"[]]"),
        "bytes stand where at most",
    ),
    "lists in a line": (
        write("every_eval_ever/data/*/*/*/*_samples.jsonl", b"[" + b"[]," * 100_000 + b"[]]\n" * 24),
        "bytes stand where at most",
    ),
    "line ends": (write("every_eval_ever/data/*/*/*/*_samples.jsonl", b"\n" * 300_000), "it has 300000 entries where"),
    "as many samples as there may be, that are not there": (
        lambda submission: edited(submission, dataset__samples=LARGEST_SAMPLES),
        f"it has 8 samples where the dataset has {LARGEST_SAMPLES}",
    ),
    "20,000 samples": (lambda submission: edited(submission, dataset__samples=20_000), "dataset.samples: "),
}
MOST_SECONDS = 20
MOST_MEGABYTES = 400

MEASURED = textwrap.dedent(
    """
    import json, sys, time
    sys.path.insert(0, "tests")
    from submissions import QUICK
    from benchc_metrics.leaderboard.verification import verify
    for folder in json.load(sys.stdin):
        before = time.process_time()
        found = verify(folder, engine="1", bootstrap=QUICK)
        # Not ru_maxrss, which a process takes over from the one that started it.
        (peak,) = (int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(json.dumps([[str(each) for each in found.findings], time.process_time() - before, peak]), flush=True)
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_what_is_made_to_cost_costs_little(pristine: Path, tmp_path: Path) -> None:
    """In one process for all, so that the largest of its peaks is what the worst of them takes."""
    folders = []
    for number, (edit, _) in enumerate(COSTLY.values()):
        folder = shutil.copytree(pristine, tmp_path / str(number))
        edit(folder)
        with_hashes(folder)
        folders.append(str(folder))
    found = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=json.dumps(folders),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    for (name, (_, expected)), line in zip(COSTLY.items(), found.stdout.splitlines(), strict=True):
        texts, seconds, megabytes = json.loads(line)
        assert any(expected in text for text in texts), (name, texts)
        assert not any("cannot be checked" in text for text in texts), (name, texts)
        assert seconds < MOST_SECONDS, (name, seconds)
        assert megabytes < MOST_MEGABYTES, (name, megabytes)
