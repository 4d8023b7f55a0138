"""A client's copy of the market after each message. No sockets, no clocks.

The rules are those of PROTOCOL.md, section 6:

1. WELCOME starts a connection. Its epoch names the cache that cuts and instrument ids belong to.
2. INSTRUMENTS says how to read an instrument's numbers. Scales only rise, and a higher scale changes no value.
3. DELTA and SNAPSHOT are applied whole, if their `since` is not beyond the cursor: changes are merged into the records
   that the client holds, then the complete records of a SNAPSHOT replace earlier ones.
4. After either, the copy equals the server's at `cut`, across all its instruments, and the cursor is `cut`.
5. Changes of instruments that the client does not hold, and records of those it is not subscribed to, are ignored: the
   client has unsubscribed while the message was on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView, Sequence
from decimal import Decimal
from typing import Any, TypeAlias, TypeGuard

from ticker.client.bounds import MAX_FIELD_NAME, MOST_FIELDS, check_definitions, check_fields, text_size
from ticker.errors import Code, Gap, ProtocolError
from ticker.market import MAX_TEXT, NAMES, FieldKey, Kind, WireValue, field_kind, field_name, shown_value
from ticker.numbers import MAX_INTEGER, is_plain_decimal, rescaled_number
from ticker.protocol.messages import Definition, Delta, Heartbeat, Instruments, Snapshot, Welcome
from ticker.texts import shown

Fields: TypeAlias = dict[str, Decimal | int | str | None]
"""Values by field name: prices, sizes and other decimals as `Decimal`, None for a withdrawn field."""


class InstrumentState:
    """One instrument of the copy: its definition and its present fields, still scaled."""

    __slots__ = ("definition", "values")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.values: dict[FieldKey, WireValue] = {}

    def __repr__(self) -> str:
        return f"<InstrumentState {self.definition.symbol!r} id={self.definition.id} fields={len(self.values)}>"

    def redefine(self, definition: Definition) -> None:
        """Replace the definition, and convert the numbers to its scales."""
        old = self.definition
        for key, value in self.values.items():
            kind = field_kind(key)
            if kind is Kind.PRICE and isinstance(value, int):
                self.values[key] = rescaled_number(value, old.price_scale, definition.price_scale)
            elif kind is Kind.SIZE and isinstance(value, int):
                self.values[key] = rescaled_number(value, old.size_scale, definition.size_scale)
        self.definition = definition

    def merge(self, fields: dict[FieldKey, WireValue]) -> None:
        """Apply changes; None withdraws a field."""
        for key, value in fields.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value

    def text(self, key: FieldKey, value: WireValue) -> str | int | None:
        """Return a value for people: prices, sizes and decimals as exact texts."""
        return shown_value(key, value, self.definition.price_scale, self.definition.size_scale)

    def fields(self, values: dict[FieldKey, WireValue]) -> Fields:
        """Return values of this instrument by field name."""
        named: Fields = {}
        for key, value in values.items():
            text = self.text(key, value)
            decimal = isinstance(value, tuple) or field_kind(key) in {Kind.PRICE, Kind.SIZE}
            named[field_name(key)] = Decimal(text) if decimal and text is not None else text
        return named

    def present(self) -> Fields:
        """Return the present values by field name."""
        return self.fields(self.values)


class Replica:
    """The copy. `wants` tells whether the client is subscribed to a symbol at the moment."""

    def __init__(self, wants: Callable[[str], bool]) -> None:
        self._wants = wants
        self.epoch = ""
        self.cursor = 0
        self.time = 0
        """Time at which the cut of the cursor was closed, in microseconds since 1970 UTC, by the server's clock."""
        self.resuming = False
        """Whether the reply to RESUME is still to come: the cut of a HEARTBEAT is then the server's, not the copy's."""
        self._definitions: dict[int, Definition] = {}
        self._defined_text = 0
        """Characters of all definitions."""
        self._ids: dict[str, int] = {}
        self._states: dict[int, InstrumentState] = {}
        self._by_symbol: dict[str, InstrumentState] = {}

    def __repr__(self) -> str:
        resuming = " resuming" if self.resuming else ""
        return f"<Replica epoch={self.epoch!r} cursor={self.cursor} instruments={len(self._states)}{resuming}>"

    def __iter__(self) -> Iterator[InstrumentState]:
        return iter(self._states.values())

    @property
    def symbols(self) -> KeysView[str]:
        """The symbols of the instruments in the copy."""
        return self._by_symbol.keys()

    def find(self, symbol: str) -> InstrumentState | None:
        """Return the state of an instrument; None if the copy does not hold it."""
        return self._by_symbol.get(symbol)

    def can_continue(self, message: Welcome) -> bool:
        """Return whether the server has the copy's epoch, and is not behind the copy."""
        return message.epoch == self.epoch and self.cursor <= message.cut

    def welcome(self, message: Welcome, *, resumable: bool) -> bool:
        """Begin a connection. Returns whether the copy is resumed on it; otherwise it is empty now."""
        self.resuming = resumable and self.can_continue(message)
        if not self.resuming:
            self.epoch = message.epoch
            self.cursor, self.time = message.cut, message.time
            self._definitions.clear()
            self._defined_text = 0
            self._ids.clear()
            self._states.clear()
            self._by_symbol.clear()
        return self.resuming

    def define(self, message: Instruments) -> None:
        """Take over definitions.

        Raises `ProtocolError` for one that contradicts an earlier one of this epoch; the copy is then as it was.
        """
        new: dict[int, Definition] = {}
        ids: dict[str, int] = {}
        text = self._defined_text
        for definition in message.definitions:
            known = new.get(definition.id) or self._definitions.get(definition.id)
            if known is not None and (
                known.symbol != definition.symbol
                or known.price_scale > definition.price_scale
                or known.size_scale > definition.size_scale
            ):
                raise ProtocolError(
                    Code.MALFORMED, f"instrument {definition.id}: a scale was lowered or the symbol changed"
                )
            if ids.setdefault(definition.symbol, self._ids.get(definition.symbol, definition.id)) != definition.id:
                raise ProtocolError(Code.MALFORMED, f"instrument {definition.id}: another one has its symbol")
            text += text_size(definition) - (text_size(known) if known is not None else 0)
            new[definition.id] = definition
        check_definitions(len(self._definitions.keys() | new.keys()), text)
        self._defined_text = text
        self._definitions |= new
        self._ids |= ids
        for number, definition in new.items():
            state = self._states.get(number)
            if state is not None:
                state.redefine(definition)

    def apply(self, message: Snapshot | Delta) -> dict[InstrumentState, dict[FieldKey, WireValue]]:
        """Apply a data message whole and return the fields that it changed, by instrument; None where one is gone.

        Raises `Gap` for one that does not follow the cursor, and `ProtocolError` for one that breaks the protocol; the
        copy is then as it was.
        """
        if message.since > self.cursor:
            raise Gap(message.since, self.cursor)
        if message.cut < self.cursor:
            raise ProtocolError(Code.MALFORMED, f"cut {message.cut} after cut {self.cursor}")
        changes = self._checked(message.changes)
        records = self._checked(message.records) if isinstance(message, Snapshot) else {}
        for number, fields in changes.items():
            state = self._states.get(number)
            if state is not None and len(state.values) + len(fields) > MOST_FIELDS:  # else there cannot be too many
                check_fields(number, state.values, fields)
        for number, fields in records.items():
            check_fields(number, (), fields)
        changed: dict[InstrumentState, dict[FieldKey, WireValue]] = {}
        for number, fields in changes.items():
            state = self._states.get(number)
            if state is not None:
                state.merge(fields)
                changed[state] = fields
        for number, fields in records.items():
            definition = self._definitions[number]
            if self._wants(definition.symbol):
                before = self._states.get(number)
                # Fields that the same message withdrew are gone as well.
                gone = {**changed.pop(before, {}), **dict.fromkeys(before.values)} if before is not None else {}
                state = InstrumentState(definition)
                state.merge(fields)
                self._states[number] = self._by_symbol[definition.symbol] = state
                changed[state] = {**gone, **fields}
        self.cursor, self.time = message.cut, message.time
        return changed

    def heartbeat(self, message: Heartbeat) -> None:
        """Move the cursor to a cut through which nothing has changed."""
        if message.cut >= self.cursor and not self.resuming:
            self.cursor, self.time = message.cut, message.time

    def drop_unwanted(self) -> list[InstrumentState]:
        """Remove the instruments that the client is no longer subscribed to, and return them."""
        dropped = [state for state in self._states.values() if not self._wants(state.definition.symbol)]
        for state in dropped:
            del self._states[state.definition.id]
            del self._by_symbol[state.definition.symbol]
        return dropped

    def _checked(self, entries: Sequence[Any]) -> dict[int, dict[FieldKey, WireValue]]:
        """Return entries by id. Raises `ProtocolError` for anything that is not an entry of a defined instrument."""
        if len(entries) % 2:
            raise ProtocolError(Code.MALFORMED, "entries come in pairs of id and fields")
        checked: dict[int, dict[FieldKey, WireValue]] = {}
        for number, fields in zip(entries[::2], entries[1::2], strict=True):
            if type(number) is not int or number not in self._definitions:
                raise ProtocolError(Code.MALFORMED, f"an entry of instrument {shown(number)}, which was not defined")
            if not isinstance(fields, dict) or number in checked:
                raise ProtocolError(Code.MALFORMED, f"instrument {number}: not one map of fields")
            known: dict[Any, Any] = {
                key: tuple(value) if type(value) is list else value
                for key, value in fields.items()
                if type(key) is not int or key in NAMES
            }
            if not all(type(key) in {int, str} and _is_allowed(key, value) for key, value in known.items()):
                raise ProtocolError(Code.MALFORMED, f"instrument {number}: a field has a value that it cannot have")
            checked[number] = known
        return checked


def _is_allowed(key: FieldKey, value: object) -> TypeGuard[WireValue]:
    """Return whether a standard field, or one of a feed's own, can have this value."""
    kind = field_kind(key)
    if type(key) is str and len(key) > MAX_FIELD_NAME:
        return False
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER and kind not in {Kind.TEXT, Kind.STATUS, Kind.ROWS}
    if type(value) is str:
        if kind in {Kind.PRICE, Kind.SIZE}:
            return is_plain_decimal(value)
        return kind not in {Kind.INTEGER, Kind.ROWS} and len(value) <= MAX_TEXT
    if type(value) is tuple:
        return kind is None and len(value) == 1 and type(value[0]) is str and is_plain_decimal(value[0])
    return value is None
