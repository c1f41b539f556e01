"""Read the types that Hugging Face `datasets` stores beside the data; they hold the names of class labels.

`datasets` itself can read them, but takes seconds to import and refuses types that a newer version wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchc_metrics.messages import quoted
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["Declaration", "UnnamedLabel", "class_names", "declared_beside", "features_of_schema", "label_decoder"]

Feature = Any
"""A type in the JSON of `datasets`: `{"_type": ...}`, a list of one type, or a mapping from names to types."""

_INFO_FILES = ("dataset_infos.json", "dataset_info.json")
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class UnnamedLabel:
    """A class label whose number has no name.

    Attributes
    ----------
    code : int
        The number.
    count : int
        The number of names.
    """

    code: int
    count: int


@dataclass(frozen=True)
class Declaration:
    """Types and numbers of rows that the files beside the data declare.

    Attributes
    ----------
    features : mapping
        From a column to its type.
    rows : mapping of str to int
        From a split to its number of rows.
    origin : str
        The file with the declaration.
    """

    features: Mapping[str, Feature] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    origin: str = ""


def features_of_schema(metadata: Mapping[bytes, bytes] | None, file: str) -> dict[str, Feature]:
    """Read the types in the metadata of a parquet or Arrow schema.

    Parameters
    ----------
    metadata : mapping of bytes to bytes, or None
        The schema's metadata; only its entry `huggingface` is used.
    file : str
        The file's name, used in errors.

    Returns
    -------
    dict
        From a column to its type; empty without such an entry.

    Raises
    ------
    DatasetError
        If the entry cannot be read although it names class labels.
    """
    written = (metadata or {}).get(b"huggingface", b"")
    try:
        return _features_of_json(json.loads(written)["info"]) if written else {}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        if b"ClassLabel" not in written:
            return {}
        raise DatasetError(f"{file} has class labels whose names cannot be read; write it again") from error


def declared_beside(file: Path, root: Path) -> Declaration:
    """Read the declaration beside a data file: the front matter of a README.md, or a `dataset_infos.json`.

    Parameters
    ----------
    file : Path
        The data file; the search begins in its folder.
    root : Path
        The dataset's folder; the search ends here.

    Returns
    -------
    Declaration
        The declaration of the nearest folder that has one; else empty.

    Raises
    ------
    DatasetError
        If the file names class labels and cannot be read, or if its configurations contradict each other.
    """
    for folder in _folders(file.parent, root):
        for name, read in (("README.md", _infos_of_readme), *((name, _infos_of_json) for name in _INFO_FILES)):
            path = folder / name
            if path.is_file() and (infos := _infos(path, read)):
                return _choose(infos, file.relative_to(folder), name)
    return Declaration()


def class_names(feature: Feature) -> tuple[str, ...] | None:
    """Return the names of a class label; None for any other type."""
    if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        if isinstance(names, Sequence) and not isinstance(names, str):
            return tuple(map(str, names))
        return tuple(map(str, range(int(feature.get("num_classes") or 0))))
    return None


def label_decoder(feature: Feature) -> Callable[[Any], Any] | None:
    """Return a function that replaces numbers of class labels by their names, at any depth of a value.

    Returns
    -------
    callable or None
        From a value to the value with names. -1 becomes None, any other number without a name becomes an
        `UnnamedLabel`, and a value that is not a number stays. None if the type has no class label.
    """
    names = class_names(feature)
    if names is not None:
        return lambda value: _name(value, names)
    if isinstance(feature, (list, tuple)) and len(feature) == 1:
        return _of_entries(label_decoder(feature[0]))
    if not isinstance(feature, Mapping):
        return None
    if isinstance(feature.get("_type"), str):
        inner = label_decoder(feature.get("feature"))
        return _of_entries(inner) if inner else None
    return _of_struct({name: label_decoder(kind) for name, kind in feature.items()})


def _name(value: Any, names: Sequence[str]) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == -1:
        return None
    return names[value] if 0 <= value < len(names) else UnnamedLabel(value, len(names))


def _of_entries(decode: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    def decode_entries(value: Any) -> Any:
        assert decode is not None
        if isinstance(value, list):
            return [decode(entry) for entry in value]
        # A sequence of structs is stored as a struct of lists.
        if isinstance(value, dict):
            rows = [decode({name: entries[row] for name, entries in value.items()}) for row in range(_length(value))]
            return {name: [row[name] for row in rows] for name in value}
        return value

    return decode_entries if decode else None


def _length(columns: Mapping[str, Any]) -> int:
    return min((len(entries) for entries in columns.values() if isinstance(entries, list)), default=0)


def _of_struct(decoders: Mapping[str, Callable[[Any], Any] | None]) -> Callable[[Any], Any] | None:
    found = {name: decode for name, decode in decoders.items() if decode}

    def decode_struct(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: found[name](entry) if name in found else entry for name, entry in value.items()}

    return decode_struct if found else None


def _folders(nearest: Path, root: Path) -> list[Path]:
    folders = [nearest, *nearest.parents]
    # A repository has its README above its folder `data`.
    last = root.parent if root.name == "data" else root
    return folders[: folders.index(last) + 1] if last in folders else [nearest]


Infos = dict[str, dict[str, Any]]
"""A mapping from a configuration's name to its `features` and the `rows` of its splits."""


def _infos(path: Path, read: Callable[[str], Infos]) -> Infos:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    try:
        return read(text)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if "ClassLabel" not in text and "class_label" not in text:
            return {}
        raise DatasetError(
            f"{path.name} beside the data names class labels and cannot be read; correct it, or leave it out"
        ) from error


def _infos_of_readme(text: str) -> Infos:
    import yaml

    front = _FRONT_MATTER.match(text)
    if front is None or "dataset_info" not in front[1]:
        return {}
    try:
        written = yaml.load(front[1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["dataset_info"]
    except yaml.YAMLError as error:
        raise ValueError("the front matter is not YAML") from error
    infos = written if isinstance(written, list) else [written]
    return {
        str(info.get("config_name", "default")): {
            "features": _struct_of_yaml(info.get("features") or []),
            "rows": _rows_of_splits(info.get("splits") or []),
        }
        for info in infos
    }


def _infos_of_json(text: str) -> Infos:
    written = json.loads(text)
    # One file holds a mapping of configurations, the other one configuration.
    infos = {"default": written} if "features" in written else written
    return {
        name: {"features": _features_of_json(info), "rows": _rows_of_splits((info.get("splits") or {}).values())}
        for name, info in infos.items()
    }


def _features_of_json(info: Mapping[str, Any]) -> dict[str, Feature]:
    return dict(info.get("features") or {})


def _rows_of_splits(splits: Any) -> dict[str, int]:
    return {split["name"]: split["num_examples"] for split in splits if isinstance(split.get("num_examples"), int)}


def _struct_of_yaml(columns: Sequence[Mapping[str, Any]]) -> dict[str, Feature]:
    return {str(column["name"]): _feature_of_yaml(column) for column in columns}


def _feature_of_yaml(written: Any) -> Feature:
    """Convert a type from a README's form to the JSON form."""
    if isinstance(written, list):
        return _struct_of_yaml(written)
    if not isinstance(written, Mapping):
        return {"dtype": written, "_type": "Value"}
    if "class_label" in written:
        return {"names": _names_of_yaml(written["class_label"]), "_type": "ClassLabel"}
    for key in ("sequence", "list", "large_list"):
        if key in written:
            return {"feature": _feature_of_yaml(written[key]), "_type": "Sequence"}
    return _feature_of_yaml(written["struct"] if "struct" in written else written.get("dtype"))


def _names_of_yaml(label: Mapping[str, Any]) -> list[str]:
    names = label["names"]
    if isinstance(names, Mapping):
        return [str(names[code]) for code in sorted(names, key=int)]
    return list(map(str, names))


def _choose(infos: Infos, file: Path, origin: str) -> Declaration:
    """Choose the configuration of a data file by the folders and the name of the file."""
    parts = {*file.parts, file.name.partition(".")[0]}
    named = [name for name in infos if name in parts]
    chosen = [infos[name] for name in (named if len(named) == 1 else infos)]
    features: dict[str, Feature] = {}
    for info in chosen:
        for column, feature in info["features"].items():
            if features.setdefault(column, feature) != feature and (
                label_decoder(feature) or label_decoder(features[column])
            ):
                raise DatasetError(
                    f"{origin} gives the column {quoted(column)} different class labels in its configurations "
                    f"{', '.join(infos)}; put each configuration into a folder with its name"
                )
    return Declaration(features, chosen[0]["rows"] if len(chosen) == 1 else {}, origin)
