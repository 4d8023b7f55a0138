"""The fields of an update, each read by itself: what cannot be read or has no room is left out, the others apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticker.bounds import MAX_KNOWN_FIELDS
from ticker.core.freshness import MARKS, REASON, STATUS, Changes
from ticker.core.record import Record
from ticker.core.scales import Number
from ticker.errors import BadPublication
from ticker.market import (
    MAX_FIELDS,
    FieldKey,
    Kind,
    Reason,
    Status,
    Value,
    field_key,
    field_kind,
    field_name,
    read_value,
)
from ticker.numbers import MAX_INTEGER, parse_decimal, scaled_text
from ticker.texts import shown

_PRICE, _SIZE, _INTEGER = Kind.PRICE, Kind.SIZE, Kind.INTEGER  # a look-up in a class of enumerations is slow
_UNKNOWN: tuple[FieldKey, Kind | None] = ("", None)


class Unusable(NamedTuple):
    """A part of an update that was left out. `cause` is for counting, `detail` names the field and its value."""

    cause: str
    detail: str


class FieldReader:
    """Reads fields by their names."""

    def __init__(self) -> None:
        # The key and kind of each field name met so far, bounded because names come from feeds.
        self._fields: dict[str, tuple[FieldKey, Kind | None]] = {}

    def __repr__(self) -> str:
        return f"<FieldReader of {len(self._fields)} names>"

    def read_usual(self, record: Record, fields: Mapping[str, Value]) -> Changes | None:
        """Return the values of an update whose fields are all texts of numbers, at the record's scales, and integers.

        That is nearly every update, at a third of the cost of `read`. None if any field is something else, or finer.
        """
        known, price_scale, size_scale = self._fields, record.price_scale, record.size_scale
        changes: Changes = []
        for name, given in fields.items():
            key, kind = known.get(name, _UNKNOWN)
            if type(given) is str:
                if kind is _PRICE:
                    value = scaled_text(given, price_scale)
                elif kind is _SIZE:
                    value = scaled_text(given, size_scale)
                else:
                    return None
                if value is None:
                    return None
                changes.append((key, value))
            elif kind is _INTEGER and type(given) is int and -MAX_INTEGER <= given <= MAX_INTEGER:
                changes.append((key, given))
            else:
                return None
        return changes

    def read(self, fields: Mapping[str, Value], changes: Changes, numbers: list[Number]) -> tuple[list[Unusable], bool]:
        """Split an update's fields into values that are ready and numbers that wait for their scale.

        Return the parts that cannot be used, and whether a status or reason is among the others.
        """
        unusable: list[Unusable] = []
        marked = False
        for name, value in fields.items():
            try:
                key, kind = self._fields.get(name) or self._learn(name)
            except (BadPublication, TypeError) as error:
                # TypeError: it cannot even be the key of a dict
                detail = f"field {shown(name)}: a name is a text" if isinstance(error, TypeError) else str(error)
                unusable.append(Unusable("unusable field name", detail))
                continue
            try:
                if (kind is Kind.PRICE or kind is Kind.SIZE) and value is not None:
                    numbers.append((key, kind, *parse_decimal(value)))
                    continue
                changes.append((key, read_value(kind, value)))
            except BadPublication as error:
                unusable.append(Unusable(f"unreadable {name}", f"{name}: {error}"))
                changes += _UNREADABLE_STATUS if key == STATUS else [(key, None)]
            if key in MARKS:
                marked = True
        return unusable, marked

    def _learn(self, name: str) -> tuple[FieldKey, Kind | None]:
        key = field_key(name)
        if len(self._fields) < MAX_KNOWN_FIELDS:
            self._fields[name] = key, field_kind(key)
        return key, field_kind(key)


_UNREADABLE_STATUS: Changes = [(STATUS, str(Status.STALE)), (REASON, str(Reason.BAD_DATA))]
"""Whether the values are current cannot be told from such a status."""


def keep_room(record: Record, changes: Changes, numbers: list[Number]) -> list[Unusable]:
    """Take the new fields out of an update for which the instrument has no room, and return them."""
    # There is always room for the marks: the service has to be able to mark any instrument stale.
    known = record.values.keys() - MARKS
    new = [key for key in (*(each[0] for each in changes), *(each[0] for each in numbers)) if key not in known | MARKS]
    left_out = set(list(dict.fromkeys(new))[max(MAX_FIELDS - len(known), 0) :])
    # A field that would only have been withdrawn is no loss; that of an unreadable value was told of as such.
    lost = left_out & {*(key for key, value in changes if value is not None), *(each[0] for each in numbers)}
    changes[:] = [each for each in changes if each[0] not in left_out]
    numbers[:] = [each for each in numbers if each[0] not in left_out]
    return [Unusable("too many fields", f"{field_name(key)}: more than {MAX_FIELDS} fields") for key in lost]
