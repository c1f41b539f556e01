"""An HTTP client that reads no more of an answer than an answer may hold."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from benchc_metrics.messages import quoted

__all__ = ["LARGEST_ANSWER", "OversizedAnswerError", "bounded_http_client"]

LARGEST_ANSWER = 32 * 1024**2
"""Bytes of the largest answer that is read, unpacked; lists of thousands of models have a few MB."""
UNPACKED_AT_ONCE = 1024**2
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class OversizedAnswerError(Exception):
    """An answer that is too large, or packed in a way that is not unpacked here."""


def bounded_http_client(*, trust_env: bool = True) -> Any:
    """Return a client that refuses an answer of more than `LARGEST_ANSWER` bytes while it reads it.

    It asks for answers that are not packed, which have a few kB, and unpacks gzip and deflate all the same: up to the
    limit, and not first as a whole.

    Parameters
    ----------
    trust_env : bool
        Whether proxies of the environment are used.

    Returns
    -------
    httpx.AsyncClient
        Version 3 of `openai` takes it too, though its types speak of httpx2.
    """
    return httpx.AsyncClient(
        trust_env=trust_env,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_bound]},
        follow_redirects=True,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
    )


async def _bound(response: httpx.Response) -> None:
    packed = response.headers.pop("content-encoding", "identity").strip().lower()
    response.stream = _BoundedStream(response.stream, packed)


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, packed: str) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream
        self._packed = packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise OversizedAnswerError(f"the answer is packed with {quoted(self._packed)}, which was not asked for")
        unpack = None if self._packed in ("identity", "") else zlib.decompressobj(GZIP_OR_ZLIB)
        size = 0
        async for piece in self._stream:
            while piece:
                if unpack is None:
                    plain, piece = piece, b""
                else:
                    plain, piece = unpack.decompress(piece, UNPACKED_AT_ONCE), unpack.unconsumed_tail
                size += len(plain)
                if size > LARGEST_ANSWER:
                    raise OversizedAnswerError(f"the answer has more than {LARGEST_ANSWER // 1024**2} MB")
                yield plain

    async def aclose(self) -> None:
        await self._stream.aclose()
