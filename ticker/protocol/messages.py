"""The messages of protocol version 1 (PROTOCOL.md), each declared once: shape, types and meaning.

Server messages are arrays that start with a small integer kind. A receiver ignores unknown kinds and further elements,
so that the protocol can grow. Client requests are maps with `op` and `id`; the server refuses unknown keys, because
there an unknown key is a typing mistake.

Bytes are the subject of `wire`, which turns messages into payloads and back.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ticker.bounds import MAX_REQUEST_NAMES, MAX_SELECTIONS
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_FIELDS, MAX_SYMBOL
from ticker.numbers import MAX_INTEGER, MAX_SCALE
from ticker.protocol.tables import MAX_NAME
from ticker.texts import shown

PROTOCOL_VERSION = 1

Natural: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
"""An integer from 0 to 2**53 - 1."""

RecordId: TypeAlias = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""The id of a record: of an instrument from 0 on, for an epoch; of a table below 0, for a connection."""

Scale: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SCALE)]
"""A number of decimal places."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
"""A symbol, perhaps with a table."""

Match: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_SYMBOL)]
"""A symbol or a pattern (with * or ? or [...])."""

Names: TypeAlias = Annotated[list[str], Meta(max_length=MAX_REQUEST_NAMES)]
"""The names of a request. Each has an outcome of its own, so a wrong one does not make the request invalid."""


FieldNames: TypeAlias = Annotated[
    list[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]], Meta(min_length=1, max_length=MAX_FIELDS)
]
"""The fields that are wanted of instruments."""


class MessageKind(IntEnum):
    """The first element of every server message."""

    WELCOME = 1
    REPLY = 2
    ERROR = 3
    INSTRUMENTS = 4
    SNAPSHOT = 5
    DELTA = 6
    HEARTBEAT = 7
    GOODBYE = 8
    EXPIRING = 9
    REMOVED = 10
    SOURCE = 11


class Close(IntEnum):
    """The codes with which a server ends a WebSocket (PROTOCOL.md, section 8; RFC 6455, section 7.4)."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    WRONG_ENCODING = 1003
    MALFORMED = 1007
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    TOKEN_EXPIRED = 4001
    STALLED = 4008

    @property
    def come_back(self) -> bool:
        """Whether a client should connect again: not after a mistake of its own, which it would only repeat."""
        return self in {Close.GOING_AWAY, Close.INTERNAL_ERROR, Close.TOKEN_EXPIRED, Close.STALLED}


# Server messages


class Welcome(Struct, array_like=True, tag=int(MessageKind.WELCOME), frozen=True):
    """The first message of a connection. The client's copy is empty and its cursor is `cut`."""

    protocol: Natural
    epoch: str
    session: str
    cut: Natural
    time: Natural
    heartbeat_ms: Natural
    limits: dict[str, Natural]
    features: dict[str, Any] = {}


class Reply(Struct, array_like=True, tag=int(MessageKind.REPLY), frozen=True):
    """The answer to the request with this `id`, after the data of the request."""

    id: Natural
    result: dict[str, Any]


class Error(Struct, array_like=True, tag=int(MessageKind.ERROR), frozen=True):
    """A request (`id`, or nil if it had none that could be read) failed; if `fatal`, the connection is closed next."""

    id: Natural | None
    code: Natural
    text: str
    fatal: bool


class Definition(Struct, array_like=True, frozen=True):
    """One instrument or table: its id, and how to read its numbers."""

    id: RecordId
    symbol: Name
    price_scale: Scale
    size_scale: Scale
    metadata: dict[str, str]


class Instruments(Struct, array_like=True, tag=int(MessageKind.INSTRUMENTS), frozen=True):
    """Definitions, before the first entry that needs them."""

    definitions: list[Definition]


class Delta(Struct, array_like=True, tag=int(MessageKind.DELTA), frozen=True):
    """All changes after `since`, through `cut`, of the instruments in the client's copy.

    `changes` is id, fields, id, fields, ...; a field that is nil was withdrawn.
    """

    since: Natural
    cut: Natural
    time: Natural
    changes: list[Any]


class Snapshot(Struct, array_like=True, tag=int(MessageKind.SNAPSHOT), frozen=True):
    """A delta with complete records, in `records`, of instruments that are new to the client."""

    since: Natural
    cut: Natural
    time: Natural
    changes: list[Any]
    records: list[Any]


class Heartbeat(Struct, array_like=True, tag=int(MessageKind.HEARTBEAT), frozen=True):
    """Nothing was sent for a while; the copy is complete through `cut`."""

    cut: Natural
    time: Natural


class Goodbye(Struct, array_like=True, tag=int(MessageKind.GOODBYE), frozen=True):
    """The server is about to close. Come back, if at all, after `retry_ms`."""

    reason: str
    retry_ms: Natural
    come_back: bool


class Expiring(Struct, array_like=True, tag=int(MessageKind.EXPIRING), frozen=True):
    """The client's token expires at `time`, and the connection with it unless an `auth` request brings a fresh one."""

    time: Natural


class Removed(Struct, array_like=True, tag=int(MessageKind.REMOVED), frozen=True):
    """These instruments and tables leave the client's copy: it is not subscribed to them any more."""

    since: Natural
    cut: Natural
    ids: list[RecordId]


class Source(Struct, array_like=True, tag=int(MessageKind.SOURCE), frozen=True):
    """The server has heard nothing from the source of its data since then, in microseconds; None: it hears it again."""

    since: Natural | None


ServerMessage: TypeAlias = (
    Welcome | Reply | Error | Instruments | Snapshot | Delta | Heartbeat | Goodbye | Expiring | Removed | Source
)


# Client requests


class Subscribe(Struct, tag_field="op", tag="subscribe", forbid_unknown_fields=True, frozen=True):
    """Add symbols and patterns; `interval_ms`, if given, holds for the whole connection from now on.

    With `fields`, only these are wanted of what the names match; without, all.
    """

    id: Natural
    symbols: Names
    interval_ms: Natural | UnsetType = UNSET
    fields: FieldNames | UnsetType = UNSET


class Unsubscribe(Struct, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True, frozen=True):
    """Take back symbols and patterns, written as they were subscribed."""

    id: Natural
    symbols: Names


class Subscriptions(Struct, tag_field="op", tag="subscriptions", forbid_unknown_fields=True, frozen=True):
    """Ask for the subscribed names of this connection."""

    id: Natural


class FindInstruments(Struct, tag_field="op", tag="instruments", forbid_unknown_fields=True, frozen=True):
    """Ask which instruments match a pattern and have all words of a text, in the order of their symbols, from behind
    `after` on."""

    id: Natural
    match: Match = "*"
    after: str = ""
    text: Annotated[str, Meta(max_length=MAX_SYMBOL)] = ""


class Selected(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Names of which only these fields are wanted."""

    fields: FieldNames
    symbols: Names


class Resume(Struct, tag_field="op", tag="resume", forbid_unknown_fields=True, frozen=True):
    """Go on, on a new connection, from the cursor of an old one, with the names that were confirmed there.

    `forget` are names of which the copy may hold something that no other name keeps: those without a reply, and those
    given up since. What only they match is in REMOVED. `symbols` are the names of which all fields are wanted,
    `selected` the others.
    """

    id: Natural
    epoch: str
    cursor: Natural
    symbols: Names
    forget: Names = []
    selected: Annotated[list[Selected], Meta(max_length=MAX_SELECTIONS)] = []
    interval_ms: Natural | UnsetType = UNSET


class Ping(Struct, tag_field="op", tag="ping", forbid_unknown_fields=True, frozen=True):
    """Ask for a sign of life: the reply carries the server's cut and time."""

    id: Natural


class Authenticate(Struct, tag_field="op", tag="auth", forbid_unknown_fields=True, frozen=True):
    """Bring a fresh token of the same `sub` and `symbols`, before the present one expires."""

    id: Natural
    token: str

    def __repr__(self) -> str:
        return f"Authenticate(id={self.id}, token=...)"


class Stats(Struct, tag_field="op", tag="stats", forbid_unknown_fields=True, frozen=True):
    """Ask for the counters of this connection."""

    id: Natural


class Digest(Struct, tag_field="op", tag="digest", forbid_unknown_fields=True, frozen=True):
    """Ask for the checksum of the copy that the client should have (`ticker.protocol.digest`)."""

    id: Natural


Request: TypeAlias = (
    Subscribe | Unsubscribe | Subscriptions | FindInstruments | Resume | Ping | Authenticate | Stats | Digest
)

OPS = ("subscribe", "unsubscribe", "subscriptions", "instruments", "resume", "ping", "auth", "stats", "digest")


class BadRequest(ProtocolError):
    """A client message that is not a request; `error` answers it."""

    def __init__(self, number: int | None, code: Code, text: str, *, fatal: bool = False) -> None:
        super().__init__(code, text)
        self.error = Error(number, code, text, fatal)


def parse_request(message: object) -> Request:
    """Return a decoded client message as a request. Raises `BadRequest` with the ERROR that answers it."""
    if not isinstance(message, dict):
        raise BadRequest(None, Code.MALFORMED, "a message is a map with the keys op and id", fatal=True)
    number = message.get("id")
    known_id = number if type(number) is int and 0 <= number <= MAX_INTEGER else None
    op = message.get("op")
    if not isinstance(op, str):
        raise BadRequest(known_id, Code.BAD_REQUEST, "a request has a text op; there are: " + ", ".join(OPS))
    if op not in OPS:
        raise BadRequest(known_id, Code.UNKNOWN_OP, f"unknown op {shown(op[:40])}; there are: {', '.join(OPS)}")
    try:
        request: Request = msgspec.convert(message, Request)
    except msgspec.ValidationError as error:
        raise BadRequest(known_id, Code.BAD_REQUEST, f"{op}: {error}"[:300]) from None
    return request


def parse_server_message(message: object) -> ServerMessage | None:
    """Return a decoded server message, or None for an unknown kind.

    Raises `ProtocolError` for anything but a message of its kind's shape.
    """
    if not isinstance(message, list) or not message or type(message[0]) is not int:
        raise ProtocolError(Code.MALFORMED, "a server message is an array that starts with an integer kind")
    if message[0] not in _KINDS:
        return None
    try:
        parsed: ServerMessage = msgspec.convert(message, ServerMessage)
    except msgspec.ValidationError as error:
        kind = MessageKind(message[0]).name
        raise ProtocolError(Code.MALFORMED, f"{kind}: {error}") from None
    return parsed


_KINDS = frozenset(int(kind) for kind in MessageKind)
