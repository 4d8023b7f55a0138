"""The client's side of a conversation, as a state machine: payloads go in and out. No sockets, no clocks.

The rules:

1. The user subscribes to names (symbols and patterns). A name goes from *wanted* to *requested* (on this connection) to
   *confirmed* (its reply came, so the copy holds all of it).
2. On a new connection to the same epoch, confirmed names are resumed from the copy's cursor in the first request
   (`ticker.client.resume` decides). The others are subscribed.
3. Nothing carries over to a new epoch. Fields of the copy that do not come again are reported as withdrawn.
4. A name that was removed and added again is requested only after the reply to its unsubscribe: earlier records may be
   older than the rest of the copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, KeysView
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ticker.client.events import Refused
from ticker.client.replica import Fields, Replica
from ticker.client.resume import VanishedFields, max_request_bytes, may_resume
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_TEXT
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
from ticker.texts import excerpt

_REQUEST_OVERHEAD = 256
"""Bytes of a request besides its names, with room to spare."""


class _Outcome(msgspec.Struct, array_like=True):
    """An element of `outcomes`; further items are of a later version."""

    name: str
    code: int
    text: str


@dataclass(slots=True)
class Received:
    """The meaning of a message from the server."""

    changes: dict[str, Fields] | None = None
    """Changed fields by symbol, if it brought data (perhaps none)."""
    refused: list[Refused] = field(default_factory=list)
    answered: bool = False
    """Whether it answered a request: the copy may be complete for more names."""
    error: Error | None = None
    goodbye: Goodbye | None = None
    expiring: bool = False
    """Whether the server asks for a fresh token."""
    token_refused: str | None = None
    """The reason why the fresh token was not accepted; a new connection with it may be."""


class ClientSession:
    """One client over all its connections."""

    def __init__(self, encoding: Encoding, interval_ms: int | None = None) -> None:
        """`interval_ms` asks for at most one frame per so many milliseconds."""
        self.replica = Replica(self._wants)
        self.heartbeat_seconds = 0.0
        """Interval at which the server gives a sign of life; 0 if it gives none."""
        self._encoding = encoding
        self._interval_ms = interval_ms
        self._wanted: Counter[str] = Counter()
        self._requested: dict[str, None] = {}
        self._declined: set[str] = set()
        """Names that the server declined on this connection."""
        self._match: Match | None = None
        """Matches the symbols of the requested names; None until it is needed, as compiling patterns takes time."""
        self._in_sync: bool | None = None
        """Whether the requested names are the wanted ones; None until it is needed."""
        self._confirmed: set[str] = set()
        self._answered: set[str] = set()
        """Names for which the server has answered on this connection, in whatever way."""
        self._failed: set[str] = set()
        """Names of requests that were refused whole on this connection."""
        self._resume_first = False
        self._resume_id: int | None = None
        self._token_id: int | None = None
        self._unanswered: dict[int, set[str]] = {}
        self._unsubscribing: set[int] = set()
        """Ids of unsubscribes without a reply: until it comes, data may be from before them."""
        self._last_id = 0
        self._welcome: Welcome | None = None
        self._vanished = VanishedFields()

    def __repr__(self) -> str:
        names = f"wanted={len(self._wanted)} requested={len(self._requested)} confirmed={len(self._confirmed)}"
        return f"<ClientSession {names} unanswered={len(self._unanswered)} cursor={self.replica.cursor}>"

    @property
    def complete(self) -> bool:
        """Whether the copy holds everything that is wanted and that the server has."""
        return not self._unanswered and self._all_requested()

    @property
    def has_requests(self) -> bool:
        """Whether `requests` would subscribe or unsubscribe names now."""
        return not self._unsubscribing and not self._all_requested()

    @property
    def names(self) -> KeysView[str]:
        """The wanted names."""
        return self._wanted.keys()

    @property
    def limits(self) -> dict[str, int]:
        """Limits of the latest connection, as its WELCOME told them."""
        return self._welcome.limits if self._welcome is not None else {}

    def has_all_of(self, names: Iterable[str]) -> bool:
        """Return whether the server has answered for these names, so the copy has all that there is of them."""
        return self._answered.issuperset(names)

    def kept_names(self) -> set[str]:
        """Return the names that the server keeps, which may be without an instrument so far."""
        return (self._answered & self._wanted.keys()) - self._declined - self._failed

    def add_names(self, names: Iterable[str]) -> None:
        """Subscribe to names; one that is added twice has to be removed twice."""
        self._wanted.update(names)
        self._in_sync = None

    def remove_names(self, names: Iterable[str]) -> None:
        """Take an `add_names` back."""
        self._wanted.subtract(names)
        self._wanted += Counter()
        self._in_sync = None

    def begin(self, payload: bytes | str) -> Welcome:
        """Begin a connection with its first payload. Raises `ProtocolError` if that is not WELCOME."""
        message = parse_server_message(self._encoding.decode_message(payload))
        if not isinstance(message, Welcome):
            raise ProtocolError(Code.MALFORMED, "the first message of a connection is WELCOME")
        if len(message.epoch) > MAX_TEXT:
            raise ProtocolError(Code.MALFORMED, f"WELCOME: an epoch of more than {MAX_TEXT} characters")
        self._welcome = message
        self.heartbeat_seconds = message.heartbeat_ms / 1000
        self._unanswered.clear()
        self._unsubscribing.clear()
        self._declined.clear()
        self._answered.clear()
        self._failed.clear()
        self._confirmed &= self._wanted.keys()
        self._set_requested(sorted(self._confirmed))
        self._drop_unwanted()
        kept = list(self.replica)
        request = self._encoding.encode_request({"op": "resume", "id": 2**53, **self._resume()})
        resumable = may_resume(self.replica, message, self._confirmed, request)
        self._resume_first = self.replica.welcome(message, resumable=resumable)
        if not self._resume_first:
            self._vanished.add(kept)
            self._confirmed.clear()
            self._set_requested([])
        return message

    def requests(self) -> list[bytes | str]:
        """Return the payloads to send, so that the names on the server become the wanted ones."""
        payloads: list[bytes | str] = []
        if self._resume_first:
            self._resume_first = False
            payloads.append(self._request("resume", **self._resume()))
            self._resume_id = self._last_id
        dropped = [name for name in self._requested if name not in self._wanted]
        added = [name for name in self._wanted if name not in self._requested]
        if dropped or self._unsubscribing:
            added = []  # rule 4
        self._declined.difference_update(added)  # asked for again: the new outcome counts
        self._answered.difference_update(added)
        if dropped or added:
            self._set_requested([name for name in self._requested if name in self._wanted] + added)
        self._confirmed.difference_update(dropped)
        self._answered.difference_update(dropped)
        self._failed.difference_update(dropped)
        for names in self._unanswered.values():
            names.difference_update(dropped)
        if dropped:
            self._drop_unwanted()
            for batch in self._batches(dropped):
                payloads.append(self._request("unsubscribe", symbols=batch))
                self._unsubscribing.add(self._last_id)
        payloads += [self._request("subscribe", symbols=batch, **self._interval()) for batch in self._batches(added)]
        return payloads

    def receive(self, payload: bytes | str) -> Received:
        """Process one message.

        Raises `ProtocolError` for one that breaks the protocol: the connection is then of no use any more, the copy is
        as it was, and a new connection can resume it.
        """
        message = parse_server_message(self._encoding.decode_message(payload))
        received = Received()
        if isinstance(message, Snapshot | Delta):
            received.changes = self._apply(message)
        elif isinstance(message, Instruments):
            self.replica.define(message)
        elif isinstance(message, Heartbeat):
            self.replica.heartbeat(message)
        elif isinstance(message, Reply):
            self._process_reply(message, received)
        elif isinstance(message, Error):
            self._process_error(message, received)
        elif isinstance(message, Goodbye):
            received.goodbye = message
        elif isinstance(message, Expiring):
            received.expiring = True
        return received

    def authenticate(self, token: str) -> bytes | str:
        """Return the payload that presents a fresh token."""
        payload = self._request("auth", token=token)
        self._token_id = self._last_id
        return payload

    def _resume(self) -> dict[str, Any]:
        epoch, cursor = self.replica.epoch, self.replica.cursor
        return {"epoch": epoch, "cursor": cursor, "symbols": list(self._requested), **self._interval()}

    def _apply(self, message: Snapshot | Delta) -> dict[str, Fields]:
        changed = self.replica.apply(message)
        changes = {state.definition.symbol: state.fields(fields) for state, fields in changed.items()}
        self._vanished.complete(changes)
        return changes

    def _process_reply(self, message: Reply, received: Received) -> None:
        """Confirm the names of a request, but for the declined ones."""
        names = self._unanswered.pop(message.id, set())
        self._unsubscribing.discard(message.id)
        if message.id == self._resume_id:
            self._resume_id, self.replica.resuming = None, False
        # Names that the user gave up meanwhile, or never asked for, are not worth a word, nor any memory.
        received.refused = [each for each in _refused(message.result) if each.name in names]
        # The server keeps a symbol that it does not know yet: its values come when it appears.
        declined = {each.name for each in received.refused if each.code != Code.UNKNOWN_SYMBOL}
        self._confirmed |= names - declined
        self._answered |= names
        received.answered = True
        if declined:
            self._decline(declined)
        self._withdraw_vanished(received)

    def _withdraw_vanished(self, received: Received) -> None:
        """Report the fields that are gone for good: no name without an answer can bring their instrument again."""
        if self._vanished:
            received.changes = self._vanished.take_withdrawals(matcher(self._wanted.keys() - self._answered)) or None

    def _decline(self, names: set[str]) -> None:
        """Drop the instruments of names that the server does not serve (any more): a resumed copy of them would age."""
        self._declined |= names
        self._match = None
        self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Drop instruments that are not requested; a later subscription to one may have begun with its old fields."""
        self._vanished.add(self.replica.drop_unwanted())

    def _process_error(self, message: Error, received: Received) -> None:
        """Refuse the names of a failed request; if it was the resume, start anew and request all names again."""
        received.error = message
        if message.id is not None and message.id == self._token_id:
            received.token_refused = message.text
        names = self._unanswered.pop(message.id, set()) if message.id is not None else set()
        self._unsubscribing.discard(message.id or 0)
        if self._welcome is not None and message.id is not None and message.id == self._resume_id:
            self._resume_id = None
            self._vanished.add(self.replica)
            self.replica.welcome(self._welcome, resumable=False)
            self._confirmed.clear()
            self._answered.clear()
            self._set_requested([name for name in self._requested if name not in names])
        else:
            received.refused = [Refused(name, message.code, excerpt(message.text)) for name in sorted(names)]
            self._failed |= names
            self._answered |= names
            received.answered = True
            self._withdraw_vanished(received)

    def _batches(self, names: list[str]) -> Iterator[list[str]]:
        """Iterate over the names in batches that each fit into a request."""
        batch: list[str] = []
        capacity = left = max_request_bytes(self._welcome) - _REQUEST_OVERHEAD
        for name in names:
            size = len(self._encoding.encode_request({name: 0}))
            if batch and size > left:
                yield batch
                batch, left = [], capacity
            batch.append(name)
            left -= size
        if batch:
            yield batch

    def _request(self, op: str, **request: Any) -> bytes | str:  # noqa: ANN401  # the fields of any request
        self._last_id += 1
        self._unanswered[self._last_id] = set() if op in {"unsubscribe", "auth"} else set(request["symbols"])
        return self._encoding.encode_request({"op": op, "id": self._last_id, **request})

    def _interval(self) -> dict[str, int]:
        return {} if self._interval_ms is None else {"interval_ms": self._interval_ms}

    def _set_requested(self, names: Iterable[str]) -> None:
        self._requested = dict.fromkeys(names)
        self._in_sync = self._match = None

    def _wants(self, symbol: str) -> bool:
        if self._match is None:
            self._match = matcher(self._requested.keys() - self._declined)
        return bool(self._match(symbol))

    def _all_requested(self) -> bool:
        """Return whether the requested names are the wanted ones; compared only after either has changed."""
        if self._in_sync is None:
            self._in_sync = self._requested.keys() == self._wanted.keys()
        return self._in_sync


def _refused(result: dict[str, Any]) -> list[Refused]:
    """Return the outcomes of a reply that are not OK. Raises `ProtocolError` if they are not outcomes."""
    try:
        outcomes = msgspec.convert(result.get("outcomes", []), list[_Outcome])
    except msgspec.ValidationError as error:
        raise ProtocolError(Code.MALFORMED, f"outcomes are [name, code, text]: {error}") from None
    return [Refused(each.name, each.code, excerpt(each.text)) for each in outcomes if each.code != Code.OK]
