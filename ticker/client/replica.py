"""A client's copy of the market after each message. No sockets, no clocks.

The rules are those of PROTOCOL.md, section 6:

1. WELCOME starts a connection. Its epoch names the cache that cuts and ids of instruments belong to. Ids of tables
   belong to the connection: a copy that is resumed keeps its tables by name, until INSTRUMENTS gives them new ids.
2. INSTRUMENTS says how to read a record's numbers. Scales only rise, and a higher scale changes no value.
3. DELTA and SNAPSHOT are applied whole, if their `since` is not beyond the cursor: changes are merged into the records
   that the client holds, then the complete records of a SNAPSHOT replace earlier ones. Changes of records that the
   client does not hold are ignored.
4. REMOVED takes records out of the copy. So the server alone says what belongs to it.
5. After each of these, the copy equals the server's at `cut`, across all its records, and the cursor is `cut`.

A record is that of an instrument (`InstrumentState`) or of a table (`TableState`).
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Sequence
from decimal import Decimal
from typing import Any, TypeAlias, TypeGuard, cast

from ticker.client.bounds import (
    MAX_FIELD_NAME,
    MOST_FIELDS,
    check_fields,
    check_rows,
)
from ticker.client.definitions import Definitions
from ticker.client.statuses import known_status
from ticker.client.table_state import (
    FIELDS_OF,
    TableFields,
    TableState,
    check_side,
    checked_rows,
)
from ticker.errors import Code, Gap, ProtocolError
from ticker.market import MAX_TEXT, NAMES, Field, FieldKey, Kind, WireValue, field_kind, field_name, shown_value
from ticker.numbers import MAX_INTEGER, is_plain_decimal, rescaled_number
from ticker.protocol.digest import record_checksum, total
from ticker.protocol.messages import Definition, Delta, Heartbeat, Instruments, Removed, Snapshot, Welcome
from ticker.protocol.tables import BOOK, TableName
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

    def wire(self) -> dict[FieldKey, WireValue]:
        """Return the present fields as on the wire."""
        return self.values

    def fields(self, values: dict[FieldKey, WireValue]) -> Fields:
        """Return values of this instrument by field name."""
        named: Fields = {}
        for key, value in values.items():
            text = self.text(key, value)
            decimal = isinstance(value, tuple) or field_kind(key) in {Kind.PRICE, Kind.SIZE}
            named[field_name(key)] = Decimal(text) if decimal and text is not None else text
        if named.get("status") is not None:
            named["status"] = known_status(named["status"])
        return named

    def present(self) -> Fields:
        """Return the present values by field name."""
        return self.fields(self.values)


State: TypeAlias = InstrumentState | TableState
"""A record of the copy."""

Changed: TypeAlias = dict[State, dict[FieldKey, WireValue]]
"""The records that a message touched: of instruments with the fields that it changed, of tables with nothing."""


class Replica:
    """The copy."""

    def __init__(self) -> None:
        self.epoch = ""
        self.cursor = 0
        self.time = 0
        """Time at which the cut of the cursor was closed, in microseconds since 1970 UTC, by the server's clock."""
        self.run = 0
        """Number of the server's life, as far as the client can tell: numbers of prints begin anew with each."""
        self.resuming = False
        """Whether the reply to RESUME is still to come: the cut of a HEARTBEAT is then the server's, not the copy's."""
        self._definitions = Definitions()
        self._rows = 0
        """Rows for which the tables of the copy have room."""
        self._states: dict[int, State] = {}
        """The records by id; without tables that have none on this connection so far."""
        self._unnumbered: dict[str, State] = {}
        """Those tables, by name: what has no id when the first data of a resume come is not there any more."""
        self._by_symbol: dict[str, State] = {}

    def __repr__(self) -> str:
        resuming = " resuming" if self.resuming else ""
        return f"<Replica epoch={self.epoch!r} cursor={self.cursor} records={len(self._by_symbol)}{resuming}>"

    def __iter__(self) -> Iterator[State]:
        return iter(self._by_symbol.values())

    @property
    def symbols(self) -> KeysView[str]:
        """The names of the records in the copy."""
        return self._by_symbol.keys()

    def find(self, symbol: str) -> InstrumentState | None:
        """Return the state of an instrument; None if the copy does not hold it."""
        state = self._by_symbol.get(symbol)
        return state if isinstance(state, InstrumentState) else None

    def find_table(self, name: str) -> TableState | None:
        """Return the state of a table; None if the copy does not hold it."""
        state = self._by_symbol.get(name)
        return state if isinstance(state, TableState) else None

    def digest(self) -> int:
        """Return the checksum of the copy (PROTOCOL.md, section 5); tables without an id do not count."""
        return total(
            record_checksum(number, (state.definition.price_scale, state.definition.size_scale), state.wire())
            for number, state in self._states.items()
        )

    def can_continue(self, message: Welcome) -> bool:
        """Return whether the server has the copy's epoch. One that is behind the copy answers once it has caught up."""
        return message.epoch == self.epoch

    def welcome(self, message: Welcome, *, resumable: bool) -> bool:
        """Begin a connection. Returns whether the copy is resumed on it; otherwise it is empty now."""
        self.resuming = resumable and self.can_continue(message)
        if self.resuming:
            self._definitions.forget_tables()
            tables = {number: state for number, state in self._states.items() if number < 0}
            self._unnumbered |= {state.definition.symbol: state for state in tables.values()}
            self._states = {number: state for number, state in self._states.items() if number not in tables}
            return True
        if message.epoch != self.epoch:
            self.run += 1
        self.epoch = message.epoch
        self.cursor, self.time = message.cut, message.time
        self._definitions.clear()
        self._rows = 0
        self._states.clear()
        self._unnumbered.clear()
        self._by_symbol.clear()
        return False

    def resumed(self) -> list[State]:
        """The copy is up to date with the server. Returns tables that the server does not have: they left the copy."""
        self.resuming = False
        return self._drop_unnumbered()

    def define(self, message: Instruments) -> None:
        """Take over definitions.

        Raises `ProtocolError` for one that contradicts an earlier one; the copy is then as it was.
        """
        for number, definition in self._definitions.add(message.definitions, self._definition_of).items():
            state = self._by_symbol.get(definition.symbol)
            if state is not None:
                state.redefine(definition)
                self._states[number] = state
                self._unnumbered.pop(definition.symbol, None)

    def apply(self, message: Snapshot | Delta) -> Changed:
        """Apply a data message whole and return what it changed; a value is None where a field is gone.

        Raises `Gap` for one that does not follow the cursor, and `ProtocolError` for one that breaks the protocol; the
        copy is then as it was.
        """
        self._check_step(message)
        changes = self._checked(message.changes)
        records = self._checked(message.records) if isinstance(message, Snapshot) else {}
        self._check_changes(changes)
        rows = self._check_records(records)
        changed: Changed = {}
        for number, fields in changes.items():
            state = self._states.get(number)
            if isinstance(state, TableState):
                state.merge(fields)
                changed[state] = {}
            elif state is not None:
                changed[state] = plain = _plain(fields)
                state.merge(plain)
        for number, fields in records.items():
            self._replace(number, fields, changed)
        self._rows = rows
        if self._unnumbered:
            changed |= {state: {} for state in self._drop_unnumbered()}
        self.cursor, self.time = message.cut, message.time
        return changed

    def remove(self, message: Removed) -> list[State]:
        """Take records out of the copy, and return those that it held.

        Raises `Gap` and `ProtocolError` as `apply` does.
        """
        self._check_step(message)
        removed = [self._states.pop(number) for number in message.ids if number in self._states]
        for state in removed:
            self._forget(state)
        removed += self._drop_unnumbered()
        self.cursor = message.cut
        return removed

    def heartbeat(self, message: Heartbeat) -> None:
        """Move the cursor to a cut through which nothing has changed."""
        if message.cut >= self.cursor and not self.resuming:
            self.cursor, self.time = message.cut, message.time

    def _definition_of(self, name: str) -> Definition | None:
        state = self._by_symbol.get(name)
        return state.definition if state is not None else None

    def _drop_unnumbered(self) -> list[State]:
        gone, self._unnumbered = list(self._unnumbered.values()), {}
        for state in gone:
            self._forget(state)
        return gone

    def _forget(self, state: State) -> None:
        del self._by_symbol[state.definition.symbol]
        if isinstance(state, TableState):
            self._rows -= _room(state.table)

    def _replace(self, number: int, fields: TableFields, changed: Changed) -> None:
        """Hold this complete record of an instrument or a table in place of any earlier one."""
        definition = self._definitions.by_id[number]
        before = self._states.get(number)
        if number in self._definitions.tables:
            name = self._definitions.tables[number]
            table = before if isinstance(before, TableState) else TableState(definition, name)
            table.replace(fields)
            self._states[number] = self._by_symbol[definition.symbol] = table
            changed[table] = {}
            return
        plain = _plain(fields)
        state = InstrumentState(definition)
        state.merge(plain)
        self._states[number] = self._by_symbol[definition.symbol] = state
        if before is not None:  # fields that the same message withdrew are gone as well
            plain = {**changed.pop(before, {}), **dict.fromkeys(before.values), **plain}
        changed[state] = plain

    def _check_step(self, message: Snapshot | Delta | Removed) -> None:
        """Check that a message follows the cursor. Raises `ProtocolError`."""
        if message.since > self.cursor:
            raise Gap(message.since, self.cursor)
        if message.cut < self.cursor:
            raise ProtocolError(Code.MALFORMED, f"cut {message.cut} after cut {self.cursor}")

    def _check_changes(self, changes: dict[int, TableFields]) -> None:
        """Check that no record held grows beyond its limits. Raises `ProtocolError`."""
        for number, fields in changes.items():
            state = self._states.get(number)
            if isinstance(state, TableState):
                state.check_merge(fields)
            if state is not None and len(state.values) + len(fields) > MOST_FIELDS:  # else there cannot be too many
                check_fields(number, state.values, fields)

    def _check_records(self, records: dict[int, TableFields]) -> int:
        """Check complete records, and return the rows for which all tables then have room. Raises `ProtocolError`."""
        room, tables = self._rows, self._definitions.tables
        for number, fields in records.items():
            check_fields(number, (), fields)
            table = tables.get(number)
            if table is None:
                continue
            if number not in self._states:
                room += _room(table)
            for field in FIELDS_OF[table.kind] if table.kind == BOOK else ():
                rows = fields.get(field)
                if isinstance(rows, dict):
                    check_side(self._definitions.by_id[number], table, rows)
        check_rows(room)
        return room

    def _checked(self, entries: Sequence[Any]) -> dict[int, TableFields]:
        """Return entries by id. Raises `ProtocolError` for anything that is not an entry of a defined record."""
        if len(entries) % 2:
            raise ProtocolError(Code.MALFORMED, "entries come in pairs of id and fields")
        definitions, tables = self._definitions.by_id, self._definitions.tables
        checked: dict[int, TableFields] = {}
        for number, fields in zip(entries[::2], entries[1::2], strict=True):
            if type(number) is not int or number not in definitions:
                raise ProtocolError(Code.MALFORMED, f"an entry of instrument {shown(number)}, which was not defined")
            if not isinstance(fields, dict) or number in checked:
                raise ProtocolError(Code.MALFORMED, f"instrument {number}: not one map of fields")
            rows = _rows_of(definitions[number], tables[number], fields) if number in tables else None
            known: dict[Any, Any] = {
                key: tuple(value) if type(value) is list else value
                for key, value in fields.items()
                if (type(key) is not int or key in NAMES) and (rows is None or key not in rows)
            }
            if not all(type(key) in {int, str} and _is_allowed(key, value) for key, value in known.items()):
                raise ProtocolError(Code.MALFORMED, f"instrument {number}: a field has a value that it cannot have")
            checked[number] = {**known, **rows} if rows is not None else known
        return checked


def _rows_of(definition: Definition, table: TableName, fields: dict[Any, Any]) -> TableFields:
    """Return the rows in the fields of a table, by their key. Raises `ProtocolError`."""
    rows: TableFields = {}
    for key, value in fields.items():
        if type(key) is int and key in FIELDS_OF[table.kind]:
            rows[key] = checked_rows(definition, key, value)
        elif type(key) is not int or (key in NAMES and key not in {Field.STATUS, Field.REASON}):
            raise ProtocolError(Code.MALFORMED, f"{definition.symbol}: a table has no field {shown(key)}")
    return rows


def _plain(fields: TableFields) -> dict[FieldKey, WireValue]:
    """Return the fields of an instrument, none of which has rows."""
    return cast("dict[FieldKey, WireValue]", fields)


def _room(table: TableName) -> int:
    return table.rows * len(FIELDS_OF[table.kind])


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
