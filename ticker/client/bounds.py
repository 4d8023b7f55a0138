"""Limits on the data that a server can make a client keep: beyond them, a message breaks the protocol. Pure.

They are far above the amounts that a service sends. One message is bounded by the connection, and texts for people by
`ticker.texts`; all else that a server can send without end (replies, errors, outcomes of names that were never asked
for) is not kept at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ticker.errors import Code, ProtocolError
from ticker.market import MAX_FIELDS, MAX_METADATA, MAX_TEXT, FieldKey, is_symbol
from ticker.protocol.messages import Definition
from ticker.protocol.symbols import is_table
from ticker.texts import shown

MAX_DEFINITIONS = 500_000
"""Instruments that one epoch may define."""

MAX_DEFINED_TEXT = 2**27
"""Characters of their symbols and metadata together."""

MOST_FIELDS = MAX_FIELDS + 2
"""Fields of an instrument with `status` and `reason`, which the service can always add."""

MAX_ROWS = 4_000_000
"""Rows for which the tables of a copy have room, together."""

MAX_START = 10**11
"""The most seconds between the start of a bar and 1970 UTC, before or after: what lies beyond has no date."""

MAX_FIELD_NAME = 32
"""Characters of the name of a feed's own field."""


def text_size(definition: Definition) -> int:
    """Return the number of characters in a definition.

    Raises `ProtocolError` if its symbol cannot be one, or if its metadata are more than may be.
    """
    metadata = definition.metadata
    if not (is_symbol(definition.symbol) or is_table(definition.symbol)):
        text = f"instrument {definition.id}: {shown(definition.symbol)} is no symbol, and no table of one"
        raise ProtocolError(Code.MALFORMED, text)
    if len(metadata) > MAX_METADATA or any(len(key) > MAX_TEXT or len(metadata[key]) > MAX_TEXT for key in metadata):
        text = f"instrument {definition.id}: more than {MAX_METADATA} metadata of {MAX_TEXT} characters"
        raise ProtocolError(Code.MALFORMED, text)
    return len(definition.symbol) + sum(len(key) + len(text) for key, text in metadata.items())


def check_definitions(count: int, text: int) -> None:
    """Check the number of definitions of an epoch, and of their characters. Raises `ProtocolError`."""
    if count > MAX_DEFINITIONS:
        raise ProtocolError(Code.MALFORMED, f"more than {MAX_DEFINITIONS} instruments were defined")
    if text > MAX_DEFINED_TEXT:
        raise ProtocolError(Code.MALFORMED, f"the definitions have more than {MAX_DEFINED_TEXT} characters")


def check_fields(number: int, held: Collection[FieldKey], new: Mapping[FieldKey, object]) -> None:
    """Check the fields that an instrument has after a change. Raises `ProtocolError`."""
    if len(held) + len(new) <= MOST_FIELDS:
        return
    gone = {key for key, value in new.items() if value is None}
    if len({*held, *new} - gone) > MOST_FIELDS:
        raise ProtocolError(Code.MALFORMED, f"instrument {number}: more than {MOST_FIELDS} fields")


def check_rows(count: int) -> None:
    """Check the number of rows for which all tables of a copy have room. Raises `ProtocolError`."""
    if count > MAX_ROWS:
        raise ProtocolError(Code.MALFORMED, f"the tables have room for more than {MAX_ROWS} rows")
