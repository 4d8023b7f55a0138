"""A user of the real client, and the invariants of the copy after each message."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

import trio

from tests.simulation.history import Market, same, shown_state
from tests.simulation.link import Link
from tests.simulation.listener import held
from tests.simulation.readers import Reader, TapeReader
from tests.simulation.witness import sees
from tests.tables_model import covers
from ticker.client.addresses import Address
from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Event
from ticker.client.received import Received
from ticker.client.session import ClientSession
from ticker.client.wanted import FieldSet
from ticker.errors import ConnectionFailed, ProtocolError
from ticker.market import is_symbol
from ticker.protocol.wire import MSGPACK

if TYPE_CHECKING:
    from tests.simulation.world import World

SELECTIONS: list[FieldSet] = [None, None, None, frozenset(["bid"]), frozenset(["ask", "last"]), frozenset(["status"])]
"""Fields that are wanted of names; which of them depends on no chance, so seeds stay what they were."""

URL = "wss://ticker.example/v1/stream"


class CheckedSession(ClientSession):
    """A client's session with a check after each message."""

    def __init__(self, interval_ms: int | None, check: Callable[[], None], blame: Callable[[str], None]) -> None:
        super().__init__(MSGPACK, interval_ms)
        self._check = check
        self._blame = blame

    @property
    def served(self) -> list[str]:
        """Requested names that the server has not declined."""
        return [name for name in self._requested if name not in self._declined]

    def receive(self, payload: bytes | str) -> Received:
        try:
            received = super().receive(payload)
        except ProtocolError as error:
            self._blame(f"the server broke the protocol: {error}")
            raise
        if received.verified is False:
            self._blame(f"the checksum of the copy differs at cut {self.replica.cursor}")
        self._check()
        return received


class User:
    """One user over all their programs and connections."""

    def __init__(self, world: World, name: str, entitled: list[str] | None, *, renews: bool) -> None:
        """`entitled` is the claim `symbols`; without `renews`, the user has only one token."""
        self.world = world
        self.name = name
        self.entitled = entitled
        self.renews = renews
        self.life = 0.0
        """Life of a token, in seconds."""
        self.interval_ms: int | None = None
        self.wanted: list[str] = []
        self.fields: dict[str, FieldSet] = {}
        """The fields that are wanted of wanted names."""
        self._subscribed = 0
        """Number of names that were ever wanted."""
        self.readers: dict[str, Reader | TapeReader] = {}
        self.link: Link | None = None
        self.connected = False
        self._was_connected = False
        """Whether this program has been connected."""
        self.left = False
        """The only token of the user has expired."""
        self.expires = 0
        self._program = trio.CancelScope()
        self._client: Client | None = None
        self._nursery: trio.Nursery | None = None
        self.session = self._new_session()

    async def run(self) -> None:
        """One program after another."""
        while not self.left:
            await self._run_once()
            await trio.sleep(1)

    def restart(self) -> None:
        """End the program; another one starts a second later, with an empty copy."""
        self._program.cancel()

    def subscribe(self, name: str) -> None:
        self.wanted.append(name)
        self._subscribed += 1
        self.fields[name] = self._some_fields(name)
        if self._client is not None and self._nursery is not None:
            self._read(name)

    def _some_fields(self, name: str) -> FieldSet:
        return SELECTIONS[crc32(f"{self.name} {name} {self._subscribed}".encode()) % len(SELECTIONS)]

    def unsubscribe(self, name: str) -> None:
        self.wanted.remove(name)
        if self._client is not None:
            self.readers.pop(name).close()

    def verify(self) -> None:
        """Compare the copy's checksum with the server's."""
        if self._nursery is not None and self._client is not None:
            self._nursery.start_soon(self._verify, self._client)

    async def _verify(self, client: Client) -> None:
        with suppress(ConnectionFailed):
            await client.verify()

    def pause(self) -> None:
        """The program stops reading changes; its client still receives them."""
        for reader in self.readers.values():
            if reader.reading.is_set():
                reader.reading = trio.Event()

    def go_on(self) -> None:
        for reader in self.readers.values():
            reader.reading.set()

    def check(self) -> None:
        """The copy is the market at its cut, and has all confirmed instruments."""
        replica = self.session.replica
        market = self.world.past(replica.epoch)[replica.cursor]
        for holding in replica:
            symbol = holding.definition.symbol
            exact = self.session.complete or not self._selecting
            fields = self.fields_of(symbol) if self.session.complete else None
            if not same(holding, market, fields, partly=not exact):
                is_now = f"{symbol} is {shown_state(holding)} at cut {replica.cursor}"
                self._blame(f"{is_now}, and should be {market.shown(symbol)}")
        if self.session.complete:
            for symbol in self.due(market):
                if held(replica, symbol) is None:
                    self._blame(f"{symbol} is missing at cut {replica.cursor}")

    @property
    def _selecting(self) -> bool:
        """Whether only some fields of anything were ever wanted: a copy may have the former ones for a while."""
        return any(self.fields.values())

    def fields_of(self, symbol: str) -> FieldSet:
        """Return the fields of an instrument that an up-to-date copy has."""
        wanted = [self.session._requested[name] for name in self.session.served if covers(name, symbol)]
        return None if None in wanted or not wanted else frozenset().union(*(each for each in wanted if each))

    def due(self, market: Market) -> list[str]:
        """Return the names of a market's records that an up-to-date copy has."""
        entitled = self.world.entitled(self.link)
        names = self.session.served
        return [name for name in market.names if sees(entitled, name) and any(covers(each, name) for each in names)]

    def lag(self) -> str:
        """Return the first difference of the copy, or of a reader's view, from the present market; empty if none."""
        if not self.connected or not self.session.complete:
            return "not connected, or a subscription is not confirmed"
        market, replica = self.world.server.cache.history[-1], self.session.replica
        due = self.due(market)
        for symbol in due:
            holding = held(replica, symbol)
            if holding is None or not same(holding, market, self.fields_of(symbol)):
                return f"{symbol} is {shown_state(holding)}, and should be {market.shown(symbol)}"
            record = self.world.server.cache.find(symbol)
            if record is None or holding.definition.metadata != record.metadata:
                return f"{symbol} has old metadata"
        if extra := {holding.definition.symbol for holding in replica} - set(due):
            return f"there are also {sorted(extra)}"
        assert self._client is not None
        lags = (reader.lag(self._client, due, self.world.server.cache.models) for reader in self.readers.values())
        return next(filter(None, lags), "")

    async def _run_once(self) -> None:
        self.session, self._was_connected = self._new_session(), False
        client = Client(
            [Address(URL, self._dial)], self._token if self.renews else self._token(), self.session, self._on_event
        )
        with trio.CancelScope() as self._program:
            async with trio.open_nursery() as nursery:
                try:
                    await client.start(nursery)
                    self._client, self._nursery = client, nursery
                    for name in self.wanted:
                        self._read(name)
                    async for _ in client.subscribe():  # without names: it ends with the client
                        pass
                except ConnectionFailed as failed:
                    self._judge(str(failed))
                finally:
                    self._client = self._nursery = None
                    self.connected = False
                    client.close()
                    self.readers.clear()
                nursery.cancel_scope.cancel()
        if client.fault is not None:
            raise client.fault

    def _read(self, name: str) -> None:
        assert self._client is not None
        assert self._nursery is not None
        symbol, _, table = name.partition(" ")
        self.fields.setdefault(name, self._some_fields(name))
        reader: Reader | TapeReader
        if table.startswith("trades:") and is_symbol(symbol):
            reader = TapeReader(self._client.trades(symbol, int(table.rpartition(":")[2])), self._blame)
        else:
            reader = Reader(self._client.subscribe(name, fields=self.fields[name]))
        self.readers[name] = reader
        self._nursery.start_soon(reader.run)

    def _new_session(self) -> CheckedSession:
        return CheckedSession(self.interval_ms, self.check, self._blame)

    def _token(self) -> str:
        text, self.expires = self.world.issue(self.name, self.entitled, self.life)
        return text

    async def _dial(self) -> trio.abc.Stream:
        self.link = await self.world.dial(self.name)
        return self.link.client

    def _on_event(self, event: Event) -> None:
        self.world.note(f"{self.name}: {event}")
        if isinstance(event, Connected):
            self.connected = self._was_connected = True
        elif isinstance(event, Disconnected):
            self.connected = False

    def _judge(self, reason: str) -> None:
        """The client has ended for good: only a refused token may cause that."""
        self.world.note(f"{self.name}: {reason}")
        refused = "HTTP status 401" in reason
        if not refused and (self._was_connected or "HTTP status 4" in reason):
            self._blame(f"ended for good: {reason}")
        if refused:
            if self.world.latest < self.expires:
                self._blame(f"refused with a good token: {reason}")
            self.left = not self.renews

    def _blame(self, problem: str) -> None:
        self.world.blame(f"{self.name}: {problem}")
