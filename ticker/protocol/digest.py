"""The checksum of a copy: the server's and the client's have to be equal at the same cut (PROTOCOL.md, section 5).

It is the sum, modulo 2**32, of a CRC-32 of each record. So records can be taken in any order, and one at a time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import msgspec

from ticker.market import FieldKey, RecordValue
from ticker.protocol.tables import COLUMNS

MODULUS = 2**32


def record_checksum(number: int, scales: tuple[int, int], fields: Mapping[FieldKey, RecordValue]) -> int:
    """Return the CRC-32 of one record: of its id, price and size scale, and present fields as on the wire.

    Rows have to be in their order: bids from the highest price, asks from the lowest, others by their key.
    """
    parts: list[object] = []
    for key, value in sorted(fields.items(), key=_order):
        if value is not None and not (key in COLUMNS and not value):
            parts += (key, value)
    return zlib.crc32(msgspec.json.encode([number, *scales, parts]))


def total(checksums: Iterable[int]) -> int:
    """Return the checksum of a copy from those of its records."""
    return sum(checksums) % MODULUS


def _order(item: tuple[FieldKey, RecordValue]) -> tuple[bool, int, str]:
    key = item[0]
    return (True, 0, key) if isinstance(key, str) else (False, key, "")
