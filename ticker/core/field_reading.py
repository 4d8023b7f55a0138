"""The fields of an update, each read by itself: what cannot be read or has no room is left out, the others apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import DecodeError

from ticker.bounds import MAX_KNOWN_FIELDS, MAX_KNOWN_FORMS
from ticker.core.field_forms import NUMBERS, Form, Known
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
    WireValue,
    field_key,
    field_kind,
    field_name,
    read_value,
)
from ticker.numbers import EXACT_TEXT, MAX_INTEGER, parse_decimal
from ticker.texts import shown

_UNKNOWN: Known = ("", None)


class Unusable(NamedTuple):
    """A part of an update that was left out. `cause` is for counting, `detail` names the field and its value."""

    cause: str
    detail: str


class FieldReader:
    """Reads fields by their names."""

    def __init__(self) -> None:
        # The key and kind of each field name met so far, bounded because names come from feeds.
        self._fields: dict[str, Known] = {}
        # By their scales and names.
        self._forms: dict[tuple[int | str, ...], Form] = {}

    def __repr__(self) -> str:
        return f"<FieldReader of {len(self._fields)} names>"

    def read_usual(self, record: Record, fields: dict[str, Any]) -> Iterable[tuple[FieldKey, WireValue]] | None:
        """Return the values of an update whose fields are all texts of numbers, at the record's scales, and integers.

        That is nearly every update, at a part of the cost of `read`. None if any field is something else, or finer.

        The texts are read at once: with its scale as an exponent behind it, a text is that integer in JSON, whose
        decoder reads four numbers in the time that `int` takes for two. In between it is a float, which tells decimals
        of fifteen digits apart: one that is finer than its scale does not become an integer, and is refused.
        """
        form, given = record.form, None
        if form is not None and len(fields) == form.count:  # most often: a feed gives the same fields over and over
            try:  # noqa: SIM105  # `suppress` would cost as much as all the rest of it
                given = form.texts_of(fields), form.integers_of(fields)
            except KeyError:
                pass
        if form is None or given is None:
            form = self._form(record, tuple(fields))
            if form is None:
                return None
            given = form.texts_of(fields), form.integers_of(fields)
        texts, integers = given
        for text in texts:
            if type(text) is not str or len(text) > EXACT_TEXT:
                return None
        form.pieces[1::2] = texts
        array = "".join(form.pieces)
        try:
            numbers = form.decode(array)
        except (DecodeError, UnicodeEncodeError):  # the latter of half a surrogate pair
            return None
        if len(array.split(None, 1)) > 1:  # JSON may have blanks, and a number may not
            return None
        for integer in integers:
            if type(integer) is not int or not -MAX_INTEGER <= integer <= MAX_INTEGER:
                return None
        return zip(form.keys, numbers + integers)  # noqa: B905  # `strict` would cost as much as the decoder

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

    def _form(self, record: Record, names: tuple[str, ...]) -> Form | None:
        """Return the form of these fields, if all were met before and are numbers; it is the record's from now on."""
        key: tuple[int | str, ...] = (record.price_scale, record.size_scale, *names)
        form = self._forms.get(key)
        if form is None:
            fields = {name: self._fields.get(name, _UNKNOWN) for name in names}
            if not all(kind in NUMBERS for _, kind in fields.values()):
                return None
            if len(self._forms) >= MAX_KNOWN_FORMS:
                self._forms.clear()
            form = self._forms[key] = Form(fields, record.price_scale, record.size_scale)
        record.form = form
        return form

    def _learn(self, name: str) -> Known:
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
