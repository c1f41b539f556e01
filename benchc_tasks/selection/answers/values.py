"""Read the values of answers from the columns of a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_tasks.datasets.options import is_absent, letter_index, number_of

__all__ = ["NO_PREDICTION", "fit_width", "padded_values", "predictions_of"]

NO_PREDICTION = -1

_UNREADABLE = -2
_MOST_OPTIONS = 2**31
_NO_ANSWER = frozenset({"", "none", "null", "nan"})


def padded_values(columns: list[pa.Array], origin: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bring values per option to a matrix.

    Parameters
    ----------
    columns : list of pyarrow.Array of n rows
        One column of lists, or one column of numbers for each option.
    origin : str
        The file, for the error's sentence.

    Returns
    -------
    values : ndarray of float64, shape (n, options)
        nan where a row has fewer options, and where a value is null.
    lengths : ndarray of int64, shape (n,)
        How many options each row has: its list's length, or up to its last value that is not null.

    Raises
    ------
    ValueError
        If a column holds no numbers.
    """
    first = columns[0]
    if len(columns) == 1 and (pa.types.is_list(first.type) or pa.types.is_large_list(first.type)):
        return _padded_lists(first, origin)
    if len(columns) == 1 and pa.types.is_fixed_size_list(first.type):
        return _padded_lists(first.cast(pa.list_(first.type.value_type)), origin)
    values = np.stack([_numbers(column, origin) for column in columns], axis=1)
    given = np.stack([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=1)
    width = values.shape[1]
    return values, np.where(given.any(axis=1), width - np.argmax(given[:, ::-1], axis=1), 0)


def fit_width(values: NDArray[np.float64], width: int, filling: float) -> NDArray[np.float64]:
    """Widen a matrix (n, options) with `filling`, or cut off its columns beyond `width`."""
    if values.shape[1] >= width:
        return values[:, :width]
    padding = np.full((len(values), width - values.shape[1]), filling)
    return np.concatenate([values, padding], axis=1)


def predictions_of(column: pa.Array, describe: Callable[[int], str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read predicted options.

    Parameters
    ----------
    column : pyarrow.Array of n rows
        Letters (`B`, `b`, `(B)`) or indices counted from 0, as numbers or text; null or empty where a model gave none.
    describe : callable
        Names a row for the error's sentence.

    Returns
    -------
    predictions : ndarray of int64, shape (n,)
        Indices, -1 where there is none.
    is_number : ndarray of bool, shape (n,)
        True where the index was given as a number, so that one out of range is not a letter that a model made up.

    Raises
    ------
    ValueError
        If a value is none of these.
    """
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    read = [_prediction(value) for value in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    found = np.array([*((_UNREADABLE, False) if one is None else one for one in read), (NO_PREDICTION, False)])[codes]
    predictions, is_number = found[:, 0].astype(np.int64), found[:, 1].astype(bool)
    for row in np.flatnonzero(predictions == _UNREADABLE)[:1].tolist():
        value = encoded.dictionary[int(codes[row])].as_py()
        raise ValueError(
            f"{describe(row)} has the prediction {quoted(value)}, which is neither a letter nor an index; "
            "give the predicted option's letter or its index from 0, and nothing where the model gave none"
        )
    return predictions, is_number


def _prediction(value: object) -> tuple[int, bool] | None:
    """Return an index, and True where it was given as a number; None for what cannot be read."""
    if is_absent(value):
        return NO_PREDICTION, False
    if not isinstance(value, str):
        number = number_of(value)
        return None if number is None or not 0 <= number < _MOST_OPTIONS else (number, True)
    text = value.strip().strip("().").strip()
    if text.lower() in _NO_ANSWER:
        return NO_PREDICTION, False
    letter = letter_index(text)
    if letter is not None:
        return letter, False
    number = number_of(text.removesuffix(".0"))
    return None if number is None or number >= _MOST_OPTIONS else (number, True)


def _padded_lists(lists: pa.Array, origin: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = _numbers(lists.flatten(), origin)
    width = int(lengths.max(initial=1))
    if len(flat) == len(lengths) * width:
        return flat.reshape(len(lengths), width), lengths
    values = np.full((len(lengths), width), np.nan)
    values[np.arange(width) < lengths[:, np.newaxis]] = flat
    return values, lengths


def _numbers(column: pa.Array, origin: str) -> NDArray[np.float64]:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise ValueError(f"{origin}: the values of options are of type {column.type}; give numbers")
    numbers: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers
