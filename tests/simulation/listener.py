"""A client of the event stream, written from PROTOCOL.md, and the invariants of its copy after each event."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import trio

from tests.simulation.history import Market, same, shown_state
from tests.simulation.link import Link
from tests.simulation.witness import sees
from tests.tables_model import covers
from ticker.client.replica import InstrumentState, Replica
from ticker.client.table_state import TableState
from ticker.errors import ProtocolError
from ticker.net.dialing import Unreachable
from ticker.protocol.messages import (
    Delta,
    Heartbeat,
    Instruments,
    Reply,
    ServerMessage,
    Snapshot,
    Welcome,
    parse_server_message,
)
from ticker.protocol.wire import JSON

if TYPE_CHECKING:
    from tests.simulation.world import World

_PATIENCE = 10.0
_AGAIN_SECONDS = 0.5


def held(replica: Replica, name: str) -> InstrumentState | TableState | None:
    """A record of a copy, of an instrument or a table."""
    return replica.find(name) or replica.find_table(name)


class Listener:
    """One client of the event stream over all its connections."""

    def __init__(self, world: World, name: str, entitled: list[str] | None, names: list[str], life: float) -> None:
        """Each connection has a token that is good for `life` seconds, with the claim `symbols`."""
        self._world = world
        self.name = name
        self._entitled = entitled
        self._names = names
        self._life = life
        self._link: Link | None = None
        self._last_id = ""
        self._whole = False
        """The REPLY has come, so the snapshot is complete."""
        self.replica = Replica()

    async def run(self) -> None:
        """One connection after another."""
        while True:
            with suppress(trio.BrokenResourceError, trio.TooSlowError, Unreachable):
                await self._listen()
            self._whole = False
            await trio.sleep(_AGAIN_SECONDS)

    def lag(self) -> str:
        """Return the first difference between the copy and the present market; empty if there is none."""
        if not self._whole:
            return "not connected, or the snapshot is not complete"
        market = self._world.server.cache.history[-1]
        for symbol in self._due(market):
            state = held(self.replica, symbol)
            if state is None or not same(state, market):
                return f"{symbol} is {shown_state(state)}, and should be {market.shown(symbol)}"
        return ""

    async def _listen(self) -> None:
        self._link = await self._world.dial(self.name)
        token, _ = self._world.issue(self.name, self._entitled, self._life)
        last = f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""
        target = f"/v1/events?symbols={quote(','.join(self._names), safe=',')}"
        client = self._link.client
        try:
            request = f"GET {target} HTTP/1.1\r\nHost: ticker.example\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
            await client.send_all(request.encode())
            await self._read(client)
        finally:
            await client.aclose()

    async def _read(self, client: trio.abc.Stream) -> None:
        head, received = b"", b""
        while True:
            with trio.fail_after(_PATIENCE):
                data = await client.receive_some()
            if not data:
                return
            received += data
            if not head:
                head, end, received = received.partition(b"\r\n\r\n")
                if not end:
                    head, received = b"", head
                    continue
                if not head.startswith(b"HTTP/1.1 200 "):
                    return
            *events, received = received.split(b"\n\n")
            for event in events:
                self._take(event.decode())

    def _take(self, event: str) -> None:
        """One event, without the empty line behind it."""
        fields = dict(line.split(": ", 1) for line in event.split("\n"))
        message = parse_server_message(JSON.decode_message(fields["data"]))
        if message is None:
            return
        try:
            self._apply(message)
        except ProtocolError as error:
            self._blame(f"the server broke the protocol: {error}")
        replica = self.replica
        if "id" in fields:
            self._last_id = fields["id"]
            if not self._whole or self._last_id != f"{replica.epoch}:{replica.cursor}":
                self._blame(f"an event has the id {self._last_id}, and the copy is at cut {replica.cursor}")
        self._check()

    def _apply(self, message: ServerMessage) -> None:
        replica = self.replica
        if isinstance(message, Welcome):
            epoch, _, cut = self._last_id.rpartition(":")
            resumes = epoch == message.epoch and int(cut) <= message.cut
            self._world.note(f"{self.name}: connected, from {self._last_id or 'nothing'}, resumes: {resumes}")
            replica.welcome(message, resumable=resumes)
        elif isinstance(message, Instruments):
            replica.define(message)
        elif isinstance(message, Snapshot | Delta):
            replica.apply(message)
        elif isinstance(message, Heartbeat):
            replica.heartbeat(message)
        elif isinstance(message, Reply):
            replica.resumed()
            self._whole = True

    def _check(self) -> None:
        """The copy is the market at its cut, and complete once the REPLY has come."""
        market = self._world.past(self.replica.epoch)[self.replica.cursor]
        for state in self.replica:
            symbol = state.definition.symbol
            if not same(state, market):
                self._blame(f"{symbol} is {shown_state(state)}, and should be {market.shown(symbol)}")
        for symbol in self._due(market) if self._whole else []:
            if held(self.replica, symbol) is None:
                self._blame(f"{symbol} is missing at cut {self.replica.cursor}")

    def _due(self, market: Market) -> list[str]:
        entitled = self._world.entitled(self._link)
        return [
            name for name in market.names if sees(entitled, name) and any(covers(each, name) for each in self._names)
        ]

    def _blame(self, problem: str) -> None:
        self._world.blame(f"{self.name}: {problem}")
