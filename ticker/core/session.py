"""The server's side of one connection, as a state machine: a payload goes in, an answer comes out.

The rules:

1. Every message is answered, in order: with REPLY, or with ERROR. One bad symbol never fails the others of its request.
2. An answer is sent only after the data that the request asked for: a client that has the reply to a subscribe holds
   everything it subscribed.
3. Unknown symbols are remembered: they join when their instrument appears. So a client that reconnects before the
   feeds have declared their instruments loses nothing.
4. A message that cannot be understood at all is fatal: its sender would misunderstand the answers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeAlias

from msgspec import UNSET, UnsetType, to_builtins

from ticker.bounds import (
    ANSWER_BYTES_PER_REQUEST_UNIT,
    BYTES_PER_JOIN,
    ENCODED_PER_STEP,
    FOUND_PER_REPLY,
    MAX_SELECTIONS,
)
from ticker.config import MAX_INTERVAL_MS, Limits
from ticker.core.audiences import Subscriber, SubscriptionSet
from ticker.core.encode_cache import definition_of
from ticker.core.hub import Hub
from ticker.core.selections import Selection, field_names, selection_of
from ticker.core.subscribed_names import SubscribedNames, is_any_pattern, most_names
from ticker.core.table_index import ANYBODY, Opener
from ticker.core.work import at_once, metered
from ticker.door.grants import ANYONE, Grant
from ticker.errors import BadToken, Code, ProtocolError, UnknownKey
from ticker.protocol.messages import (
    PROTOCOL_VERSION,
    Authenticate,
    BadRequest,
    Close,
    Digest,
    Error,
    Expiring,
    FindInstruments,
    Ping,
    Reply,
    Request,
    Resume,
    Stats,
    Subscribe,
    Subscriptions,
    Unsubscribe,
    Welcome,
    parse_request,
)

_FATAL: dict[Code, Close] = {
    Code.MALFORMED: Close.MALFORMED,
    Code.TOO_LARGE: Close.TOO_LARGE,
    Code.WRONG_ENCODING: Close.WRONG_ENCODING,
    Code.BAD_TOKEN: Close.TOKEN_EXPIRED,
}


class NotUpToDate(Exception):
    """The client has to have everything first; then the request is carried out anew."""


class Ahead(BadRequest):
    """The client resumes at a cut that this server has still to follow to; `cut` is that, as on the wire."""

    def __init__(self, number: int, cut: int) -> None:
        text = "resume: this server has not that cut; forget the copy and subscribe, or resume at another one"
        super().__init__(number, Code.WRONG_EPOCH, text)
        self.cut = cut


class Answer(NamedTuple):
    """The frame to send once the subscriber has its data, and the code of the close after it, if any.

    `cost` is that of the request, in simple requests.
    """

    frame: bytes
    close: Close | None = None
    cost: float = 1


def _no_tokens(_token: str, _present: Grant) -> Grant:
    raise BadToken("no tokens are asked for here")


_NO_TABLES: Mapping[str, int] = {}

_Result: TypeAlias = dict[str, Any]
_Steps: TypeAlias = Generator[None, None, _Result]
"""The steps of a request, each of bounded work."""


class Terms(NamedTuple):
    """The rights of one client, and the session's callbacks."""

    limits: Limits
    floor_ms: int = 0
    """The least interval of any client."""
    grant: Grant = ANYONE
    check: Callable[[str, Grant], Grant] = _no_tokens
    """Checks a fresh token, in the place of the present grant. Raises `BadToken`, and `UnknownKey` if the key may be
    among those not yet loaded."""
    link: Callable[[], dict[str, int]] = dict
    """Figures of the connection for `stats`."""
    opener: Opener = ANYBODY
    """The sender for which its tables are opened."""


class ServerSession:
    """The protocol state of one connection."""

    __slots__ = (
        "_check",
        "_floor_ms",
        "_hub",
        "_interval_ms",
        "_limits",
        "_link",
        "_names_held",
        "_opener",
        "_resumed",
        "_subscriber",
        "_tables",
        "grant",
        "name",
    )

    def __init__(self, hub: Hub, subscriber: Subscriber, name: str, terms: Terms) -> None:
        """`name` identifies the session in logs and WELCOME."""
        self.name = name
        self._hub = hub
        self._subscriber = subscriber
        self._limits = terms.limits
        self._floor_ms = terms.floor_ms
        self._check = terms.check
        self._link = terms.link
        self.grant = terms.grant
        self._opener = terms.opener
        self._names_held = 0
        """Upper estimate of the bytes that its names take."""
        self._tables: Mapping[str, int] = _NO_TABLES
        """The number of tables of each name that stands for some."""
        self._interval_ms = self._least_interval()
        self._resumed = False

    def __repr__(self) -> str:
        return f"<ServerSession {self.name}: {self._names()!r} every {self._interval_ms} ms, {self.grant!r}>"

    def welcome(self) -> bytes:
        """Return the first frame of the connection."""
        cache = self._hub.cache
        return self._subscriber.encoding.frame(
            Welcome(
                PROTOCOL_VERSION,
                self.epoch,
                self.name,
                cache.wire_cut(self._subscriber.cursor),
                cache.time,
                int(self._limits.heartbeat_seconds * 1000),
                self.limits(),
                self._hub.features,
            )
        )

    def receive(self, payload: bytes | str, now: int, *, last_try: bool = True) -> Answer:
        """Carry out one client message at once, as `steps` does in parts."""
        return at_once(self.steps(payload, now, last_try=last_try))

    def steps(self, payload: bytes | str, now: int, *, last_try: bool = True) -> Generator[None, None, Answer]:
        """Carry out one client message, yielding between steps of bounded work. `now` is the hub's time.

        Raises `UnknownKey`, without any effect, unless this is the `last_try`: the message brings a token that is
        perhaps signed with a new key. Raises `Ahead`, likewise, where this server follows another one and is behind the
        client, and `NotUpToDate` where the client has to have everything first.
        """
        encoding = self._subscriber.encoding
        try:
            request = parse_request(encoding.decode_request(payload))
        except BadRequest as bad:
            return self._refuse(bad.error)
        except ProtocolError as error:
            return self._refuse(Error(None, error.code, str(error), fatal=True))
        try:
            result, work = yield from metered(self._hub, self._HANDLERS[type(request)](self, request, now))
        except BadRequest as bad:
            if isinstance(bad, Ahead) and self._hub.cache.follows and not last_try:
                raise
            return self._refuse(bad.error)
        except BadToken as bad:
            if isinstance(bad, UnknownKey) and not last_try:
                raise
            return self._refuse(Error(request.id, Code.BAD_TOKEN, f"auth: {bad}", fatal=False))
        frame = encoding.frame(Reply(request.id, result))
        return Answer(frame, cost=1 + work + len(frame) / ANSWER_BYTES_PER_REQUEST_UNIT)

    def expiring(self) -> bytes:
        """Return the frame that warns of the end of the present token."""
        return self._subscriber.encoding.frame(Expiring(self.grant.expires or 0))

    def expired(self) -> Answer:
        """Return the answer that ends a connection whose token has expired."""
        return self._refuse(Error(None, Code.BAD_TOKEN, "the token has expired", fatal=True))

    def too_large(self) -> Answer:
        """Return the answer to a message beyond the limit, which the transport refuses before it is complete."""
        text = f"a message may have {self._limits.max_message_bytes} bytes"
        return self._refuse(Error(None, Code.TOO_LARGE, text, fatal=True))

    def _refuse(self, error: Error) -> Answer:
        close = _FATAL[Code(error.code)] if error.fatal else None
        return Answer(self._subscriber.encoding.frame(error), close)

    def _subscribe(self, request: Subscribe, now: int) -> _Steps:
        selection = self._selection(request.id, request.fields) if request.fields is not UNSET else None
        names = self._names()
        _check_room(names, request.id, [selection] if selection is not None else [], request.symbols)
        room = yield from names.prepare(request.symbols, (), self.grant)
        outcomes = yield from names.add(request.symbols, room, self.grant, selection)
        self._take_interval(request.interval_ms)
        self._hub.subscribe(self._subscriber, self._subscription_set(names), now)
        return {"outcomes": outcomes, "interval_ms": self._interval_ms}

    def _unsubscribe(self, request: Unsubscribe, now: int) -> _Steps:
        names = self._names()
        yield from names.prepare((), (), self.grant)
        outcomes = yield from names.remove(request.symbols)
        self._hub.subscribe(self._subscriber, self._subscription_set(names), now)
        return {"outcomes": outcomes}

    def _resume(self, request: Resume, now: int) -> _Steps:
        cache, names = self._hub.cache, self._names()
        if self._resumed or names:
            raise BadRequest(request.id, Code.BAD_REQUEST, "resume: it comes once, and before the first subscribe")
        if request.epoch == self.epoch and cache.first_cut(request.cursor) > cache.cut:
            raise Ahead(request.id, request.cursor)
        if request.epoch != self.epoch:
            text = "resume: that epoch is over; forget the copy and subscribe"
            raise BadRequest(request.id, Code.WRONG_EPOCH, text)
        if sum(map(is_any_pattern, request.forget)) > 2 * self._limits.max_patterns:
            text = (
                f"resume: forget has more than {2 * self._limits.max_patterns} patterns; forget the copy and subscribe"
            )
            raise BadRequest(request.id, Code.BAD_REQUEST, text)
        selections = [self._selection(request.id, each.fields) for each in request.selected]
        wanted = [*request.symbols, *(name for each in request.selected for name in each.symbols)]
        _check_room(names, request.id, selections, wanted)
        room = yield from names.prepare(wanted, request.forget, self.grant)
        self._resumed = True
        outcomes = yield from names.add(request.symbols, room, self.grant)
        for selection, each in zip(selections, request.selected, strict=True):
            outcomes += yield from names.add(each.symbols, room, self.grant, selection)
        self._take_interval(request.interval_ms)
        # The copy has something of names that are declined now, too: the token may allow less than it did.
        declined = [name for name in wanted if name not in names]
        patterns = [name for name in declined if is_any_pattern(name)][: self._limits.max_patterns]
        yield from self._hub.index.prepare(patterns)
        forget = self._hub.index.bits_of(
            [*request.forget, *patterns, *(name for name in declined if not is_any_pattern(name))]
        )
        cursor = cache.first_cut(request.cursor)
        subscriptions = self._subscription_set(names)
        self._hub.subscribe(self._subscriber, subscriptions, now, resume_from=cursor, forget=forget)
        return {"outcomes": outcomes, "interval_ms": self._interval_ms}

    def _subscriptions(self, _request: Subscriptions, _now: int) -> _Steps:
        yield from ()
        names = self._subscriber.audience.subscription_set
        by_selection: dict[Selection, list[str]] = {}
        for name, selection in names.selected:
            by_selection.setdefault(selection, []).append(name)
        selected = [[field_names(selection or ()), some] for selection, some in by_selection.items()]
        result = {"symbols": [*names.symbols, *names.patterns], "interval_ms": self._interval_ms}
        return {**result, "selected": selected} if selected else result

    def _instruments(self, request: FindInstruments, _now: int) -> _Steps:
        found: list[str] = []
        most, sees = FOUND_PER_REPLY + 1, self.grant.sees
        for piece in self._hub.index.search(request.match, request.after, most, sees, request.text):
            found += piece
            yield
        records = [self._hub.cache.find(symbol) for symbol in found[:FOUND_PER_REPLY]]
        page = [to_builtins(definition_of(record)) for record in records if record is not None]
        return {"instruments": page, "more": len(found) > FOUND_PER_REPLY}

    def _ping(self, _request: Ping, _now: int) -> _Steps:
        yield from ()
        cache = self._hub.cache
        return {"cut": cache.wire_cut(cache.cut), "time": cache.time}

    def _authenticate(self, request: Authenticate, now: int) -> _Steps:
        grant = self._check(request.token, self.grant)
        if grant.subject != self.grant.subject:
            raise BadToken("it is for another subject than this connection; connect anew with it")
        names = self._names()
        yield from names.prepare((), (), grant)
        changed, self.grant = grant.symbols != self.grant.symbols, grant
        if changed or self._interval_ms < self._least_interval():
            self._take_interval(self._interval_ms)
            self._hub.subscribe(self._subscriber, self._subscription_set(names), now)
        return {"expires": grant.expires, "epoch": self.epoch, "limits": self.limits()}

    def _digest(self, _request: Digest, _now: int) -> _Steps:
        hub, subscriber = self._hub, self._subscriber
        sums = hub.checksums.sums()
        while not sums.advance(subscriber.audience.by_selection(), 0, ENCODED_PER_STEP):
            yield
        if not hub.bring_up_to_date(subscriber):
            raise NotUpToDate
        audience = subscriber.audience
        digest = sums.total(audience.by_selection())
        return {"cut": hub.cache.wire_cut(subscriber.cursor), "digest": digest, "records": audience.count}

    def _stats(self, _request: Stats, _now: int) -> _Steps:
        yield from ()
        subscriber, cache = self._subscriber, self._hub.cache
        traffic = self._hub.traffic(subscriber)
        return {
            "cut": cache.wire_cut(cache.cut),
            "cuts_behind": cache.wire_cut(cache.cut) - cache.wire_cut(subscriber.cursor),
            "slow_consumer_events": subscriber.slow_consumer_events,
            **self._link(),
            "frames": traffic.frames,
            "bytes": traffic.bytes,
            "updates": traffic.updates,
            "offered": traffic.offered,
        }

    @property
    def resumed(self) -> bool:
        """Whether the connection goes on with the copy of an earlier one."""
        return self._resumed

    @property
    def held(self) -> int:
        """Upper estimate of the bytes that are kept of this client's subscriptions."""
        audience, instruments = self._subscriber.audience, len(self._hub.cache.records)
        bitmaps = len(audience.subscription_set.patterns) + 2 * audience.broad
        bitmaps += len(audience.portions)
        bitmaps += bool(self._subscriber.pending_snapshot) + bool(self._subscriber.pending_removed)
        kept = self._names_held + BYTES_PER_JOIN * len(audience.ids)
        return kept + bitmaps * instruments // 8

    @property
    def epoch(self) -> str:
        """The epoch of the cache and the view of the grant: a copy made under another view has other symbols."""
        return self._hub.cache.epoch + self.grant.view

    def limits(self) -> dict[str, int]:
        """Return the limits that hold for this client."""
        limits = self._limits
        return {
            "max_message_bytes": limits.max_message_bytes,
            "max_symbols": most_names(limits, self.grant),
            "max_patterns": limits.max_patterns,
            "max_tables": limits.max_tables,
            "min_interval_ms": self._least_interval(),
        }

    def _least_interval(self) -> int:
        return max(self._floor_ms, self.grant.min_interval_ms)

    def _take_interval(self, interval_ms: int | UnsetType) -> None:
        if interval_ms is not UNSET:
            self._interval_ms = max(self._least_interval(), min(interval_ms, MAX_INTERVAL_MS))

    def _names(self) -> SubscribedNames:
        """Return the present names, for a request that changes them."""
        present = self._subscriber.audience.subscription_set
        return SubscribedNames(self._hub, self._limits, self._opener, present, self._tables)

    def _subscription_set(self, names: SubscribedNames) -> SubscriptionSet:
        """Return the subscriptions of which the names are these from now on."""
        self._names_held, self._tables = names.held, names.tables or _NO_TABLES
        return names.subscription_set(self._interval_ms * 1000, self.grant.symbols)

    def _selection(self, number: int, fields: list[str]) -> Selection:
        """Return the selection of these fields. Raises `BadRequest` if one comes twice."""
        twice = next((name for place, name in enumerate(fields) if name in fields[:place]), None)
        if twice is not None:
            raise BadRequest(number, Code.BAD_REQUEST, f"fields: {twice} comes twice; leave one out")
        return selection_of(fields)

    _HANDLERS: ClassVar[dict[type[Request], Callable[[ServerSession, Any, int], _Steps]]] = {
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        Subscriptions: _subscriptions,
        FindInstruments: _instruments,
        Resume: _resume,
        Ping: _ping,
        Authenticate: _authenticate,
        Stats: _stats,
        Digest: _digest,
    }


def _check_room(names: SubscribedNames, number: int, selections: list[Selection], wanted: list[str]) -> None:
    """Check that the wanted names may have these selections besides the others. Raises `BadRequest`."""
    if not names.has_room_for(selections, wanted):
        text = f"fields: the names of a connection have at most {MAX_SELECTIONS} different sets of fields"
        raise BadRequest(number, Code.BAD_REQUEST, f"{text}; ask for one of those, or for all fields")
