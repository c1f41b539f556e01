"""Build a named set into the user's cache folder on its first use; afterwards it is there without a network."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from loguru import logger
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchc_metrics.files import replace_file
from benchc_metrics.messages import quoted, reason_of
from benchc_tasks.datasets.loading import load_dataset, write_dataset
from benchc_tasks.datasets.pools import BENCHMARKS, Benchmark, PoolReport, build_pool, hub_rows, samples_of
from benchc_tasks.datasets.pools.building import DATASET_FILE
from benchc_tasks.datasets.samples import SampleDataset
from benchc_tasks.datasets.schema import DatasetError
from benchc_tasks.datasets.sets.members import SelectedSample, read_members, text_digest
from benchc_tasks.datasets.sets.names import NAMED_SETS, NamedSet

__all__ = ["SETS_VARIABLE", "SetRecord", "set_folder"]

SETS_VARIABLE = "BENCHC_SETS"
"""Environment variable of the folder that holds the sets; by default `sets` in the user's cache folder."""

RECORD_FILE = "set.json"


class _RevisionGoneError(DatasetError):
    """The hub has the dataset, and not the state of it that is asked for."""


class SetRecord(BaseModel):
    """`set.json`: what a set was built from.

    Attributes
    ----------
    schema_ : str
        `benchc.set/1`, under the key `schema`.
    name, benchmark : str
        Of the set, and the dataset on the hub that it was built from.
    revision : str or None
        The commit of that dataset; None where it is a local copy.
    licence : str or None
        As the dataset's card names it; None where the card names none.
    citation : str
        The benchmark's paper.
    samples, size : int
        How many samples the set has, and how many bytes its file.
    left_out : tuple of str
        The samples of a selected set that its benchmark no longer has.
    fingerprint : str
        Of the set.
    benchc : str
        The version that built it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    schema_: Literal["benchc.set/1"] = Field("benchc.set/1", alias="schema")
    name: str
    benchmark: str
    revision: str | None
    licence: str | None
    citation: str
    samples: int
    size: int
    left_out: tuple[str, ...] = ()
    fingerprint: str
    benchc: str

    def described(self) -> str:
        """Say in one sentence what the set is, under which licence, and what to cite."""
        at = f"@{self.revision[:12]}" if self.revision else ""
        licence = f"licence {self.licence}" if self.licence else "its card names no licence"
        without = f", {len(self.left_out)} left out that it no longer has" if self.left_out else ""
        return (
            f"set {self.name}: {self.samples:,} samples of {self.benchmark}{at}{without}; {licence}; "
            f"cite {self.citation}"
        )


def set_folder(named: NamedSet, revision: str | None = None, benchmark: Benchmark | None = None) -> Path:
    """Return the folder of a named set, built if need be.

    Parameters
    ----------
    named : NamedSet
    revision : str, optional
        A state of the benchmark on the hub; by default the commit that the set names. The commit that the name of a
        branch stands for at the first use is taken from then on.
    benchmark : Benchmark, optional
        Where the rows come from; by default the pool that the set names.

    Returns
    -------
    Path
        Holds `data.parquet`, `set.json`, and `pool.json` for all of a benchmark.

    Raises
    ------
    DatasetError
        If it cannot be built; one sentence with the cure. What an interrupted build left is not used.
    """
    revision = revision or named.revision
    root = Path(os.environ.get(SETS_VARIABLE) or user_cache_path("benchc") / "sets").expanduser()
    folder = root / f"{named.name}@{revision.replace('/', '_')}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        # The processes of one run want the same set at the same time.
        with FileLock(root / f"{folder.name}.lock"):
            record = _record_of(folder)
            if record is None:
                record = _build(named, revision, benchmark or BENCHMARKS[named.benchmark], folder)
    except OSError as error:
        raise DatasetError(
            f"set {quoted(named.name)} cannot be written to {root} ({reason_of(error)}); "
            f"name another folder in {SETS_VARIABLE}"
        ) from error
    logger.info(record.described())
    return folder


def _record_of(folder: Path) -> SetRecord | None:
    """Read the record of a set that was built; None where there is none yet."""
    if not folder.exists():
        return None
    try:
        record = SetRecord.model_validate_json((folder / RECORD_FILE).read_bytes())
        size = (folder / DATASET_FILE).stat().st_size
    except (OSError, ValidationError) as error:
        raise DatasetError(f"{folder} is not a set of this version of benchc; remove that folder") from error
    if size != record.size:
        raise DatasetError(f"{folder / DATASET_FILE} has {size:,} bytes and not {record.size:,}; remove that folder")
    return record


def _build(named: NamedSet, revision: str, benchmark: Benchmark, folder: Path) -> SetRecord:
    logger.info(f"set {named.name} is used for the first time and is built in {folder}")
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        write = _write_benchmark if named.manifest is None else _write_selected
        record = write(named, revision, benchmark, scratch / "set")
        replace_file(scratch / "set" / RECORD_FILE, record.model_dump_json(by_alias=True, indent=2) + "\n")
        (scratch / "set").rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return record


def _write_benchmark(named: NamedSet, revision: str, benchmark: Benchmark, output: Path) -> SetRecord:
    try:
        commit, licence = _facts_of_hub(benchmark.hub_id, revision)
        report = PoolReport(benchmark.hub_id)
        build_pool(samples_of(benchmark, hub_rows(benchmark, commit), report), report, output)
    except _RevisionGoneError as error:
        raise DatasetError(
            f"set {quoted(named.name)} cannot be built: {error}; put @main behind the set's name, as in "
            f"{named.name}@main, to take its newest state"
        ) from error
    except DatasetError as error:
        raise DatasetError(
            f"set {quoted(named.name)} is not on this machine yet: {error}; build it where there is a network, or set "
            f"BENCHC_DATASET to the folder that `benchc pool {named.benchmark} --from PATH -o FOLDER` makes of a copy"
        ) from error
    for reason, rows in sorted(report.left_out.items()):
        logger.info(f"set {named.name}: {len(rows):,} rows are left out: {reason}")
    return _recorded(named, benchmark.hub_id, commit, licence, load_dataset(output), output)


def _write_selected(named: NamedSet, revision: str, benchmark: Benchmark, output: Path) -> SetRecord:
    pool_folder = set_folder(NAMED_SETS[named.benchmark], revision, benchmark)
    pool_record, pool = _record_of(pool_folder), load_dataset(pool_folder)
    if pool_record is None or named.manifest is None:
        raise DatasetError(f"{pool_folder} was removed while it was read; run the command again")
    positions, left_out = _positions(named, read_members(named.manifest), pool)
    output.mkdir()
    write_dataset(output / DATASET_FILE, (_row(pool, position) for position in positions))
    return _recorded(
        named, pool_record.benchmark, pool_record.revision, pool_record.licence, load_dataset(output), output, left_out
    )


def _positions(
    named: NamedSet, members: list[SelectedSample], pool: SampleDataset
) -> tuple[list[int], tuple[str, ...]]:
    """Find the members of a set in its pool, and check that their texts are the same; return also those it lacks."""
    rows = {row["id"]: (place, row) for place, row in enumerate(pool.without_images())}
    missing = tuple(member.id for member in members if member.id not in rows)
    changed = [member.id for member in members if member.id in rows and member.text != _text_of_row(rows[member.id][1])]
    if changed or len(missing) > named.removed:
        raise DatasetError(
            f"set {quoted(named.name)} cannot be built: {len(missing)} of its {len(members)} samples are missing in "
            f"{named.benchmark} and {len(changed)} have another text, first {quoted((*missing, *changed)[0])}; for "
            f"those that are left write `benchc pool {named.benchmark} -o POOL`, `benchc select POOL --manifest "
            f"{named.name} --leave-out-changed -o FOLDER`, and set BENCHC_DATASET to FOLDER"
        )
    return sorted(rows[member.id][0] for member in members if member.id in rows), missing


def _text_of_row(row: Any) -> str:
    return text_digest(row["question"], row["options"], row["answer"])


def _row(dataset: SampleDataset, position: int) -> dict[str, Any]:
    return dict(dataset[position])


def _recorded(
    named: NamedSet,
    benchmark: str,
    revision: str | None,
    licence: str | None,
    dataset: SampleDataset,
    output: Path,
    left_out: tuple[str, ...] = (),
) -> SetRecord:
    return SetRecord(
        schema="benchc.set/1",
        name=named.name,
        benchmark=benchmark,
        revision=revision,
        licence=licence,
        citation=named.citation,
        samples=len(dataset),
        size=(output / DATASET_FILE).stat().st_size,
        left_out=left_out,
        fingerprint=dataset.fingerprint,
        benchc=version("benchc"),
    )


def _facts_of_hub(hub_id: str, revision: str) -> tuple[str | None, str | None]:
    """Ask the hub for the commit of a revision, and the licence on the dataset's card; a local copy has no commit."""
    # Slow to import, and not needed where the set is on this machine.
    from huggingface_hub import DatasetCard, HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    if Path(hub_id).is_dir():
        card = Path(hub_id) / "README.md"
        return None, _licence(vars(DatasetCard.load(card).data) if card.is_file() else {})
    try:
        info = HfApi().dataset_info(hub_id, revision=revision)
    except RevisionNotFoundError as error:
        raise _RevisionGoneError(f"{hub_id} has no revision {quoted(revision)} on the hub") from error
    # The hub is out of reach, for one of many reasons.
    except Exception as error:
        raise DatasetError(f"{hub_id} cannot be downloaded from the hub ({reason_of(error)})") from error
    return info.sha, _licence(vars(info.card_data) if info.card_data else {})


def _licence(card: dict[str, Any]) -> str | None:
    found = card.get("license")
    return ", ".join(map(str, found)) if isinstance(found, list) else found if isinstance(found, str) else None
