"""Compute the unpacked size of a parquet file before a library reads it.

The footer only states sizes, and a forged one states small sizes. A page's header is what a reader allocates by: it
holds the size to which the page unpacks, and no codec writes beyond it. So the headers of all pages that a reader
would come by are added up. The footer is read here too: of one that is damaged, pyarrow ends the process.

References
----------
https://github.com/apache/parquet-format, `parquet.thrift`; Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

__all__ = ["LARGEST_FOOTER", "UnpackedSize", "unpacked_size"]

LARGEST_FOOTER = 100_000
"""In bytes. Ours has some 3,000."""

_MOST_ROW_GROUPS = 64
_MOST_PAGES = 10_000
_MAGIC = b"PAR1"
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_HEADER_OF_KIND = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_PLAIN, _PLAIN_DICTIONARY, _RLE, _RLE_DICTIONARY = 0, 2, 3, 8
# The others write a text as the beginning of the one before: a few bytes can stand for any number of long texts.
_ENCODINGS = {_PLAIN, _PLAIN_DICTIONARY, _RLE, _RLE_DICTIONARY}
_DEEPEST_STRUCT = 12


class UnpackedSize(NamedTuple):
    """The size of a file, unpacked.

    Attributes
    ----------
    rows : int
        That the footer states.
    bytes : int
        Of all pages together.
    values : int
        Of the column that has most.
    """

    rows: int
    bytes: int
    values: int


def unpacked_size(content: bytes) -> UnpackedSize:
    """Add up the headers of all pages.

    Parameters
    ----------
    content : bytes
        A parquet file.

    Returns
    -------
    UnpackedSize

    Raises
    ------
    ValueError
        If it is not a parquet file, its pages lie outside of it, or it has parts that this package does not write.
    """
    footer = _read_footer(content)
    groups = _structs(footer, 4)
    if len(groups) > _MOST_ROW_GROUPS:
        raise ValueError(f"it has {len(groups)} row groups where at most {_MOST_ROW_GROUPS} are allowed")
    rows, total, pages = _integer(footer, 3, _I64), 0, 0
    values: dict[int, int] = {}
    if rows == 0:
        # Its columns have no place in the file.
        return UnpackedSize(0, 0, 0)
    for group in groups:
        total_stated = _integer(group, 2, _I64)
        of_group = 0
        for number, column in enumerate(_structs(group, 1)):
            facts = column.get(3)
            if not isinstance(facts, dict) or column.keys() & _ELSEWHERE_OR_ENCRYPTED:
                raise ValueError("a column lies in another file, or is encrypted")
            of_data = of_dictionary = 0
            for page in _pages_of_column(content, facts):
                pages += 1
                if pages > _MOST_PAGES:
                    raise ValueError(f"it has more than {_MOST_PAGES} pages")
                of_group += page.unpacked
                if page.kind == _DICTIONARY:
                    of_dictionary += page.values
                else:
                    of_data += page.values
            values[number] = values.get(number, 0) + max(of_data, of_dictionary, _integer(facts, 5, _I64))
        total += max(of_group, total_stated)
    return UnpackedSize(rows, total, max(values.values(), default=0))


# Fields of a column: the file in which it lies, and what its encryption needs.
_ELSEWHERE_OR_ENCRYPTED = {1, 8, 9}


class _Page(NamedTuple):
    kind: int
    unpacked: int
    values: int
    end: int


def _read_footer(content: bytes) -> Struct:
    if len(content) < 12 or content[:4] != _MAGIC or content[-4:] != _MAGIC:
        raise ValueError("it cannot be read as parquet (its first and last four bytes are not PAR1)")
    length = int.from_bytes(content[-8:-4], "little")
    if length > min(LARGEST_FOOTER, len(content) - 12):
        raise ValueError(f"its footer has {length} bytes where at most {LARGEST_FOOTER} are allowed")
    return _CompactReader(content, len(content) - 8 - length, len(content) - 8).struct()


def _pages_of_column(content: bytes, facts: Struct) -> Iterator[_Page]:
    # The same beginning and end that pyarrow reads.
    start = _integer(facts, 9, _I64)
    dictionary = _integer(facts, 11, _I64) if 11 in facts else 0
    if 0 < dictionary < start:
        start = dictionary
    end = start + _integer(facts, 7, _I64)
    if not len(_MAGIC) <= start <= end <= len(content) - 8:
        raise ValueError("the pages of a column lie outside of the file")
    while start < end:
        page = _read_page_header(content, start, end)
        yield page
        start = page.end


def _read_page_header(content: bytes, start: int, end: int) -> _Page:
    reader = _CompactReader(content, start, end)
    header = reader.struct()
    kind, unpacked, packed = (_integer(header, number) for number in (1, 2, 3))
    details = header.get(_HEADER_OF_KIND.get(kind, 0))
    if not isinstance(details, dict):
        raise ValueError("a page is of a kind that this package does not write")
    values = _integer(details, 1)
    if _integer(details, 4 if kind == _DATA_V2 else 2) not in _ENCODINGS:
        raise ValueError("a page has an encoding that this package does not write")
    if min(unpacked, packed, values) < 0 or packed > end - reader.place:
        raise ValueError("a page does not end within its column")
    return _Page(kind, unpacked, values, reader.place + packed)


# Types of Thrift's compact protocol.
_TRUTH_VALUES, _I32, _I64, _BINARY, _LISTS, _MAP, _STRUCT = (1, 2), 5, 6, 8, (9, 10), 11, 12
_INTEGERS = (4, _I32, _I64)
_FIXED_SIZES = {3: 1, 7: 8}


class _Integer(NamedTuple):
    kind: int
    value: int


Struct: TypeAlias = dict[int, Any]
"""From the numbers of the fields to integers, structs and lists of them; None stands for what nobody asks for."""


def _integer(struct: Struct, number: int, kind: int = _I32) -> int:
    """Return a field: a reader passes over one of another type than it expects, so that this is a fault."""
    field = struct.get(number)
    if not isinstance(field, _Integer) or field.kind != kind:
        raise ValueError("it has a header that parquet does not know")
    return field.value


def _structs(struct: Struct, number: int) -> list[Struct]:
    field = struct.get(number)
    if not isinstance(field, list) or not all(isinstance(element, dict) for element in field):
        raise ValueError("it has a header that parquet does not know")
    return field


class _CompactReader:
    """Reads structs of Thrift's compact protocol."""

    def __init__(self, content: bytes, place: int, end: int) -> None:
        self.content = content
        self.place = place
        self.end = end

    def struct(self, depth: int = 0) -> Struct:
        """Read a struct."""
        fields: Struct = {}
        number = 0
        while (first := self._byte()) & 0x0F:
            number = number + (first >> 4) if first >> 4 else self._signed()
            if number in fields:
                raise ValueError("a header has a field twice")
            fields[number] = self._value(first & 0x0F, depth + 1)
        return fields

    def _value(self, kind: int, depth: int, in_collection: bool = False) -> Any:
        if depth > _DEEPEST_STRUCT:
            raise ValueError("a header is nested too deeply")
        if kind in _INTEGERS:
            return _Integer(kind, self._signed())
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in _LISTS:
            first = self._byte()
            length = first >> 4 if first >> 4 < 15 else self._varint()
            return self._elements(length, first & 0x0F, depth)
        if kind == _MAP:
            length = self._varint()
            kinds = self._byte() if length else 0
            for _ in range(self._bounded(length)):
                self._value(kinds >> 4, depth + 1, in_collection=True)
                self._value(kinds & 0x0F, depth + 1, in_collection=True)
        elif kind in _TRUTH_VALUES:
            self._pass(1 if in_collection else 0)
        elif kind == _BINARY:
            self._pass(self._varint())
        elif kind in _FIXED_SIZES:
            self._pass(_FIXED_SIZES[kind])
        else:
            raise ValueError("it has a header that Thrift does not know")
        return None

    def _elements(self, length: int, kind: int, depth: int) -> list[Any]:
        return [self._value(kind, depth + 1, in_collection=True) for _ in range(self._bounded(length))]

    def _bounded(self, length: int) -> int:
        # An element takes a byte at least.
        if length > self.end - self.place:
            raise ValueError("a header is cut off")
        return length

    def _byte(self) -> int:
        self._pass(1)
        return self.content[self.place - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a header has a number that is too long")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _pass(self, length: int) -> None:
        if length > self.end - self.place:
            raise ValueError("a header is cut off")
        self.place += length
