"""Ticker with a fault planted: now and then a client is not sent a delta. The benchmarks must call that wrong."""

from __future__ import annotations

from itertools import count

from ticker.commands.cli import main
from ticker.net.tls_stream import TlsStream

EVERY = 97
DELTA = b"\x95\x06"  # how a msgpack DELTA begins (PROTOCOL.md, section 3.1)

_deltas = count(1)
_push = TlsStream.push


def _push_dropping_deltas(self: TlsStream, data: bytes) -> bool:
    if DELTA in data[:12] and next(_deltas) % EVERY == 0:
        return True
    return _push(self, data)


TlsStream.push = _push_dropping_deltas  # type: ignore[method-assign]  # the fault
main()
