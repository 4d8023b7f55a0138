"""The client-side protocol of Ticker: msgpack messages read by PROTOCOL.md, without any of Ticker's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from benchmarks.readers import Price, Reader

LAST = 5
"""Field of the benchmarks' feed (PROTOCOL.md, section 4)."""


class TickerReader(Reader):
    """Also checks the cursor: a gap is a fault even if a later price hides it."""

    sends_snapshot = True

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[int, int] = {}
        self._cursor = 0

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:
        """Return one subscribe request."""
        return [msgpack.packb({"op": "subscribe", "id": 1, "symbols": [f"S{number}" for number in numbers]})]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices in data messages (PROTOCOL.md, section 3.1)."""
        prices: list[Price] = []
        for payload in payloads:
            message: Any = msgpack.unpackb(payload, strict_map_key=False)
            kind = message[0]
            if kind == 6:
                self._take(message, message[4], prices)
            elif kind == 5:
                self._take(message, message[4] + message[5], prices)
            elif kind == 4:
                self._numbers.update({number: int(symbol[1:]) for number, symbol, *_ in message[1]})
            elif kind == 1:
                self._cursor = message[4]
            elif kind == 2:
                self._outcomes(message[2]["outcomes"])
            elif kind == 3:
                self.fault = f"ERROR {message[2]}: {message[3]}"
            elif kind == 7:
                self._cursor = max(self._cursor, message[1])
        return prices

    def _take(self, message: Sequence[Any], entries: Sequence[Any], prices: list[Price]) -> None:
        if message[1] > self._cursor:
            self.fault = f"a gap: a message since cut {message[1]} for a client at cut {self._cursor}"
        self._cursor = message[2]
        numbers = self._numbers
        prices.extend(
            (numbers[number], fields[LAST])
            for number, fields in zip(entries[::2], entries[1::2], strict=True)
            if LAST in fields
        )

    def _outcomes(self, outcomes: Sequence[Any]) -> None:
        self.subscribed = True
        if bad := [name for name, code, _ in outcomes if code]:
            self.fault = f"the server does not know {bad[0]}"
