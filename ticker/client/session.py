"""The client's side of a conversation, as a state machine: payloads go in and out. No sockets, no clocks.

The rules:

1. What the user wants is a set of names (symbols and patterns). A name goes from *wanted* to *requested* (on this
   connection) to *confirmed* (its reply came, so the copy holds all of it).
2. On a new connection to the same epoch, confirmed names are resumed from the copy's cursor in the first request; only
   these may be, because only of these the copy holds everything. The others are subscribed.
3. To a new epoch nothing carries over. What the copy had then and does not get anew is reported as withdrawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ticker.client.replica import Fields, InstrumentState, Replica
from ticker.errors import Code, ProtocolError
from ticker.protocol.messages import (
    Delta,
    Error,
    Expiring,
    Goodbye,
    Heartbeat,
    Instruments,
    Reply,
    Snapshot,
    Welcome,
    parse_server_message,
)
from ticker.protocol.symbols import Match, matcher
from ticker.protocol.wire import Encoding

_REQUEST_OVERHEAD = 256
"""The bytes of a request besides its names, with room to spare."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server did not take a symbol or pattern, or does not know it (yet: code 6)."""

    name: str
    code: int
    text: str


class _Outcome(msgspec.Struct, array_like=True):
    """An element of `outcomes`; what stands behind these is of a later version."""

    name: str
    code: int
    text: str


@dataclass(slots=True)
class Received:
    """What a message from the server meant."""

    changes: dict[str, Fields] | None = None
    """Changed fields by symbol, if it brought data (perhaps none)."""
    refused: list[Refused] = field(default_factory=list)
    error: Error | None = None
    goodbye: Goodbye | None = None
    expiring: bool = False
    """A fresh token is wanted."""
    token_refused: str | None = None
    """Why the fresh token was not accepted: it may be of use to connect anew with it."""


class ClientSession:
    """One client over all its connections."""

    def __init__(self, encoding: Encoding, interval_ms: int | None = None) -> None:
        """`interval_ms` asks for at most one frame per so many milliseconds."""
        self.replica = Replica(self._asked_for)
        self.heartbeat_seconds = 0.0
        """How often the server gives a sign of life."""
        self._encoding = encoding
        self._interval_ms = interval_ms
        self._wanted: Counter[str] = Counter()
        self._requested: dict[str, None] = {}
        self._declined: set[str] = set()
        """Names that the server refused on this connection."""
        self._match: Match | None = None
        """Matches the symbols of the requested names; None until it is needed, as compiling patterns takes time."""
        self._in_sync: bool | None = True
        """Whether the requested names are the wanted ones; None until it is needed."""
        self._confirmed: set[str] = set()
        self._resume_first = False
        self._resume_id: int | None = None
        self._token_id: int | None = None
        self._awaited: dict[int, set[str]] = {}
        self._leaving: set[int] = set()
        """Unsubscribes without a reply: until it comes, data may be of before them."""
        self._last_id = 0
        self._welcome: Welcome | None = None
        self._vanishing: dict[str, Fields] = {}

    @property
    def settled(self) -> bool:
        """Whether the copy holds everything that is wanted and that the server has."""
        return not self._awaited and self._all_requested()

    @property
    def asks(self) -> bool:
        """Whether `requests` has names to ask for now."""
        return not self._leaving and not self._all_requested()

    def want(self, names: Iterable[str]) -> None:
        """Ask for names; one that is wanted twice has to be given up twice."""
        self._wanted.update(names)
        self._in_sync = None

    def give_up(self, names: Iterable[str]) -> None:
        """Take a `want` back."""
        self._wanted.subtract(names)
        self._wanted += Counter()
        self._in_sync = None

    def begin(self, payload: bytes | str) -> Welcome:
        """A connection begins with this payload. Raises `ProtocolError` if that is not WELCOME."""
        message = parse_server_message(self._encoding.decode_message(payload))
        if not isinstance(message, Welcome):
            raise ProtocolError(Code.MALFORMED, "the first message of a connection is WELCOME")
        self._welcome = message
        self.heartbeat_seconds = message.heartbeat_ms / 1000
        self._awaited.clear()
        self._leaving.clear()
        self._declined.clear()
        self._confirmed &= self._wanted.keys()
        self._ask_for(sorted(self._confirmed))
        self._drop_unwanted()
        kept = list(self.replica)
        # A resume is one message: a client with more names than fit into it starts anew.
        fits = len(self._encoding.encode_request({"op": "resume", "id": 2**53, **self._resume()})) <= self._room()
        self._resume_first = self.replica.welcome(message, resumable=fits and bool(self._confirmed))
        if not self._resume_first:
            self._vanishing |= _named_fields(kept)
            self._confirmed.clear()
            self._ask_for([])
        return message

    def requests(self) -> list[bytes | str]:
        """The payloads that have to be sent for the server to know what is wanted."""
        payloads: list[bytes | str] = []
        if self._resume_first:
            self._resume_first = False
            payloads.append(self._request("resume", **self._resume()))
            self._resume_id = self._last_id
        dropped = [name for name in self._requested if name not in self._wanted]
        added = [name for name in self._wanted if name not in self._requested]
        if dropped or self._leaving:
            # Records of an instrument that is given up and asked for again would be taken from before, and grow old.
            added = []
        self._ask_for([name for name in self._requested if name in self._wanted] + added)
        self._confirmed.difference_update(dropped)
        for names in self._awaited.values():
            names.difference_update(dropped)
        if dropped:
            self._drop_unwanted()
            for part in self._parts(dropped):
                payloads.append(self._request("unsubscribe", symbols=part))
                self._leaving.add(self._last_id)
        payloads += [self._request("subscribe", symbols=names, **self._interval()) for names in self._parts(added)]
        return payloads

    def receive(self, payload: bytes | str) -> Received:
        """Take one message in.

        Raises `ProtocolError` for what the protocol does not allow: the connection is then of no use any more, the copy
        is as it was, and a new connection can resume it.
        """
        message = parse_server_message(self._encoding.decode_message(payload))
        received = Received()
        if isinstance(message, Snapshot | Delta):
            received.changes = self._apply(message)
        elif isinstance(message, Instruments):
            self.replica.define(message)
        elif isinstance(message, Heartbeat):
            self.replica.beat(message)
        elif isinstance(message, Reply):
            self._settle(message, received)
        elif isinstance(message, Error):
            self._fail(message, received)
        elif isinstance(message, Goodbye):
            received.goodbye = message
        elif isinstance(message, Expiring):
            received.expiring = True
        return received

    def authenticate(self, token: str) -> bytes | str:
        """The payload that brings a fresh token."""
        payload = self._request("auth", token=token)
        self._token_id = self._last_id
        return payload

    def _resume(self) -> dict[str, Any]:
        epoch, cursor = self.replica.epoch, self.replica.cursor
        return {"epoch": epoch, "cursor": cursor, "symbols": list(self._requested), **self._interval()}

    def _apply(self, message: Snapshot | Delta) -> dict[str, Fields]:
        brought = self.replica.apply(message)
        changes = {state.definition.symbol: state.fields(fields) for state, fields in brought.items()}
        if self._vanishing:
            for symbol, fields in changes.items():
                gone = self._vanishing.pop(symbol, {}).keys() - fields.keys()
                fields.update(dict.fromkeys(gone))
        return changes

    def _settle(self, message: Reply, received: Received) -> None:
        """A request was answered: what it asked for is held now."""
        names = self._awaited.pop(message.id, set())
        self._leaving.discard(message.id)
        if message.id == self._resume_id:
            self._resume_id, self.replica.resuming = None, False
        received.refused = [each for each in _refused(message.result) if each.code != Code.NOT_SUBSCRIBED]
        # A symbol that the server does not know yet is held all the same: it joins when it appears.
        declined = {each.name for each in received.refused if each.code != Code.UNKNOWN_SYMBOL}
        self._confirmed |= names - declined
        if declined:
            self._forget(declined)
        if self.settled and self._vanishing:
            received.changes = {symbol: dict.fromkeys(fields) for symbol, fields in self._vanishing.items()}
            self._vanishing = {}

    def _forget(self, declined: set[str]) -> None:
        """The server does not serve these names (any more): what was resumed for them would only grow old."""
        self._declined |= declined
        self._ask_for(list(self._requested))
        self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Drop what is not asked for, at least for now: whoever asks for it again may have seen what it had."""
        self._vanishing |= _named_fields(self.replica.drop_unwanted())

    def _fail(self, message: Error, received: Received) -> None:
        """A request was refused whole; if it was the resume, the copy is of no use, and everything is asked anew."""
        received.error = message
        if message.id is not None and message.id == self._token_id:
            received.token_refused = message.text
        names = self._awaited.pop(message.id, set()) if message.id is not None else set()
        self._leaving.discard(message.id or 0)
        if self._welcome is not None and message.id is not None and message.id == self._resume_id:
            self._resume_id = None
            self._vanishing |= _named_fields(self.replica)
            self.replica.welcome(self._welcome, resumable=False)
            self._confirmed.clear()
            self._ask_for([name for name in self._requested if name not in names])
        else:
            received.refused = [Refused(name, message.code, message.text) for name in sorted(names)]

    def _room(self) -> int:
        """The most bytes that a request may have."""
        return self._welcome.limits.get("max_message_bytes", 65_536) if self._welcome is not None else 65_536

    def _parts(self, names: list[str]) -> Iterator[list[str]]:
        """The names in parts that each fit into a request."""
        part: list[str] = []
        room = self._room() - _REQUEST_OVERHEAD
        for name in names:
            size = len(self._encoding.encode_request({name: 0}))
            if part and size > room:
                yield part
                part, room = [], self._room() - _REQUEST_OVERHEAD
            part.append(name)
            room -= size
        if part:
            yield part

    def _request(self, op: str, **request: Any) -> bytes | str:  # noqa: ANN401  # the fields of any request
        self._last_id += 1
        self._awaited[self._last_id] = set() if op in {"unsubscribe", "auth"} else set(request["symbols"])
        return self._encoding.encode_request({"op": op, "id": self._last_id, **request})

    def _interval(self) -> dict[str, int]:
        return {} if self._interval_ms is None else {"interval_ms": self._interval_ms}

    def _ask_for(self, names: Iterable[str]) -> None:
        self._requested = dict.fromkeys(names)
        self._in_sync = self._match = None

    def _asked_for(self, symbol: str) -> bool:
        if self._match is None:
            self._match = matcher(self._requested.keys() - self._declined)
        return bool(self._match(symbol))

    def _all_requested(self) -> bool:
        """Whether the requested names are the wanted ones, compared only after either has changed."""
        if self._in_sync is None:
            self._in_sync = self._requested.keys() == self._wanted.keys()
        return self._in_sync


def _named_fields(states: Iterable[InstrumentState]) -> dict[str, Fields]:
    """The present fields of instruments by symbol."""
    return {state.definition.symbol: state.fields(state.values) for state in states}


def _refused(result: dict[str, Any]) -> list[Refused]:
    """The outcomes of a reply that are not OK. Raises `ProtocolError` for outcomes that are none."""
    try:
        outcomes = msgspec.convert(result.get("outcomes", []), list[_Outcome])
    except msgspec.ValidationError as error:
        raise ProtocolError(Code.MALFORMED, f"outcomes are [name, code, text]: {error}") from None
    return [Refused(each.name, each.code, each.text) for each in outcomes if each.code != Code.OK]
