"""Responses compressed with gzip (RFC 9110, section 8.4.1.3) for clients that accept it.

Long ones are compressed in pieces, each in a turn of its own: no price waits for more than one piece. Those of a few
hundred bytes fit into one packet anyhow.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Mapping
from dataclasses import replace

from ticker.bounds import COMPRESSED_PER_STEP, LEAST_COMPRESSED
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import Response, accepts_gzip
from ticker.server.turns import in_turns

_TYPES = {"application/json", "text/plain"}
"""Files are compressed already, and an event stream goes out at once."""

_LEVEL = 1
"""It makes 32 % of a snapshot of 500 quotes; level 6 makes 26 % of it, and takes three times as long."""

_GZIP = 16 + zlib.MAX_WBITS
"""The container that zlib's compressor writes."""


async def compressed(response: Response, headers: Mapping[bytes, bytes], fair_queue: FairQueue) -> Response:
    """Return the response in the form that suits the client; `headers` are those of its request."""
    if response.content_type.partition(";")[0] not in _TYPES or "Content-Encoding" in response.headers:
        return response
    varied = {**response.headers, "Vary": "Accept-Encoding"}
    if len(response.body) < LEAST_COMPRESSED or not accepts_gzip(headers):
        return replace(response, headers=varied)
    body = await in_turns(fair_queue, _pieces(response.body))
    return replace(response, body=body, headers={**varied, "Content-Encoding": "gzip"})


def _pieces(body: bytes) -> Generator[None, None, bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    pieces = [compressor.compress(body[:COMPRESSED_PER_STEP])]
    for start in range(COMPRESSED_PER_STEP, len(body), COMPRESSED_PER_STEP):
        yield
        pieces.append(compressor.compress(body[start : start + COMPRESSED_PER_STEP]))
    pieces.append(compressor.flush())
    return b"".join(pieces)
