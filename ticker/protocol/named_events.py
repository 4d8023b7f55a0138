"""An event stream for programs without a client: changes with names and decimal texts, in place of ids and integers.

Each change of an instrument or a table is an event, `{"symbol": "EURUSD", "bid": "1.08587"}`. Those of one frame are
one moment, and only the last of them has an id: a client that comes back with it lacks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ticker.market import Field, FieldKey, RecordValue, Rows, field_name, shown_value
from ticker.protocol.messages import Definition, Heartbeat, ServerMessage
from ticker.protocol.row_texts import row_texts
from ticker.protocol.tables import BOOK, COLUMNS, ROW_FIELDS, parse_table, split_name
from ticker.protocol.wire import Described, Events

_TAKEN = re.compile("(symbol|complete|removed)_*")
"""Names of a feed's own fields that would hide a key of the event; each of them gets a further underscore."""

_BIDS, _ASKS = ROW_FIELDS[BOOK]


class NamedEvents(Events):
    """Changes as objects that name what has changed; any other message is an object with its name as `event`."""

    def frame(self, message: ServerMessage) -> bytes:
        """Return an event with a message that is not data."""
        event = _event({"event": type(message).__name__.lower()} | msgspec.structs.asdict(message))
        return self.id(message.cut) + event if isinstance(message, Heartbeat) else event

    def definition(self, definition: Definition) -> bytes:  # noqa: ARG002
        """Return nothing: names and texts say it all."""
        return b""

    def instruments(self, definitions: Sequence[bytes]) -> bytes:  # noqa: ARG002
        """Return nothing, likewise."""
        return b""

    def entry_of(self, record: Described, fields: Mapping[FieldKey, RecordValue], *, complete: bool) -> bytes:
        """Return the event of a change, or with `complete` that of a whole record, without an id."""
        content: dict[str, Any] = {"symbol": record.symbol}
        if complete:
            content["complete"] = True
        table = parse_table(split_name(record.symbol)[1]) if " " in record.symbol else None
        for name in ROW_FIELDS[table.kind] if table is not None else ():
            content[name] = _texts(name, fields.get(Field[name.upper()]), record)
        for key, value in fields.items():
            if not isinstance(value, list):
                name = field_name(key)
                own = isinstance(key, str) and _TAKEN.fullmatch(name)
                content[f"{name}_" if own else name] = shown_value(key, value, record.price_scale, record.size_scale)
        return _event(content)

    def removed(self, cursor: int, records: Iterable[Described]) -> bytes:
        """Return the events that take these records out of a copy at this cursor."""
        return _moment(self.id(cursor), [_event({"symbol": record.symbol, "removed": True}) for record in records])

    def delta(self, step: bytes, changes: Sequence[bytes]) -> bytes:
        """Return the events of these changes."""
        return _moment(self._moved(step), changes)

    def join(self, entries: Sequence[bytes]) -> bytes:
        """Return several events as one."""
        return b"".join(entries)

    def snapshot(self, step: bytes, changes: Sequence[bytes], records: Sequence[bytes]) -> bytes:
        """Return the events of these changes and complete records."""
        return _moment(self._moved(step), [*changes, *records])


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(content)


def _moment(moved: bytes, events: Sequence[bytes]) -> bytes:
    """Join events that belong together, the id before the last one. Without any, the id alone moves the cursor."""
    *before, last = events or (b"\n",)
    start = last.rfind(b"\n\n", 0, -2) + 2 if b"\n\n" in last[:-2] else 0  # of the last event, if these are several
    return b"".join((*before, last[:start], moved, last[start:]))


def _texts(field: str, rows: RecordValue | None, record: Described) -> list[Any]:
    """Return the changed rows of a field, those of a side of a book with the best level first."""
    if not isinstance(rows, list):
        return []
    width = len(COLUMNS[Field[field.upper()]])
    split: list[Rows] = [rows[at : at + width] for at in range(0, len(rows), width)]
    texts = row_texts(field, split, record.price_scale, record.size_scale)
    return sorted(texts, key=_price, reverse=field == _BIDS) if field in {_BIDS, _ASKS} else texts


def _price(level: Sequence[str]) -> Decimal:
    return Decimal(level[0])
