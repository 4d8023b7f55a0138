"""TLS records as they come in: counted, and handed to OpenSSL a few at a time.

A record costs OpenSSL work whatever is in it, and many bring no plain text: KeyUpdates, each of which derives new keys
and may ask for an answer, and parts of handshake messages. OpenSSL reads on through such records without an end, so
they have to be counted before it sees them. Only the five bytes in front of a record are read here (RFC 8446, section
5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from ticker.bounds import RECORDS_PER_TURN

_HEADER = 5
"""Bytes before a record's content: its type, a version, and the length of the content in two bytes."""

_PART = 0.1
"""Charge, in records, for bytes that complete none: a record that comes byte by byte costs a turn for each of them."""


@dataclass(slots=True)
class RecordRate:
    """The rate at which the records of each connection are read; one object for all connections of a service."""

    per_second: float = 100
    burst: float = 500
    """Records at once, before that rate applies."""
    exceeded: int = 0
    """How often a connection was read later, because it had sent more."""


class RecordAllowance:
    """The records of one connection that may be read now. Times are seconds of a monotonic clock."""

    __slots__ = ("_charged_at", "_left", "_rate")

    def __init__(self, rate: RecordRate, now: float) -> None:
        self._rate = rate
        self._left = rate.burst
        self._charged_at = now

    def __repr__(self) -> str:
        return f"<RecordAllowance: {self._left:g} records>"

    @property
    def left(self) -> float:
        """Records that may be read at once."""
        return self._left

    def delay(self) -> float:
        """Return the seconds to wait before more is read; 0 while the rate is kept."""
        if self._left >= 0:
            return 0.0
        self._rate.exceeded += 1
        return -self._left / self._rate.per_second

    def charge(self, records: float, now: float) -> None:
        """Count records that were read."""
        earned = (now - self._charged_at) * self._rate.per_second
        self._left = min(self._rate.burst, self._left + earned) - records
        self._charged_at = now


class RecordQueue:
    """The received ciphertext of one connection that OpenSSL has not got yet: at most the bytes added at once."""

    __slots__ = ("_allowance", "_data", "_left")

    def __init__(self, rate: RecordRate, now: float) -> None:
        """Times are seconds of a monotonic clock."""
        self._allowance = RecordAllowance(rate, now)
        self._data = b""
        self._left = 0
        """Bytes of the current record that are still to come."""

    def __repr__(self) -> str:
        return f"<RecordQueue of {len(self._data)} bytes, {self._allowance.left:g} records allowed now>"

    @property
    def waiting(self) -> bool:
        """Whether there are bytes to take."""
        return bool(self._data)

    def add(self, data: bytes) -> None:
        """Add bytes from the socket."""
        self._data += data

    def delay(self) -> float:
        """Return the seconds to wait before more is taken, or added; 0 while the rate is kept."""
        return self._allowance.delay()

    def take(self, now: float) -> bytes:
        """Take the bytes of `RECORDS_PER_TURN` records at most; empty if no more than a part of a header is there."""
        data = self._data
        size, end, records = len(data), self._left, 0
        while end + _HEADER <= size and records < RECORDS_PER_TURN:
            end += _HEADER + (data[end + 3] << 8 | data[end + 4])
            records += 1
        cut = min(end, size)
        self._left = end - cut
        self._data = data[cut:]
        self._allowance.charge(records or (_PART if data else 0), now)
        return data[:cut]
