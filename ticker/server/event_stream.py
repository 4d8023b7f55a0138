"""The stream for clients without a WebSocket: server-sent events over plain HTTP (the HTML standard, section 9.2).

It has the same audiences, cursors and messages as a WebSocket, in JSON, or with `format=named` the changes as objects
that name what has changed. The request names the instruments. A client
that reconnects with `Last-Event-ID` resumes there. Events have no id until the whole snapshot was sent: a client that
is cut off before has to subscribe anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

import h11
import msgspec
import trio

from ticker.bounds import CLOSE_SECONDS, EVENT_ENCODINGS, NAMED_ROWS, NAMED_TABLES
from ticker.config import Limits
from ticker.core.session import Answer
from ticker.door.sender import Sender
from ticker.market import MAX_SYMBOL
from ticker.net.clocks import hub_time
from ticker.net.http1 import Refusal, response_head
from ticker.net.transport import PushStream
from ticker.protocol.messages import Goodbye
from ticker.protocol.named_events import NamedEvents
from ticker.protocol.tables import parse_table, split_name
from ticker.protocol.wire import Events
from ticker.server.connection import ClientConnection, ServerContext
from ticker.server.query import check_keys, check_method, parse_fields, parse_names, parse_query

EVENTS_PATH = "/v1/events"

NAMED = "named"
"""The other format of events: of changes with names."""

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventsRequest(NamedTuple):
    """A parsed request for events."""

    names: list[str]
    interval_ms: int | None
    last_event_id: str
    headers: dict[str, str]
    """Further headers of the response."""
    fields: list[str] | None = None
    named: bool = False
    """Changes come with names and decimal texts, not as messages of the protocol."""


def parse_events_request(
    request: h11.Request, headers: Mapping[bytes, bytes], response_headers: dict[str, str]
) -> EventsRequest:
    """Parse a request for events. Raises `Refusal`."""
    check_method(request.method)
    query = parse_query(request)
    check_keys(query, {"symbols", "fields", "format", "interval_ms"})
    names, fields = parse_names(query), parse_fields(query)
    form = query.get("format", NAMED)
    if form != NAMED:
        text = f"format={form[:MAX_SYMBOL]!r}: there is {NAMED}; leave it out for the messages of the protocol"
        raise Refusal(HTTPStatus.BAD_REQUEST, text)
    interval = query.get("interval_ms")
    if interval is not None and not (interval.isascii() and interval.isdigit() and len(interval) < 10):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"interval_ms={interval[:MAX_SYMBOL]!r}: give a number of milliseconds")
    last = headers.get(b"last-event-id", b"").decode("latin-1")
    interval_ms = int(interval) if interval is not None else None
    return EventsRequest(names, interval_ms, last, response_headers, fields, "format" in query)


# Clients of one epoch, and so of one entitlement, share an encoding and its frames.
_events, _named_events = (lru_cache(maxsize=EVENT_ENCODINGS)(encoding) for encoding in (Events, NamedEvents))


def _named_limits(limits: Limits, names: Sequence[str]) -> Limits:
    """Return the limits of a stream with names: the larger its largest table, the fewer it may have."""
    tables = [table for name in names if (table := parse_table(split_name(name)[1])) is not None]
    rows = max((table.most_rows for table in tables), default=1)
    return replace(limits, max_tables=min(limits.max_tables, NAMED_TABLES, max(1, NAMED_ROWS // rows)))


async def serve_events(stream: PushStream, request: EventsRequest, sender: Sender, context: ServerContext) -> None:
    """Send events until the client leaves. Raises `trio.BrokenResourceError` if the connection is lost."""
    await stream.send_all(response_head(HTTPStatus.OK, _HEADERS | request.headers))
    lost, connection = False, None
    try:
        async with trio.open_nursery() as nursery:
            encoding_of = _named_events if request.named else _events
            connection = EventStreamConnection(
                stream, encoding_of(context.hub.cache.epoch + sender.grant.view), sender, context, nursery, request
            )
            context.connections.add(connection)
            try:
                answer = await connection.begin()
                context.auth.spend(sender.address, sender.grant, answer.cost)
                await connection.until_gone()
            finally:
                context.connections.remove(connection)
                connection.end()
            nursery.cancel_scope.cancel()
    except* (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
        lost = True
    finally:
        if connection is not None:
            connection.release()
    if lost:
        raise trio.BrokenResourceError("the connection was lost")


class EventStreamConnection(ClientConnection):
    """One client's stream of events."""

    __slots__ = ("_encoding", "_request")

    TRANSPORT = "events"

    def __init__(
        self,
        stream: PushStream,
        encoding: Events,
        sender: Sender,
        context: ServerContext,
        nursery: trio.Nursery,
        request: EventsRequest,
    ) -> None:
        limits = _named_limits(context.limits, request.names) if request.named else None
        super().__init__(stream, encoding, sender, context, nursery, limits)
        self._encoding = encoding
        self._request = request
        self._subscriber.push = self._push_without_id

    async def begin(self) -> Answer:
        """Subscribe, and send the snapshot and the answer behind it; return the answer."""
        cache = self._context.hub.cache
        self.send_control(self._session.welcome())
        if self._context.source.silent_since is not None:
            self.tell_of_source()
        before = self._subscriber.cost
        answer = await self._subscribe(self._request)
        self.count_kept(len(answer.frame))
        await self.wait_delivered(cache.cut)
        cost = answer.cost + self._subscriber.cost - before
        if not self.closing:
            self._subscriber.push = self.push
            self.send_control(self._encoding.id(cache.wire_cut(self._subscriber.cursor)) + answer.frame)
        return answer._replace(cost=cost)

    async def until_gone(self) -> None:
        """Wait until the client leaves. Other tasks send the data."""
        received = 0
        while received <= self._context.limits.max_message_bytes:  # more than any client has to send
            data = await self._stream.receive_some()
            if not data:
                return
            received += len(data)

    async def _subscribe(self, request: EventsRequest) -> Answer:
        wanted: dict[str, Any] = {"id": 1, "symbols": request.names}
        resumed = wanted
        if request.fields is not None:
            resumed = {"id": 1, "symbols": [], "selected": [[request.fields, request.names]]}
            wanted["fields"] = request.fields
        for each in (wanted, resumed) if request.interval_ms is not None else ():
            each["interval_ms"] = request.interval_ms
        epoch, _, cut = request.last_event_id.rpartition(":")
        if epoch == self._session.epoch and cut.isascii() and cut.isdigit():
            cursor = int(cut[:16])
            await self._context.source.reached(self._context.hub.cache, cursor)
            answer = await self._ask({"op": "resume", "epoch": epoch, "cursor": cursor, **resumed})
            if self._session.resumed or self.closing:
                return answer
            self.send_control(answer.frame)  # the client forgets its copy
        return await self._ask({"op": "subscribe", **wanted})

    async def _ask(self, request: dict[str, Any]) -> Answer:
        return await self._in_turns(self._session.steps(msgspec.json.encode(request).decode(), hub_time()))

    def _push_without_id(self, frame: bytes) -> bool:
        """Send an event without its id: no client can resume from it."""
        start = 0 if frame.startswith(b"id: ") else frame.find(b"\nid: ") + 1  # a frame has one id at most
        if start or frame.startswith(b"id: "):
            frame = frame[:start] + frame[frame.index(b"\n", start) + 1 :]
        return self.push(frame)

    async def send_goodbye(self, retry_ms: int) -> None:
        """Send GOODBYE with a time to reconnect, and end."""
        if not self.closing:
            goodbye = Goodbye("the server is stopping", retry_ms, come_back=True)
            await self.close_with(Answer(b"retry: %d\n%b" % (retry_ms, self._encoding.frame(goodbye))))

    async def close_with(self, answer: Answer) -> None:
        """Send this last answer, and end."""
        self.send_control(answer.frame)
        self.closing = True
        # A client that leaves at this moment must not keep others from their goodbye.
        with trio.move_on_after(CLOSE_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.drain()
        self._cancel()
