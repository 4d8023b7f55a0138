"""The service on simulated links and time, and the invariants of a run."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jwt
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.core.harness import leftovers
from tests.simulation.feed import ScriptedFeed, State
from tests.simulation.history import Market, RememberingCache, numbers
from tests.simulation.link import Link
from tests.simulation.listener import Listener
from tests.simulation.user import User
from tests.simulation.witness import Witness
from tests.tokens import public_pem
from ticker.bounds import TOKEN_LEEWAY_US
from ticker.config import Config, Limits, Tokens
from ticker.core.hub import Hub
from ticker.door.auth import Auth
from ticker.door.callers import Caller
from ticker.door.key_ring import public_key
from ticker.market import Field, field_name
from ticker.net.dialing import Unreachable
from ticker.server.connection import ClientConnection, ServerContext
from ticker.server.dispatch import CONNECTION_LOST, admit, serve
from ticker.server.feed_channel import FeedMessage, FeedState
from ticker.server.feed_runner import FeedRunner
from ticker.server.files import Files
from ticker.server.housekeeping import check_connections
from ticker.server.metrics import Metrics
from ticker.server.operator_pages import OperatorPages
from ticker.server.pages import Pages
from ticker.server.publisher import Publisher
from ticker.server.readiness import Readiness

SYMBOLS = {"one": ("AA", "AB", "AC", "AD"), "two": ("BA", "BB", "CA", "CB")}
"""By feed. Sets of so few ids have the same order in every process."""

LIMITS = Limits(
    heartbeat_seconds=4,
    stall_seconds=5,
    ping_seconds=6,
    pong_seconds=3,
    handshake_seconds=3,
    expiry_warning_seconds=4,
    feed_queue=16,
    updates_per_cut=8,
    snapshot_part=2,
)
BOUND_SECONDS = 60.0
"""Time in which every reading client has the present market, once all faults are removed."""

GONE_SECONDS = 20.0
"""Time in which the service releases the state of clients that are gone, even without an end of the stream."""

_CONTROL = 256
"""Bytes that may wait for a socket besides data: a ping, a pong, a warning, an error, a close frame."""

_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_RING = public_key(public_pem(_KEY))
_BEGINNING = 1_700_000_000_000_000


class InOrder(set[ClientConnection]):
    """A set with the iteration order of insertion."""

    def __init__(self) -> None:
        super().__init__()
        self._order: dict[ClientConnection, None] = {}

    def add(self, item: ClientConnection) -> None:
        super().add(item)
        self._order[item] = None

    def remove(self, item: ClientConnection) -> None:
        super().remove(item)
        del self._order[item]

    def __iter__(self) -> Iterator[ClientConnection]:
        return iter(list(self._order))


class Server(NamedTuple):
    """One run of the service, between two restarts."""

    cache: RememberingCache
    service: ServerContext
    pages: Pages
    nursery: trio.Nursery


class World:
    """One run of the simulation: the service, its feeds, its users, and the links between them."""

    def __init__(self, chance: random.Random, note: Callable[[str], None]) -> None:
        self.chance = chance
        self.digest = hashlib.blake2b(digest_size=16)
        self.violations: list[str] = []
        self._note = note
        self._offset = _BEGINNING
        self.latest = 0
        """The latest time that the server's clock has shown."""
        self._pasts: dict[str, list[Market]] = {}
        self._witnesses: dict[Link, Witness] = {}
        self._behind: Counter[Link] = Counter()
        """Data messages sent on a link since its socket last had no unsent bytes."""
        self.feeds = [ScriptedFeed(name, symbols, chance, self.clock) for name, symbols in SYMBOLS.items()]
        self.users: list[User] = []
        self.listeners: list[Listener] = []
        self.reachable = True
        self._lives = 0
        self._server: Server | None = None

    # Time, notes

    def clock(self) -> int:
        """The server's clock, in microseconds since 1970 UTC: it can be set."""
        now = self._offset + int(trio.current_time() * 1_000_000)
        self.latest = max(self.latest, now)
        return now

    def set_clock(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        now = int(trio.current_time() * 1_000_000)
        for witness in self._witnesses.values():
            witness.look_at_the_clock(now)
        self._offset += int(seconds * 1_000_000)
        for witness in self._witnesses.values():
            witness.look_at_the_clock(now)

    def note(self, event: str) -> None:
        self._note(f"{trio.current_time():9.3f}  {event}")

    def blame(self, problem: str) -> None:
        """Record a violation."""
        self.note(f"VIOLATION: {problem}")
        self.violations.append(problem)

    # The service

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the service until it is stopped, with an epoch of its own."""
        self._lives += 1
        cache = RememberingCache(f"epoch{self._lives}")
        for feed in self.feeds:
            feed.forget()
        self._pasts[cache.epoch] = cache.history
        hub = Hub(cache, snapshot_part=LIMITS.snapshot_part, burst=self.chance.choice([1, 2, 64]))
        auth = Auth(Config(tokens=Tokens(key="token-public.pem"), limits=LIMITS), self.clock)
        assert auth.keys is not None
        auth.keys.ring = _RING
        service = ServerContext(hub, LIMITS, 0, auth, connections=InOrder())
        messages, received = trio.open_memory_channel[FeedMessage](LIMITS.feed_queue)
        publisher = Publisher(hub, LIMITS, self.clock)
        feed_states = [FeedState(feed.name) for feed in self.feeds]
        metrics = Metrics(service, publisher, feed_states)
        readiness = Readiness(feed_states, LIMITS.ready_seconds)
        operator_pages = OperatorPages(auth, feed_states, readiness, metrics.page)
        pages = Pages(service, Files(Path(__file__).parent), operator_pages, metrics_open=False)
        async with trio.open_nursery() as nursery:
            self._server = Server(cache, service, pages, nursery)
            nursery.start_soon(publisher.run, received)
            nursery.start_soon(check_connections, service)
            nursery.start_soon(service.fair_queue.hand_out)
            for feed_state, feed in zip(feed_states, self.feeds, strict=True):
                runner = FeedRunner(feed_state, feed, messages, feed_state.applied_of, LIMITS.max_batch)
                nursery.start_soon(runner.run)
            task_status.started()
            await trio.sleep_forever()

    async def stop(self, *, politely: bool) -> None:
        """Stop the service, politely as `ticker.server.service` does, or at once."""
        if politely:
            with trio.move_on_after(3):
                async with trio.open_nursery() as nursery:
                    for connection in list(self.server.service.connections):
                        nursery.start_soon(connection.send_goodbye, self.chance.randint(100, 1000))
        self.server.nursery.cancel_scope.cancel()
        for link in self._witnesses:
            link.reset()
        self._witnesses.clear()

    async def dial(self, client: str) -> Link:
        await trio.sleep(self.chance.uniform(0, 0.05))
        if not self.reachable:
            raise Unreachable("the network is down")
        server = self.server
        witness = Witness(server.cache, self.clock, lambda problem: self.blame(f"{client}: {problem}"))
        link = Link(
            room=self.chance.choice([10, 40, 120, 400, 100_000]),
            chunk=self.chance.choice([7, 100, 65_536]),
            heard=lambda data, by_server: self._heard(link, data, by_server=by_server),
        )
        self._witnesses[link] = witness
        server.nursery.start_soon(self._handle, link, f"address of {client}", server)
        return link

    async def _handle(self, link: Link, address: str, server: Server) -> None:
        """As `ticker.server.service` does, but exceptions are raised."""
        auth = server.service.auth
        caller = Caller(address, auth.proxies, auth.connection_limits)
        try:
            if caller.connected():
                admitted = await admit(link.server, caller, server.service, server.pages)
                if admitted is not None:
                    await serve(link.server, admitted, server.service)
        except CONNECTION_LOST:
            pass
        finally:
            caller.disconnected()
            with trio.CancelScope(shield=True):
                await link.server.aclose()

    # Bytes on the links

    def _heard(self, link: Link, data: bytes, *, by_server: bool) -> None:
        """Check the bytes that are sent on a link."""
        self.digest.update(b"%d %d %b" % (by_server, len(data), data))
        witness = self._witnesses.get(link)
        if witness is None:
            return
        if not by_server:
            witness.request(data)
            return
        if not link.server.unsent:
            self._behind[link] = 0
        if witness.said(data):
            self._behind[link] += 1
            if self._behind[link] > 1:
                self.blame("more and more is sent to a client whose socket does not take it")
            if witness.overdue(int(trio.current_time() * 1_000_000)):
                self.blame("data was sent to a client whose token has expired")
        if link.server.unsent > witness.largest + _CONTROL:
            self.blame(f"{link.server.unsent} bytes wait for a socket")

    def issue(self, subject: str, entitled: list[str] | None, life: float) -> tuple[str, int]:
        """Return a token and the time of its expiry (in microseconds since 1970 UTC)."""
        expires = self.clock() / 1_000_000 + life
        claims = {"aud": "ticker", "sub": subject, "exp": expires, "symbols": entitled}
        token = jwt.encode({key: value for key, value in claims.items() if value is not None}, _KEY, "EdDSA")
        return token, int(expires * 1_000_000) + TOKEN_LEEWAY_US

    def entitled(self, link: Link | None) -> frozenset[str] | None:
        """Return the symbols and patterns that the client on a link may see."""
        return self._witnesses[link].entitled if link in self._witnesses else frozenset()

    def past(self, epoch: str) -> list[Market]:
        return self._pasts[epoch.partition(".")[0]]

    def alive(self) -> list[Link]:
        """Return the links that still carry bytes."""
        return [link for link in self._witnesses if not (link.broken or link.client_gone or link.down.dead)]

    # Invariants while all tasks wait

    def check(self) -> None:
        """Check the invariants; all tasks have to wait."""
        self._check_cursors()
        for feed in self.feeds:
            self._check_shown(feed)
            if feed.state is State.DOWN:
                self._check_stale(feed)

    def _check_cursors(self) -> None:
        hub = self.server.service.hub
        for audience in hub._audiences.values():
            for member in audience.members:
                if audience.cursor > member.cursor:
                    self.blame(f"an audience at cut {audience.cursor} has a member at cut {member.cursor} in step")
        cursors = {each._session.name: each._subscriber for each in self.server.service.connections}
        for user in self.users:
            welcome, link = user.session._welcome, user.link
            subscriber = cursors.get(welcome.session) if welcome is not None else None
            if subscriber is None or link is None or not link.idle or not (user.connected and user.session.complete):
                continue
            if subscriber.cursor > user.session.replica.cursor:
                self.blame(f"{user.name} is at {user.session.replica.cursor}, thought to be at {subscriber.cursor}")

    def _check_stale(self, feed: ScriptedFeed) -> None:
        for symbol in feed.declared:
            book = self.server.cache.book_of(symbol)
            if book is not None and book.status()[0] != "stale":
                self.blame(f"the book of {symbol} is {book.status()}, and its feed is down")
            record = self.server.cache.instrument(symbol)
            status = record.values.get(Field.STATUS) if record is not None else "stale"
            if status != "stale":
                self.blame(f"{symbol} is {status}, and its feed is down")

    def _check_shown(self, feed: ScriptedFeed) -> None:
        """Every value is one that the feed has said, and, where the instrument is live, said in its present run."""
        for record in self.server.cache.instruments:
            shown = feed.shown.get(record.symbol)
            if shown is None:
                continue
            values = numbers(record.present(), record.price_scale, record.size_scale)
            told = {field_name(key): value for key, value in values.items() if key not in {Field.STATUS, Field.REASON}}
            if told != shown.values:
                self.blame(f"{record.symbol} is shown as {told}, and its feed said {shown.values}")
            if shown.outdated and record.values.get(Field.STATUS) != "stale":
                self.blame(f"{record.symbol} is outdated, and not shown as stale")

    async def converge(self, *, within: float) -> None:
        """Wait until every reading client has the present market; blame those that have not in time."""
        lags: dict[str, str] = {}
        with trio.move_on_after(within):
            while True:
                await trio.testing.wait_all_tasks_blocked()
                staying: list[User | Listener] = [*(user for user in self.users if not user.left), *self.listeners]
                lags = {each.name: lag for each in staying if (lag := each.lag())}
                if not lags or self.violations:
                    return
                await trio.sleep(0.5)
        for name, lag in lags.items():
            self.blame(f"{name} does not converge within {within} s: {lag}")

    def check_released(self) -> None:
        """All clients are gone, and the service keeps no state of them."""
        service, connection_limits = self.server.service, self.server.service.auth.connection_limits
        kept: dict[str, object] = {
            **leftovers(service.hub),
            "connections": list(service.connections),
            "arrived": connection_limits.open,
            "inside": connection_limits.admitted,
            "addresses": dict(connection_limits._addresses),
            "subjects": dict(connection_limits._subjects),
        }
        if kept := {name: value for name, value in kept.items() if value}:
            self.blame(f"when all have gone, this is kept of them: {kept}")
