"""What a parquet file unpacks to is found without unpacking it, whatever its footer says."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchc_metrics.leaderboard.parquet_pages import LARGEST_FOOTER, unpacked_size


def written(table: pa.Table, **settings) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **settings)
    return file.getvalue()


def footer_of(content: bytes) -> pq.FileMetaData:
    return pq.read_metadata(io.BytesIO(content))


DRAW = np.random.default_rng(0)
TABLE = pa.table(
    {
        "text": [f"sample-{number:05}" for number in range(20_000)],
        "few": ["a", "b", None, "d"] * 5_000,
        "list": pa.array(DRAW.normal(size=(20_000, 4)).tolist()),
        "number": DRAW.integers(0, 9, 20_000),
        "flag": pa.array([True, False] * 10_000),
    }
)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "snappy", "gzip"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_pages_are_what_an_honest_footer_says(version, compression, dictionary):
    content = written(
        TABLE,
        data_page_version=version,
        compression=compression,
        use_dictionary=dictionary,
        row_group_size=6_000,
        data_page_size=10_000,
        write_page_checksum=True,
    )
    facts = footer_of(content)
    found = unpacked_size(content)
    stated = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
    # A footer also counts the pages' headers.
    assert 0.9 * stated <= found.bytes <= stated
    assert found.values == 80_000


def varint(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    written = b""
    while value >= 0x80:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def forged_footer(content: bytes, what: int, lie: int) -> bytes:
    """Write another number of the same length over one in the footer."""
    old, new = varint(what), varint(lie)
    assert len(old) == len(new)
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") :]
    assert footer.count(old), "the footer holds this number"
    return content[: -len(footer)] + footer.replace(old, new)


def test_a_forged_footer_does_not_hide_what_pages_unpack_to():
    zeros = pa.table({"text": pa.array(["x" * 1000] * 100_000)})
    content = written(zeros, compression="zstd", use_dictionary=False, data_page_size=2**30, write_statistics=False)
    honest = footer_of(content).row_group(0)
    assert honest.total_byte_size > 100_000_000
    assert len(content) < 1_000_000
    forged = content
    for stated in {honest.total_byte_size, honest.column(0).total_uncompressed_size}:
        forged = forged_footer(forged, stated, 67_108_864)
    assert footer_of(forged).row_group(0).total_byte_size == 67_108_864
    assert unpacked_size(forged).bytes > 100_000_000


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_that_repeat_the_one_before_are_refused(encoding):
    """Written so, 20,000 texts of 1,000 characters that differ in their ends take 200 bytes on disk."""
    content = written(TABLE.select(["text"]), use_dictionary=False, column_encoding={"text": encoding})
    with pytest.raises(ValueError, match="an encoding that this package does not write"):
        unpacked_size(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "first and last four bytes"),
        (b"PAR1", "first and last four bytes"),
        (b"PAR1PAR1", "first and last four bytes"),
        (b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1", "footer has 2147483647 bytes"),
        (b"PAR1" + bytes(300) + b"PAR1", "a header is cut off"),
        (b"PARE" + bytes(300) + b"PARE", "first and last four bytes"),
    ],
)
def test_what_is_no_parquet_file_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        unpacked_size(content)


def test_a_footer_beyond_reason_is_not_read():
    content = written(TABLE.replace_schema_metadata({"x": "y" * LARGEST_FOOTER}))
    with pytest.raises(ValueError, match="its footer has"):
        unpacked_size(content)


def test_row_groups_and_pages_are_counted():
    with pytest.raises(ValueError, match="200 row groups where at most 64"):
        unpacked_size(written(TABLE.select(["flag"]), row_group_size=100))
    with pytest.raises(ValueError, match="more than 10000 pages"):
        unpacked_size(written(TABLE.select(["text"]), data_page_size=1, write_batch_size=1, use_dictionary=False))


def test_any_changed_byte_is_refused_or_read_with_a_size():
    content = bytearray(written(TABLE.slice(0, 300), compression="zstd"))
    for place in range(0, len(content), 7):
        for bit in (0, 3, 7):
            content[place] ^= 1 << bit
            with contextlib.suppress(ValueError):
                unpacked_size(bytes(content))
            content[place] ^= 1 << bit


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit what a process maps")
def test_a_file_that_unpacks_to_gigabytes_takes_none_of_them():
    """In a process that may not map more than it needs to read an honest file, and 300 MB."""
    program = textwrap.dedent(
        """
        import io, resource
        import pyarrow as pa, pyarrow.parquet as pq
        from benchc_metrics.leaderboard.parquet_pages import unpacked_size
        file = io.BytesIO()
        schema = pa.schema({"text": pa.string()})
        with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False, data_page_size=2**30) as writer:
            block = pa.table({"text": ["x" * 1000] * 100_000})
            for _ in range(4):
                writer.write_table(block)
        del block
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        content = file.getvalue()
        assert len(content) < 1_000_000
        found = unpacked_size(content)
        assert found.bytes > 400_000_000, found
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
