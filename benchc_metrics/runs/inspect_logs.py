"""Read the records of inspect_ai's logs without inspect_ai; a log holds the header and the samples of one evaluation.

A log is a ZIP file (`.eval`) with a JSON file for the header and one for each sample, or a single JSON file. Its entries
are compressed with Zstandard, which Python's own `zipfile` supports from 3.14 on.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchc_metrics.records import RECORD_KEY, SampleRecord

__all__ = ["InspectLog", "is_inspect_log", "model_of_inspect_log", "read_inspect_log"]

ZSTANDARD = 93
LOCAL_HEADER = 30
LARGEST_ENTRY = 1 << 30
"""The largest entry in bytes, unpacked; a sample takes some kB, and some MB with its pictures."""


@dataclass(frozen=True)
class InspectLog:
    """The parts of a log that a run needs.

    Attributes
    ----------
    path : Path
    facts : mapping
        The content of an equivalent lmms-eval results file.
    records : tuple of SampleRecord
        In the order of the samples' ids.
    gaps : tuple of str
        Missing parts, one sentence each.
    notes : tuple of str
        Parts left out, one sentence each.
    """

    path: Path
    facts: Mapping[str, Any]
    records: tuple[SampleRecord, ...]
    gaps: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model's name in inspect_ai."""
        return str(self.facts["config"]["model"])

    @property
    def date(self) -> str:
        """The start of the evaluation."""
        return str(self.facts["date"])


def is_inspect_log(path: Path) -> bool:
    """Check by its suffix, or by the first keys of a JSON file, if a file is a log of inspect_ai."""
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"eval_id"' in file.read(2048)


def read_inspect_log(path: Path) -> InspectLog:
    """Read a log.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it cannot be read, or has no record of Bench-C; one sentence that names the file.
    """
    try:
        header, samples = _read_zip(path) if path.suffix == ".eval" else _read_json(path)
        described = header["eval"]
        named = str(described["model"])
        asked = described.get("dataset", {}).get("sample_ids") or []
        metadata = described.get("metadata") or {}
        facts = {
            "config": {"model": named, "model_args": described.get("model_args") or {}},
            "configs": {str(described["task"]): {"metadata": metadata}},
            "n-samples": {str(described["task"]): {"original": described.get("dataset", {}).get("samples")}},
            "date": described.get("created"),
            "stack": "inspect_ai",
            "stack_version": (described.get("packages") or {}).get("inspect_ai"),
        }
    except FileNotFoundError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OSError, zipfile.BadZipFile, pa.ArrowException) as fault:
        raise ValueError(f"{path} is not a complete log of inspect_ai ({fault}): was the evaluation interrupted?") from None
    if not {"dataset", "engine"} <= metadata.keys():
        raise ValueError(f"{path} is a log of another task: give one of benchc/benchc")
    first = [sample for sample in samples if sample.get("epoch", 1) == 1]
    records = sorted(_records(path, first), key=lambda record: record.sample)
    notes = [f"{path.name} has several epochs; the first one was read."] if len(first) < len(samples) else []
    missing = len(asked) - len(records)
    gaps = [f"{path.name} has {len(records)} of its {len(asked)} samples."] if missing > 0 else []
    return InspectLog(path, facts, tuple(records), tuple(gaps), tuple(notes))


def model_of_inspect_log(path: Path) -> str:
    """Return the model of a log; empty if it cannot be read, which `read_inspect_log` reports."""
    try:
        if path.suffix == ".eval":
            with path.open("rb") as file, zipfile.ZipFile(file) as archive:
                header = _entry(archive, file, "_journal/start.json")
        else:
            header, _ = _read_json(path)
        return str(header["eval"]["model"])
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile, pa.ArrowException):
        return ""


def _records(path: Path, samples: list[Mapping[str, Any]]) -> Iterator[SampleRecord]:
    for sample in samples:
        written = (sample.get("metadata") or {}).get(RECORD_KEY)
        # A failed sample has no record, and counts as a gap.
        if written is None:
            continue
        try:
            yield SampleRecord.from_json_dict(written)
        except ValueError as fault:
            raise ValueError(f"{path}: {fault}") from None


def _read_json(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    header = json.loads(path.read_text(encoding="utf-8"))
    return header, list(header.get("samples") or [])


def _read_zip(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        # A killed run has only the header from its start.
        header = _entry(archive, file, "header.json" if "header.json" in names else "_journal/start.json")
        samples = [_entry(archive, file, name) for name in names if name.startswith("samples/")]
    return header, samples


def _entry(archive: zipfile.ZipFile, file: Any, name: str) -> Any:
    entry = archive.getinfo(name)
    if entry.file_size > LARGEST_ENTRY:
        raise ValueError(f"its entry {name} has {entry.file_size:,} bytes")
    if entry.compress_type != ZSTANDARD:
        return json.loads(archive.read(name))
    file.seek(entry.header_offset)
    head = file.read(LOCAL_HEADER)
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    packed = pa.BufferReader(file.read(entry.compress_size))
    # Never unpack more than the size that the entry declares.
    return json.loads(pa.CompressedInputStream(packed, "zstd").read(entry.file_size))
