"""The clients' side of tables: msgpack messages read by PROTOCOL.md, without any of Ticker's own code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import msgpack

from benchmarks.readers import Price, Reader
from benchmarks.tables.recordings import PLACES, level_hash

BIDS, ASKS, TRADES, CANDLES = 16, 17, 18, 19
WIDTH = {BIDS: 2, ASKS: 2, TRADES: 6, CANDLES: 7}
"""Columns of a row (PROTOCOL.md, section 4)."""

Cell: TypeAlias = Any
Row: TypeAlias = Sequence[Cell]


class Table:
    """One table of a client's copy."""

    __slots__ = ("fingerprint", "most", "name", "number", "price_scale", "rows", "size_scale")

    def __init__(self, definition: Sequence[Any]) -> None:
        self.number, self.name, self.price_scale, self.size_scale = definition[:4]
        self.most = int(self.name.rpartition(":")[2])
        self.rows: dict[int, dict[Cell, Row]] = {}
        """By field and key."""
        self.fingerprint = 0
        """That of a book's levels."""

    def __repr__(self) -> str:
        return f"<Table {self.name}: {sum(map(len, self.rows.values()))} rows>"

    @property
    def instrument(self) -> int:
        """The number of its instrument: 7 of S7."""
        return int(self.name.partition(" ")[0][1:])

    def clear(self) -> None:
        """Drop all rows, before a complete record."""
        self.rows.clear()
        self.fingerprint = 0

    def merge(self, field: int, flat: Sequence[Cell]) -> list[Row]:
        """Apply changed rows; return them."""
        width, rows = WIDTH[field], self.rows.setdefault(field, {})
        changed = [flat[start : start + width] for start in range(0, len(flat), width)]
        if field in {BIDS, ASKS}:
            self._merge_levels(1 if field == BIDS else -1, rows, changed)
            return changed
        for row in changed:
            rows[row[0]] = row
        for key in sorted(rows)[: -self.most]:
            del rows[key]
        return changed

    def _merge_levels(self, sign: int, rows: dict[Cell, Row], changed: Sequence[Row]) -> None:
        for row in changed:
            before = rows.pop(row[0], None)
            if before is not None:
                self.fingerprint ^= self._hash(sign, before)
            if row[1] is not None:
                rows[row[0]] = row
                self.fingerprint ^= self._hash(sign, row)

    def _hash(self, sign: int, row: Row) -> int:
        return level_hash(sign, number_of(row[0], self.price_scale), number_of(row[1], self.size_scale))


def number_of(cell: Cell, scale: int) -> int:
    """Return a price or size as an integer at eight places."""
    return cell * 10 ** (PLACES - scale) if isinstance(cell, int) else int(Decimal(cell).scaleb(PLACES))


class TableReader(Reader):
    """One client's copy of the tables named in `names`."""

    sends_snapshot = True

    def __init__(self) -> None:
        super().__init__()
        self.names: Sequence[str] = ()
        self.resume: tuple[str, int] | None = None
        """Epoch and cursor of an earlier connection, to go on from."""
        self.tables: dict[int, Table] = {}
        self.changed: list[tuple[Table, int, list[Row]]] = []
        """Changed rows by table and field, since they were last taken out."""
        self.deltas = self.delta_bytes = self.data_bytes = 0
        """Entries of tables in DELTA messages, the bytes of these messages, and those of all data messages."""
        self.epoch = ""
        self.cursor = 0
        self.asked_at = self.answered_at = 0.0
        """Times of the request and of its reply, in seconds of the monotonic clock."""

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:  # noqa: ARG002  # it has names
        """Return one subscribe request, or a resume."""
        self.asked_at = time.monotonic()
        if self.resume is None:
            return [msgpack.packb({"op": "subscribe", "id": 1, "symbols": list(self.names)})]
        epoch, cursor = self.resume
        request = {"op": "resume", "id": 1, "epoch": epoch, "cursor": cursor, "symbols": list(self.names)}
        return [msgpack.packb(request)]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Read messages from the server. There are no prices in them."""
        for payload in payloads:
            message: Any = msgpack.unpackb(payload, strict_map_key=False)
            kind = message[0]
            if kind == 6:
                self._begin(message, len(payload))
                self._merge(message[4])
                self.deltas += len(message[4]) // 2
                self.delta_bytes += len(payload)
            elif kind == 5:
                self._begin(message, len(payload))
                self._merge(message[4])
                self._replace(message[5])
            elif kind == 4:
                self._define(message[1])
            elif kind == 1:
                self.epoch, self.cursor = message[2], message[4] if self.resume is None else self.resume[1]
            elif kind == 2:
                self._confirm(message[2])
            elif kind == 3:
                self.fault = f"ERROR {message[2]}: {message[3]}"
            elif kind == 7:
                self.cursor = max(self.cursor, message[1])
        return []

    def _begin(self, message: Sequence[Any], size: int) -> None:
        if message[1] > self.cursor:
            self.fault = f"a gap: a message since cut {message[1]} for a client at cut {self.cursor}"
        self.cursor = message[2]
        self.data_bytes += size

    def _define(self, definitions: Sequence[Any]) -> None:
        for definition in definitions:
            table = self.tables.get(definition[0])
            if table is None:
                self.tables[definition[0]] = Table(definition)
            else:  # its complete record comes next: no number has to be converted
                table.price_scale, table.size_scale = definition[2:4]

    def _merge(self, entries: Sequence[Any]) -> None:
        for number, fields in zip(entries[::2], entries[1::2], strict=True):
            table = self.tables[number]
            for field, flat in fields.items():
                if field in WIDTH and flat is not None:
                    self.changed.append((table, field, table.merge(field, flat)))

    def _replace(self, entries: Sequence[Any]) -> None:
        for number in entries[::2]:
            self.tables[number].clear()
        self._merge(entries)

    def _confirm(self, result: Any) -> None:  # noqa: ANN401  # of any request
        self.subscribed, self.answered_at = True, time.monotonic()
        if bad := [outcome for outcome in result.get("outcomes", ()) if outcome[1]]:
            self.fault = f"the server declined {bad[0]}"


def row_bytes(tables: Sequence[Table], field: int) -> float:
    """Return the average bytes of a row on the wire."""
    rows = [row for table in tables for row in table.rows.get(field, {}).values()]
    return sum(len(msgpack.packb(cell)) for row in rows for cell in row) / max(1, len(rows))
