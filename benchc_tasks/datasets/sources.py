"""Find the files of a dataset on this machine or on the Hugging Face hub, and refuse an incomplete set."""

from __future__ import annotations

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from benchc_metrics.files import replace_file
from benchc_metrics.messages import close_to_it, quoted, reason_of
from benchc_tasks.datasets.schema import DatasetError
from benchc_tasks.datasets.sets.names import NAMED_SETS, named_set
from benchc_tasks.demonstration import DEMONSTRATION_SET

__all__ = ["SOURCE_VARIABLE", "DatasetFiles", "check_row_count", "choose_files", "find_files", "is_parquet"]

SOURCE_VARIABLE = "BENCHC_DATASET"

_HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)
_SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<count>\d{5})")
_SPLITS = frozenset(["train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation"])
_PARQUET, _JSONL = ".parquet", (".jsonl", ".jsonl.gz")
_TYPES_BESIDE = ("README.md", "dataset_infos.json")
_LISTS = "benchc"
_IMAGE_PATTERNS = ("png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff")


@dataclass(frozen=True)
class DatasetFiles:
    """The files that hold a dataset's rows.

    Attributes
    ----------
    source : str
        The name that the user gave.
    paths : tuple of Path
        All parquet, or all JSONL.
    is_demonstration : bool
        True for the bundled set.
    folder : Path
        The dataset's folder, which holds its README.
    is_hub : bool
        True if the files come from the hub or its cache.
    """

    source: str
    paths: tuple[Path, ...]
    is_demonstration: bool
    folder: Path
    is_hub: bool = False


def find_files(source: str | Path | None = None, split: str | None = None) -> DatasetFiles:
    """Find the files of a dataset, first on this machine, then on the Hugging Face hub.

    Parameters
    ----------
    source : str or Path, optional
        A folder, a parquet or JSONL file, a hub id `OWNER/NAME` or `OWNER/NAME@REVISION`, or a set by name, such as
        `mmstar`; by default the value of `BENCHC_DATASET`, else the bundled demonstration set.
    split : str, optional
        The split to use, if the file names name splits.

    Returns
    -------
    DatasetFiles
        One or more files of one kind.

    Raises
    ------
    DatasetError
        If the dataset does not exist, is incomplete, or does not determine the files.
    """
    if source is None:
        source = os.environ.get(SOURCE_VARIABLE) or DEMONSTRATION_SET
    given = str(source)
    hub = _HUB_ID.fullmatch(given)
    try:
        path = Path(source).expanduser()
        here = _files_here(path)
    # RuntimeError: the user of ~user does not exist.
    except (OSError, RuntimeError) as error:
        raise DatasetError(
            f"dataset {quoted(given)} cannot be read ({reason_of(error)}); name a readable one"
        ) from error
    if here is not None:
        folder, names = here
    elif isinstance(source, str) and (named := named_set(given)) is not None:
        # Imported here, because it imports this module.
        from benchc_tasks.datasets.sets.building import set_folder

        return replace(find_files(set_folder(*named), split), source=given)
    elif isinstance(source, str) and hub and not _is_data_file(given):
        folder, names = _fetch(hub["id"], hub["revision"], split)
    else:
        raise DatasetError(
            f"dataset {quoted(given)} does not exist; give an existing folder, parquet or JSONL file, "
            f"a hub id OWNER/NAME or OWNER/NAME@REVISION, or a set by name: {', '.join(NAMED_SETS)}"
            f"{close_to_it(path.name, [*NAMED_SETS, *_beside(path)])}"
        )
    chosen = choose_files(names, split, given)
    if not path.is_file():
        _check_shards(chosen, given)
    paths = tuple(folder / name for name in chosen)
    is_demonstration = DEMONSTRATION_SET.exists() and any(
        path.exists() and path.samefile(DEMONSTRATION_SET) for path in paths
    )
    source = "the bundled demonstration set" if is_demonstration else given
    return DatasetFiles(source, paths, is_demonstration, folder, is_hub=here is None)


def _beside(path: Path) -> list[str]:
    """List the names in the folder of a path."""
    try:
        return sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return []


def check_row_count(
    found: DatasetFiles, split: str | None, declared: Mapping[str, Mapping[str, int]], rows: int
) -> None:
    """Refuse a dataset of the hub that has fewer rows than its own files declare.

    Parameters
    ----------
    found : DatasetFiles
        Where the rows come from.
    split : str or None
        The requested split.
    declared : mapping of str to (mapping of str to int)
        For each file with a declaration, the number of rows of each split.
    rows : int
        The number of rows found.

    Raises
    ------
    DatasetError
        If there are fewer rows than the split has.
    """
    splits = {split} if split else {_split_of(path.relative_to(found.folder).as_posix()) for path in found.paths}
    for origin, counts in declared.items():
        wanted = splits if splits != {None} else set(counts)
        expected = counts.get(next(iter(wanted)) or "") if len(wanted) == 1 else None
        if expected is not None and rows < expected:
            raise DatasetError(
                f"dataset {quoted(found.source)} has {rows:,} of the {expected:,} rows that its {origin} declares; "
                "download the rest of it"
            )


def choose_files(names: Sequence[str], split: str | None, source: str) -> list[str]:
    """Choose the files that hold the rows of a split.

    Parameters
    ----------
    names : sequence of str
        Paths within the dataset, with forward slashes. Files at the top are used; if there are none, those below.
    split : str or None
        For example `test`; its files are `test.parquet`, `test-00000-of-00002.parquet` and `test/any.parquet`.
    source : str
        The dataset's name, used in errors.

    Returns
    -------
    list of str
        Sorted; all parquet, or all JSONL.

    Raises
    ------
    DatasetError
        If no file is left, or if files of two kinds or of several splits are left.
    """
    files = sorted(_at_top(names))
    if not files and any(name.endswith(".arrow") for name in names):
        raise DatasetError(
            f"dataset {quoted(source)} has Arrow files, as `save_to_disk` writes them; "
            "write it with Dataset.to_parquet('data.parquet') instead"
        )
    if not files:
        raise DatasetError(
            f"dataset {quoted(source)} has no parquet or JSONL file; put its rows in data.parquet or data.jsonl"
        )
    splits = sorted({found for name in files if (found := _split_of(name))})
    if split is not None:
        files = [name for name in files if _belongs(name, split)]
        if not files:
            cure = f"choose from {', '.join(splits)}" if splits else "its files name no splits, so name none"
            raise DatasetError(f"dataset {quoted(source)} has no split {quoted(split)}; {cure}")
    elif len(splits) > 1:
        raise DatasetError(f"dataset {quoted(source)} has the splits {', '.join(splits)}; name the one to evaluate")
    if len({is_parquet(name) for name in files}) > 1:
        raise DatasetError(
            f"dataset {quoted(source)} has both parquet and JSONL files; name the file, or keep one kind"
        )
    return files


def _at_top(names: Iterable[str]) -> list[str]:
    """Keep the data files at the top, or all data files if none is at the top."""
    files = [name for name in names if _is_data_file(name)]
    return [name for name in files if "/" not in name] or files


def _check_shards(names: Iterable[str], source: str) -> None:
    found = Counter(
        (PurePosixPath(name).parent, shard["split"], int(shard["count"]))
        for name in names
        if (shard := _SHARD.fullmatch(_stem(name)))
    )
    for (_, split, count), present in found.items():
        if present != count:
            raise DatasetError(
                f"dataset {quoted(source)} has {present} of {count} shards of {quoted(split)}; fetch the others"
            )


def is_parquet(name: str) -> bool:
    """Check by its name if a data file is parquet; otherwise it is JSONL."""
    return name.endswith(_PARQUET)


def _is_data_file(name: str) -> bool:
    return name.endswith((_PARQUET, *_JSONL))


def _stem(name: str) -> str:
    base = PurePosixPath(name).name
    return next((base.removesuffix(suffix) for suffix in (_PARQUET, *_JSONL) if base.endswith(suffix)), base)


def _files_here(path: Path) -> tuple[Path, list[str]] | None:
    """Return a folder and the names of the data files in it; None if nothing is at `path`."""
    if path.is_dir():
        return path, _data_files(path)
    return (path.parent, [path.name]) if path.exists() else None


def _data_files(folder: Path) -> list[str]:
    top = [path for path in folder.iterdir() if _is_data_file(path.name)]
    found = top or (path for path in folder.rglob("*") if _is_data_file(path.name))
    names = (path.relative_to(folder) for path in found)
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _split_of(name: str) -> str | None:
    shard = _SHARD.fullmatch(_stem(name))
    if shard and shard["split"] != "data":
        return shard["split"]
    folders = reversed(PurePosixPath(name).parent.parts)
    return next((part for part in (_stem(name), *folders) if part in _SPLITS), None)


def _belongs(name: str, split: str) -> bool:
    return split in (_split_of(name), _stem(name), *PurePosixPath(name).parent.parts)


def _fetch(repository: str, revision: str | None, split: str | None) -> tuple[Path, list[str]]:
    """Download the files that a split needs, or find them in the cache if the hub cannot be reached."""
    # Slow to import, and not needed for local data.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    source = _hub_name(repository, revision)
    try:
        commit = HfApi().dataset_info(repository, revision=revision).sha
        listed = HfApi().list_repo_files(repository, revision=commit or revision, repo_type="dataset")
        names = choose_files(listed, split, source)
        # Kept before the download, which may be interrupted.
        _keep_list(repository, commit, listed)
        folder = Path(
            snapshot_download(repository, revision=revision, repo_type="dataset", allow_patterns=_patterns(names))
        )
    except DatasetError:
        raise
    except GatedRepoError as error:
        raise DatasetError(
            f"dataset {quoted(source)} is gated; accept its terms on the hub and run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise DatasetError(
            f"dataset {quoted(source)} is neither on this machine nor on the hub; "
            "correct the path or the id, or run `hf auth login` if it is private"
        ) from error
    except RevisionNotFoundError as error:
        raise DatasetError(
            f"dataset {quoted(repository)} has no revision {quoted(revision)}; name a branch, tag or commit"
        ) from error
    # The hub cannot be reached, for one of many reasons; the cache may be enough.
    except Exception as error:
        return _find_in_cache(repository, revision, split, error)
    _check_presence(folder, _needed(listed, names), source, "its download was interrupted")
    return folder, names


def _find_in_cache(
    repository: str, revision: str | None, split: str | None, reason: Exception
) -> tuple[Path, list[str]]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    source = _hub_name(repository, revision)
    why = f"the hub is out of reach ({type(reason).__name__})"
    try:
        # No pattern: versions of the client detect missing files in different ways, so we check ourselves.
        folder = Path(
            snapshot_download(
                repository, revision=revision, repo_type="dataset", allow_patterns=[], local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        raise _incomplete(source, why, []) from reason
    listed = _kept_list(repository, folder)
    if listed is None:
        return folder, _data_files(folder)
    names = _at_top(listed) if split is None else choose_files(listed, split, source)
    _check_presence(folder, _needed(listed, names), source, why)
    return folder, names


def _needed(listed: Iterable[str], names: Sequence[str]) -> list[str]:
    """List data files together with the files that they need: types, and images for JSONL."""
    beside = [name for name in listed if name in _TYPES_BESIDE or (_names_images(names) and _is_image(name))]
    return [*names, *beside]


def _check_presence(folder: Path, names: Iterable[str], source: str, why: str) -> None:
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise _incomplete(source, why, missing)


def _incomplete(source: str, why: str, missing: Sequence[str]) -> DatasetError:
    more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
    lacks = f": it lacks {quoted(missing[0])}{more}" if missing else ""
    return DatasetError(
        f"dataset {quoted(source)} is not complete on this machine and {why}{lacks}; correct the path, or download it "
        "once with a network: it then loads offline from the hub's cache"
    )


def _keep_list(repository: str, commit: str | None, listed: Sequence[str]) -> None:
    """Store the names of a commit's files, because older versions of the client do not and accept incomplete sets."""
    if commit is None:
        return
    try:
        replace_file(_list_path(repository, commit), json.dumps(sorted(listed)))
    # A read-only cache will not change, so it needs no list.
    except OSError:
        return


def _kept_list(repository: str, snapshot: Path) -> list[str] | None:
    try:
        return list(json.loads(_list_path(repository, snapshot.name).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return _list_of_client(repository, snapshot.name)


def _list_of_client(repository: str, commit: str) -> list[str] | None:
    """Return the list of files that newer versions of the client keep."""
    try:
        from huggingface_hub import get_cached_repo_tree

        tree = get_cached_repo_tree(repository, repo_type="dataset", revision=commit)
        return [str(entry.path) for entry in tree]
    # The function or the list does not exist.
    except Exception:
        return None


def _list_path(repository: str, commit: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=repository, repo_type="dataset")
    return Path(constants.HF_HUB_CACHE) / folder / _LISTS / f"{commit}.json"


def _hub_name(repository: str, revision: str | None) -> str:
    return f"{repository}@{revision}" if revision else repository


def _patterns(names: Sequence[str]) -> list[str]:
    images = [f"*.{suffix}" for suffix in (*_IMAGE_PATTERNS, *map(str.upper, _IMAGE_PATTERNS)) if _names_images(names)]
    return [*map(glob.escape, names), *_TYPES_BESIDE, *images]


def _names_images(names: Iterable[str]) -> bool:
    return any(name.endswith(_JSONL) for name in names)


def _is_image(name: str) -> bool:
    return name.rpartition(".")[2].lower() in _IMAGE_PATTERNS
