"""Define the columns of a sample, and check everything in them except the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchc_metrics.messages import quoted, reason_of
from benchc_tasks.datasets.options import ABSENT_TEXTS, ANSWER_CURE

__all__ = [
    "IMAGE_COLUMN",
    "MAX_OPTIONS",
    "MIN_OPTIONS",
    "REQUIRED_COLUMNS",
    "SAMPLE_SCHEMA",
    "DatasetError",
    "Fault",
    "Unreadable",
    "check_samples",
    "columns_of_rows",
    "columns_of_table",
    "missing_columns",
    "raise_first",
    "reason_of",
    "repeated_columns",
    "sample_name",
]

MIN_OPTIONS = 2
MAX_OPTIONS = 26
IMAGE_COLUMN = "image"
REQUIRED_COLUMNS = ("id", IMAGE_COLUMN, "question", "options", "answer")

SAMPLE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.int64()),
        ("source", pa.string()),
        ("category", pa.string()),
    ]
)

_CURES = {
    "id": "give a string",
    "question": "give a string",
    "options": "give a list of strings",
    "answer": ANSWER_CURE,
    "source": "give a string, or leave it out",
    "category": "give a string, or leave it out",
}


class DatasetError(ValueError):
    """Raised when a dataset is refused; the message is one sentence that names the place and the cure."""


@dataclass(frozen=True)
class Unreadable:
    """Replace a value that could not be read.

    Attributes
    ----------
    text : str
        The reason and the cure, written after the row's name.
    """

    text: str


def sample_name(identifier: object) -> str:
    """Name a sample in a message.

    Examples
    --------
    >>> sample_name("kitchen-1")
    "sample 'kitchen-1'"
    """
    return f"sample {quoted(identifier)}"


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of one row.

    Attributes
    ----------
    row : int
        The row's number in the dataset, from 0; -1 for a fault of a whole file.
    column : str
        The faulty column.
    text : str
        The fault and its cure, written after the row's name.
    """

    row: int
    column: str
    text: str


def raise_first(faults: Iterable[Fault], name_row: Callable[[int], str]) -> None:
    """Raise the first fault in the order of the rows, with the number of the others.

    Parameters
    ----------
    faults : iterable of Fault
        In any order.
    name_row : callable
        From a row's number to a name that helps a user find it: its id, or file and line.

    Raises
    ------
    DatasetError
        If there is any fault.
    """
    ordered = sorted(faults)
    if not ordered:
        return
    more = len(ordered) - 1
    others = f" ({more} more {'fault' if more == 1 else 'faults'} in this dataset)" if more else ""
    raise DatasetError(f"{name_row(ordered[0].row)}: {ordered[0].text}{others}")


def missing_columns(columns: Iterable[str]) -> list[Fault]:
    """List the required columns that are not among `columns`.

    Returns
    -------
    list of Fault
        One for each missing column.
    """
    present = set(columns)
    return [
        Fault(-1, name, f"the column `{name}` is missing; a dataset needs the columns {', '.join(REQUIRED_COLUMNS)}")
        for name in REQUIRED_COLUMNS
        if name not in present
    ]


def repeated_columns(columns: Iterable[str]) -> list[Fault]:
    """List the columns of `SAMPLE_SCHEMA` that occur more than once.

    Returns
    -------
    list of Fault
        One for each such column.
    """
    counts = Counter(columns)
    return [
        Fault(-1, name, f"the column `{name}` occurs {counts[name]} times; keep one of them")
        for name in [*SAMPLE_SCHEMA.names, IMAGE_COLUMN]
        if counts[name] > 1
    ]


def columns_of_table(table: pa.Table) -> tuple[pa.Table, list[Fault]]:
    """Convert the columns of a parquet table, except its image, to `SAMPLE_SCHEMA`.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        The columns as stored; strings and lists may be of any of Arrow's string and list types.

    Returns
    -------
    table : pyarrow.Table of n rows
        In `SAMPLE_SCHEMA`; a column of the wrong type is all null.
    faults : list of Fault
        One for each column of the wrong type, and one for each forbidden null.
    """
    columns, faults = [], []
    for field in SAMPLE_SCHEMA:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        if _holds(column.type, field.type):
            columns.append(_cast(column, field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
            faults.append(Fault(0, field.name, f"its `{field.name}` is of type {column.type}; {_CURES[field.name]}"))
    typed = pa.table(columns, schema=SAMPLE_SCHEMA)
    wrong = {fault.column for fault in faults}
    return typed, faults + [fault for fault in _null_faults(typed) if fault.column not in wrong]


def columns_of_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, list[Fault]]:
    """Convert rows of Python values, as JSON gives them, to `SAMPLE_SCHEMA`.

    Parameters
    ----------
    rows : sequence of n mappings
        From column to value; the image is ignored.

    Returns
    -------
    table : pyarrow.Table of n rows
        In `SAMPLE_SCHEMA`; a value of the wrong type is null.
    faults : list of Fault
        One for each value of the wrong type, and one for each forbidden null.
    """
    columns, faults = [], []
    for field in SAMPLE_SCHEMA:
        values = [row.get(field.name) for row in rows]
        problems = ((number, _value_problem(field.name, value)) for number, value in enumerate(values))
        wrong = [Fault(number, field.name, problem) for number, problem in problems if problem]
        for fault in wrong:
            values[fault.row] = None
        columns.append(pa.array(values, field.type))
        faults += wrong
    typed = pa.table(columns, schema=SAMPLE_SCHEMA)
    explained = {(fault.row, fault.column) for fault in faults}
    return typed, faults + [fault for fault in _null_faults(typed) if (fault.row, fault.column) not in explained]


def check_samples(table: pa.Table, name_place: Callable[[int], str]) -> list[Fault]:
    """List the faults of samples' values, except nulls, which the functions that read columns report.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        The samples in `SAMPLE_SCHEMA`.
    name_place : callable
        From a row's number to its place in a file. The fault of a duplicate id names the first row with that id.

    Returns
    -------
    list of Fault
        In no particular order.
    """
    table = table.combine_chunks()
    return [
        *_id_faults(table["id"], name_place),
        *_question_faults(table["question"]),
        *_option_faults(table["options"]),
        *_answer_faults(table["answer"], table["options"]),
    ]


def _holds(stored: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_null(stored):
        return True
    if pa.types.is_dictionary(stored):
        return _holds(stored.value_type, wanted)
    if pa.types.is_list(wanted):
        return _is_list(stored) and _holds(stored.value_type, wanted.value_type)
    if pa.types.is_integer(wanted):
        return bool(pa.types.is_integer(stored))
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored))


def _is_list(stored: pa.DataType) -> bool:
    return bool(pa.types.is_list(stored) or pa.types.is_large_list(stored) or pa.types.is_fixed_size_list(stored))


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_uint64(column.type):
        # An index beyond int64 is out of range anyway, so any other index out of range may replace it.
        column = pc.min_element_wise(column, pa.scalar(2**63 - 1, pa.uint64()), skip_nulls=False)
    return column.cast(wanted)


def _value_problem(column: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Unreadable):
        return value.text
    if column == "options":
        return _options_problem(value)
    if column == "answer":
        return _answer_problem(value)
    if not isinstance(value, str):
        return f"its `{column}` is {quoted(value)}, not a string; {_CURES[column]}"
    return (
        None if _is_utf8(value) else f"its `{column}` holds half a surrogate pair; {_CURES[column]} of whole characters"
    )


def _options_problem(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return f"its `options` are {quoted(value)}, not a list; {_CURES['options']}"
    for option in value:
        if isinstance(option, Unreadable):
            return option.text
        if option is not None and not isinstance(option, str):
            return f"its `options` hold {quoted(option)}, not a string; {_CURES['options']}"
        if option is not None and not _is_utf8(option):
            return f"its `options` hold half a surrogate pair; {_CURES['options']} of whole characters"
    return None


def _answer_problem(value: Any) -> str | None:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        return f"its `answer` is {quoted(value)}, not an integer; {ANSWER_CURE}"
    if not -(2**63) <= value < 2**63:
        return f"its `answer` {quoted(int(value))} is out of range; {ANSWER_CURE}"
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows(mask: pa.ChunkedArray) -> list[int]:
    found: list[int] = np.flatnonzero(pc.fill_null(mask, False).to_numpy()).tolist()
    return found


def _null_faults(table: pa.Table) -> Iterator[Fault]:
    for name in REQUIRED_COLUMNS:
        if name != IMAGE_COLUMN:
            for row in _rows(pc.is_null(table[name])):
                yield Fault(row, name, f"it has no `{name}`; {_CURES[name]}")


def _id_faults(ids: pa.ChunkedArray, name_place: Callable[[int], str]) -> Iterator[Fault]:
    first_seen: dict[str, int] = {}
    for row, sample in enumerate(ids.to_pylist()):
        if sample is None:
            continue
        if not sample or sample != sample.strip() or not sample.isprintable():
            yield Fault(
                row,
                "id",
                f"its `id` is {quoted(sample)}; "
                "give one or more printable characters, without a space at the start or the end",
            )
        elif first_seen.setdefault(sample, row) != row:
            yield Fault(
                row,
                "id",
                f"its `id` is also that of {name_place(first_seen[sample])}; give each sample a different id",
            )


def _is_blank(texts: pa.Array) -> pa.Array:
    return pc.equal(pc.utf8_trim_whitespace(texts), "")


def _question_faults(questions: pa.ChunkedArray) -> Iterator[Fault]:
    for row in _rows(_is_blank(questions)):
        yield Fault(row, "question", "its `question` is empty; give the question's text")


def _option_faults(options: pa.ChunkedArray) -> Iterator[Fault]:
    counts = pc.list_value_length(options)
    for row in _rows(pc.or_(pc.less(counts, MIN_OPTIONS), pc.greater(counts, MAX_OPTIONS))):
        yield Fault(
            row,
            "options",
            f"it has {counts[row].as_py()} option{'' if counts[row].as_py() == 1 else 's'}; "
            f"give {MIN_OPTIONS} to {MAX_OPTIONS}",
        )
    flat = pa.table({"row": pc.list_parent_indices(options), "option": pc.list_flatten(options)})
    # For a model, two options that differ only in the white space around them are the same.
    flat = flat.set_column(1, "option", pc.utf8_trim_whitespace(flat["option"]))
    is_absent = pc.is_in(flat["option"], value_set=pa.array([*ABSENT_TEXTS, None], pa.string()))
    absent = flat.filter(is_absent)
    is_nan = dict(zip(absent["row"].to_pylist(), pc.equal(absent["option"], "nan").to_pylist(), strict=True))
    for row in sorted(is_nan):
        nan = " ('nan', which pandas writes for an empty cell)" if is_nan[row] else ""
        yield Fault(row, "options", f"one of its `options` is empty{nan}; give each option a text")
    filled = flat.filter(pc.invert(is_absent))
    tally = filled.group_by(["row", "option"]).aggregate([([], "count_all")])
    repeated = tally.filter(pc.greater(tally["count_all"], 1)).sort_by("row")
    for row, option in zip(repeated["row"].to_pylist(), repeated["option"].to_pylist(), strict=True):
        yield Fault(row, "options", f"its option {quoted(option)} is repeated; give each option a different text")


def _answer_faults(answers: pa.ChunkedArray, options: pa.ChunkedArray) -> Iterator[Fault]:
    counts = pc.list_value_length(options)
    outside = pc.or_(pc.less(answers, 0), pc.greater_equal(answers, counts))
    # A sample without options has another fault already.
    for row in _rows(pc.and_(outside, pc.greater(counts, 0))):
        yield Fault(
            row,
            "answer",
            f"its `answer` {answers[row].as_py()} is out of range for {counts[row].as_py()} options; {ANSWER_CURE}",
        )
