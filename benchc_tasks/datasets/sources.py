"""From the name of a dataset to its files on this machine."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchc_tasks.datasets.schema import DatasetError, reason_of
from benchc_tasks.demonstration import DEMONSTRATION_SET

__all__ = ["SOURCE_VARIABLE", "DatasetFiles", "choose_files", "find_files"]

SOURCE_VARIABLE = "BENCHC_DATASET"

_HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)
_SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<count>\d{5})")
_SPLITS = frozenset(["train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation"])
_IMAGE_PATTERNS = ("png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff")


@dataclass(frozen=True)
class DatasetFiles:
    """The files that hold a dataset's rows.

    Attributes
    ----------
    source : str
        What a person called it.
    paths : tuple of Path
        All parquet, or all JSONL.
    is_demonstration : bool
        Whether it is the bundled set.
    """

    source: str
    paths: tuple[Path, ...]
    is_demonstration: bool


def find_files(source: str | Path | None = None, split: str | None = None) -> DatasetFiles:
    """Find the files of a dataset; what exists on this machine goes before what may be on the Hugging Face hub.

    Parameters
    ----------
    source : str or Path, optional
        A folder, a parquet or JSONL file, or a hub id `OWNER/NAME` or `OWNER/NAME@REVISION`; by default what
        `BENCHC_DATASET` says, else the bundled demonstration set.
    split : str, optional
        The split to take, for a source whose files name splits.

    Returns
    -------
    DatasetFiles
        One or more files of one kind.

    Raises
    ------
    DatasetError
        If there is no such dataset, it lacks a shard, or it leaves open which files are meant.
    """
    if source is None:
        source = os.environ.get(SOURCE_VARIABLE) or DEMONSTRATION_SET
    given = str(source)
    hub = _HUB_ID.fullmatch(given)
    try:
        path = Path(source).expanduser()
        here = _files_here(path)
    # RuntimeError: there is no such user as in ~user.
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"dataset {given!r} cannot be read ({reason_of(error)}); name one that can be") from error
    if here is not None:
        folder, names = here
    elif isinstance(source, str) and hub and not _is_data_file(given):
        folder, names = _fetch(hub["id"], hub["revision"], split)
    else:
        raise DatasetError(
            f"dataset {given!r} does not exist; give an existing folder, parquet or JSONL file, "
            "or a hub id OWNER/NAME or OWNER/NAME@REVISION"
        )
    chosen = choose_files(names, split, given)
    if not path.is_file():
        _check_shards(chosen, given)
    paths = tuple(folder / name for name in chosen)
    is_demonstration = DEMONSTRATION_SET.exists() and any(
        path.exists() and path.samefile(DEMONSTRATION_SET) for path in paths
    )
    return DatasetFiles("the bundled demonstration set" if is_demonstration else given, paths, is_demonstration)


def choose_files(names: Sequence[str], split: str | None, source: str) -> list[str]:
    """Choose the files that hold the rows of a split.

    Parameters
    ----------
    names : sequence of str
        Paths within the dataset, with forward slashes. Those at its top are taken, or if none is there, those below.
    split : str or None
        As `test`: `test.parquet`, `test-00000-of-00002.parquet` and `test/any.parquet` belong to it.
    source : str
        The dataset's name for the error's sentence.

    Returns
    -------
    list of str
        Sorted; all parquet, or all JSONL.

    Raises
    ------
    DatasetError
        If nothing is left, or files of two kinds or several splits are.
    """
    files = sorted(name for name in names if _is_data_file(name))
    files = [name for name in files if "/" not in name] or files
    if not files:
        raise DatasetError(
            f"dataset {source!r} has no parquet or JSONL file; put its rows in data.parquet or data.jsonl"
        )
    splits = sorted({found for name in files if (found := _split_of(name))})
    if split is not None:
        files = [name for name in files if _belongs(name, split)]
        if not files:
            cure = f"choose from {', '.join(splits)}" if splits else "its files name no splits, so name none"
            raise DatasetError(f"dataset {source!r} has no split {split!r}; {cure}")
    elif len(splits) > 1:
        raise DatasetError(f"dataset {source!r} has the splits {', '.join(splits)}; name the one to evaluate")
    if len({PurePosixPath(name).suffix for name in files}) > 1:
        raise DatasetError(f"dataset {source!r} has both parquet and JSONL files; name the file, or keep one kind")
    return files


def _check_shards(names: Iterable[str], source: str) -> None:
    found = Counter(
        (PurePosixPath(name).parent, shard["split"], int(shard["count"]))
        for name in names
        if (shard := _SHARD.fullmatch(PurePosixPath(name).stem))
    )
    for (_, split, count), present in found.items():
        if present != count:
            raise DatasetError(f"dataset {source!r} has {present} of {count} shards of {split!r}; fetch the others")


def _is_data_file(name: str) -> bool:
    return name.endswith((".parquet", ".jsonl"))


def _files_here(path: Path) -> tuple[Path, list[str]] | None:
    """Return a folder and the names of the data files in it; None if nothing is at `path`."""
    if path.is_dir():
        return path, _data_files(path)
    return (path.parent, [path.name]) if path.exists() else None


def _data_files(folder: Path) -> list[str]:
    top = [path for path in folder.iterdir() if _is_data_file(path.name)]
    found = top or (path for pattern in ("*.parquet", "*.jsonl") for path in folder.rglob(pattern))
    names = (path.relative_to(folder) for path in found)
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _split_of(name: str) -> str | None:
    path = PurePosixPath(name)
    shard = _SHARD.fullmatch(path.stem)
    if shard and shard["split"] != "data":
        return shard["split"]
    return next((part for part in (path.stem, *reversed(path.parent.parts)) if part in _SPLITS), None)


def _belongs(name: str, split: str) -> bool:
    path = PurePosixPath(name)
    return split in (_split_of(name), path.stem, *path.parent.parts)


def _fetch(repository: str, revision: str | None, split: str | None) -> tuple[Path, list[str]]:
    """Download what a split needs, or find it in the cache if the hub is out of reach."""
    # Slow to import, and of no use to those whose data are on this machine.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    source = _hub_name(repository, revision)
    try:
        names = choose_files(HfApi().list_repo_files(repository, revision=revision, repo_type="dataset"), split, source)
        folder = snapshot_download(repository, revision=revision, repo_type="dataset", allow_patterns=_patterns(names))
        return Path(folder), names
    except DatasetError:
        raise
    except GatedRepoError as error:
        raise DatasetError(
            f"dataset {source!r} is gated; accept its terms on the hub and run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise DatasetError(
            f"dataset {source!r} is neither on this machine nor on the hub; "
            "correct the path or the id, or run `hf auth login` if it is private"
        ) from error
    except RevisionNotFoundError as error:
        raise DatasetError(
            f"dataset {repository!r} has no revision {revision!r}; name a branch, tag or commit"
        ) from error
    # Whatever keeps the hub out of reach, of which the kinds are many: the cache may do.
    except Exception as error:
        return _find_in_cache(repository, revision, split, error)


def _find_in_cache(
    repository: str, revision: str | None, split: str | None, reason: Exception
) -> tuple[Path, list[str]]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    source = _hub_name(repository, revision)
    # The client's newer versions want all that the patterns match, and without a split that is every data file; with
    # one, `choose_files` sees whether its shards are there.
    wanted = ["*.parquet", "*.jsonl"] if split is None else []
    try:
        folder = snapshot_download(
            repository, revision=revision, repo_type="dataset", allow_patterns=wanted, local_files_only=True
        )
    except LocalEntryNotFoundError:
        raise DatasetError(
            f"dataset {source!r} is not wholly on this machine and the hub is out of reach ({type(reason).__name__}); "
            "correct the path, or download it once with a network: it then loads offline from the hub's cache"
        ) from reason
    return Path(folder), _data_files(Path(folder))


def _hub_name(repository: str, revision: str | None) -> str:
    return f"{repository}@{revision}" if revision else repository


def _patterns(names: Iterable[str]) -> list[str]:
    exact = [glob.escape(name) for name in names]
    needs_files = any(name.endswith(".jsonl") for name in names)
    return exact + [f"*.{suffix}" for suffix in (*_IMAGE_PATTERNS, *map(str.upper, _IMAGE_PATTERNS)) if needs_files]
