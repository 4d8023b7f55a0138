"""The definitions that hold now: those of instruments in an epoch, those of tables on a connection. Pure.

An instrument's id is 0 or higher, and the same at every server of the epoch. A table's is negative, and belongs to one
connection: the next one gives the table another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ticker.client.bounds import check_definitions, text_size
from ticker.client.table_state import table_name
from ticker.errors import Code, ProtocolError
from ticker.protocol.messages import Definition
from ticker.protocol.tables import TableName
from ticker.texts import shown


class Definitions:
    """Definitions by id. Others read `by_id` and `tables` for each record of each message, and change neither."""

    def __init__(self) -> None:
        self.by_id: dict[int, Definition] = {}
        self._ids: dict[str, int] = {}
        self.tables: dict[int, TableName] = {}
        """Those that are tables."""
        self._text = 0
        """Characters of all definitions."""

    def __repr__(self) -> str:
        return f"<Definitions: {len(self.by_id)}, of them {len(self.tables)} tables>"

    def clear(self) -> None:
        """Forget all definitions: they are those of another epoch."""
        self.by_id.clear()
        self._ids.clear()
        self.tables.clear()
        self._text = 0

    def forget_tables(self) -> None:
        """Forget the definitions of tables: they are those of another connection."""
        for number in list(self.tables):
            definition = self.by_id.pop(number)
            self._text -= text_size(definition)
            del self._ids[definition.symbol], self.tables[number]

    def add(self, definitions: Sequence[Definition], held: Callable[[str], Definition | None]) -> dict[int, Definition]:
        """Take over definitions, all or none, and return them by id.

        `held` returns the definition by which the numbers of a record in the copy are read. Raises `ProtocolError` for
        one that contradicts it, or another definition.
        """
        new: dict[int, Definition] = {}
        ids: dict[str, int] = {}
        text = self._text
        for definition in definitions:
            number, symbol = definition.id, definition.symbol
            known = new.get(number) or self.by_id.get(number)
            text += text_size(definition) - (text_size(known) if known is not None else 0)
            _check_scales(known or held(symbol), definition)
            if ids.setdefault(symbol, self._ids.get(symbol, number)) != number:
                raise ProtocolError(Code.MALFORMED, f"instrument {number}: another one has its symbol")
            if (number < 0) != (table_name(symbol) is not None):
                reason = f"{shown(symbol)}: the id {number}; those of tables are negative, and no others"
                raise ProtocolError(Code.MALFORMED, reason)
            new[number] = definition
        check_definitions(len(self.by_id) + sum(number not in self.by_id for number in new), text)
        self._text = text
        self.by_id |= new
        self._ids |= ids
        for number, definition in new.items():
            table = table_name(definition.symbol)
            if table is not None:
                self.tables[number] = table
        return new


def _check_scales(known: Definition | None, definition: Definition) -> None:
    """Check a definition against an earlier one of the same record. Raises `ProtocolError`."""
    if known is not None and (
        known.symbol != definition.symbol
        or known.price_scale > definition.price_scale
        or known.size_scale > definition.size_scale
    ):
        reason = f"instrument {definition.id}: a scale was lowered or the symbol changed"
        raise ProtocolError(Code.MALFORMED, reason)
