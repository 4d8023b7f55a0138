"""The script of a run: updates and faults, drawn from the seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import trio
import trio.testing

from tests.simulation.books import ODD_SIZES, moves, side
from tests.simulation.feed import ScriptedFeed, State
from tests.simulation.link import Link
from tests.simulation.listener import Listener
from tests.simulation.user import User
from tests.simulation.world import BOUND_SECONDS, World
from ticker.core.tables.table_record import TableRecord
from ticker.market import Candle, Instrument, Levels, Stale, Trade, Update, Withdrawal
from ticker.protocol.tables import BOOK

_SYMBOLS = ("AA", "AB", "AC", "BA", "BB", "CA", "ZZ")
_BARS = ("candles:1m:1", "candles:1m:4", "candles:5m:2")
_TRADED = frozenset({"AD", "CB"})
"""Instruments with no quotes of a price: their bars are those of prints alone."""
_TABLES = ("book:1", "book:2", "book:3", "trades:1", "trades:2", "trades:4")
_NAMES = (
    *(*_SYMBOLS, "A*", "B*", "*B", "?A", "[AC]*", "*"),
    *(f"{symbol} {table}" for symbol in ("AA", "BA", "ZZ") for table in _TABLES),
    *(f"{symbol} {bars}" for symbol in sorted(_TRADED) for bars in _BARS),
    *("A* book:1", "* book:2", "*B book:3", "?A trades:2", "* trades:4"),
)
_ENTITLEMENTS = (
    *(None, None, ["*"], ["A*"], ["A*", "BA"], ["AA", "AB", "CB"], ["*B", "C*"], ["B*"]),
    *(["*", "* *"], ["A*", "A* book:*"], ["* trades:4", "AA"], ["*", "B* book:2", "AA trades:*"]),
)
_STATUSES = ("live", "halted", "closed")
_NONSENSE = ("oops", "NaN", "1e99", Decimal("Infinity"), True, 1.5, None, "")
_ODD_NUMBERS = ("0.0000000001", "2000000.5", "1127313210.00855204", "5.000000000000001", "1.5E+12", "9" * 40, "1e-40")
_PING = b"\x89\x80\x00\x00\x00\x00"
"""A client's whole ping, masked with zeros (RFC 6455, section 5.5.2)."""


class Script:
    """Draws the next step, and takes it."""

    def __init__(self, world: World, using: trio.Nursery, serving: trio.Nursery) -> None:
        """Users run in the nursery `using`, the service in `serving`."""
        self._world = world
        self._chance = world.chance
        self._using = using
        self._serving = serving
        # Steps with their weights.
        self._weights: dict[Callable[[], Awaitable[None] | None], int] = {
            self._update: 30,
            self._batch: 8,
            self._change_levels: 20,
            self._move_a_book: 5,
            self._publish_a_book: 6,
            self._lose_a_book: 2,
            self._print: 12,
            self._tell_of_the_past: 2,
            self._correct_a_print: 3,
            self._declare: 4,
            self._withdraw: 3,
            self._give_nonsense: 4,
            self._lose_messages: 2,
            self._fail_a_feed: 3,
            self._end_a_feed: 1,
            self._stall: 14,
            self._trickle: 10,
            self._flow: 5,
            self._hold_requests: 2,
            self._reset: 5,
            self._lose: 2,
            self._ping: 2,
            self._cut_the_network: 1,
            self._restore_the_network: 3,
            self._subscribe: 7,
            self._unsubscribe: 6,
            self._restart_a_program: 1,
            self._pause_a_reader: 2,
            self._let_readers_go_on: 2,
            self._set_the_clock: 2,
            self._change_an_entitlement: 1,
            self._verify: 3,
        }

    # The run

    def begin(self) -> None:
        """Set up the feeds and users of this run."""
        chance, world = self._chance, self._world
        for feed in world.feeds:
            for symbol in chance.sample(feed.symbols, chance.randint(1, len(feed.symbols))):
                feed.tell([self._instrument(symbol, 0), self._values(feed, symbol)])
                if chance.random() < 0.7:
                    feed.tell(self._book(feed, symbol))
        for number in range(chance.randint(3, 6)):
            user = User(world, f"user{number}", chance.choice(_ENTITLEMENTS), renews=number != 1)
            user.life = chance.choice([1.0, 5.0, 20.0] if number == 1 else [-4.0, 5.0, 600.0])
            user.interval_ms = chance.choice([None, None, 0, 50, 200, 1000])
            user.wanted = chance.sample(_NAMES, chance.randint(0, 4))
            world.users.append(user)
            self._using.start_soon(user.run)
        for number in range(chance.randint(0, 2)):
            names, life = chance.sample(_NAMES, chance.randint(1, 4)), chance.choice([-4.0, 5.0, 600.0])
            listener = Listener(world, f"listener{number}", chance.choice(_ENTITLEMENTS), names, life)
            world.listeners.append(listener)
            self._using.start_soon(listener.run)

    async def play(self, steps: int) -> None:
        """Take so many steps, and check the invariants after each."""
        steps_of, weights = list(self._weights), list(self._weights.values())
        for _ in range(steps):
            if self._chance.random() < 0.01:
                await self._restart_the_service()
            else:
                step = self._chance.choices(steps_of, weights)[0]
                self._world.note(step.__name__.strip("_").replace("_", " "))
                done = step()
                if done is not None:
                    await done
            await self._wait()
            self._world.check()
            if self._world.violations:
                return

    async def end_well(self) -> None:
        """Remove all faults; then every copy converges to the present market, also after one more feed has failed."""
        world = self._world
        self._heal()
        await world.converge(within=BOUND_SECONDS)
        for feed in world.feeds:
            for symbol in feed.declared:
                feed.tell(self._values(feed, symbol))
        failed = self._chance.choice([feed for feed in world.feeds if feed.state is State.RUNNING] or [None])
        if failed is not None:
            failed.tell(RuntimeError("the venue hung up"))
        await trio.testing.wait_all_tasks_blocked()
        world.check()
        await world.converge(within=BOUND_SECONDS)

    def _heal(self) -> None:
        self._world.note("all is well again")
        self._world.reachable = True
        for link in self._world.alive():
            link.flow()
        for user in self._world.users:
            user.go_on()

    async def _wait(self) -> None:
        """Wait: often not at all, mostly briefly, sometimes beyond the longest timeout."""
        await trio.testing.wait_all_tasks_blocked()
        odds = self._chance.random()
        if odds < 0.3:
            return
        longest = 0.1 if odds < 0.85 else 2.0 if odds < 0.97 else 12.0
        await trio.sleep(self._chance.uniform(0, longest))
        await trio.testing.wait_all_tasks_blocked()

    async def _restart_the_service(self) -> None:
        self._world.note("restart the service")
        await self._world.stop(politely=self._chance.random() < 0.5)
        await self._serving.start(self._world.serve)

    # The market

    def _update(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            feed = self._feed()
            feed.tell(self._values(feed, self._declared(feed)))

    def _batch(self) -> None:
        feed = self._feed()
        feed.tell([self._values(feed, self._declared(feed)) for _ in range(self._chance.randint(2, 12))])

    def _change_levels(self) -> None:
        """Change levels of one book, often within the same cut."""
        feed = self._feed()
        symbol = self._declared(feed)
        for _ in range(self._chance.randint(1, 4)):
            feed.tell(Levels(symbol, side(self._chance, 5, 2), side(self._chance, 8, 2)))

    async def _move_a_book(self) -> None:
        """Let the best prices of a book wander, each move in a cut of its own: clients skip some of them, or many."""
        feed, symbol = self._watched_book()
        best = self._chance.randint(10, 90)
        prices = [best - 3, best - 1, best]
        feed.tell(feed.book(symbol, [(price, 1) for price in prices], [(best + 1, 1)], None))
        await self._wait()
        for level in moves(self._chance, prices):
            feed.tell(Levels(symbol, [level], []))
            await trio.testing.wait_all_tasks_blocked()

    def _publish_a_book(self) -> None:
        feed = self._feed()
        feed.tell(self._book(feed, self._declared(feed)))

    def _lose_a_book(self) -> None:
        feed = self._feed()
        feed.tell(Stale(self._declared(feed), "checksum", book_only=True))

    def _tell_of_the_past(self) -> None:
        """Publish a bar of the last minutes."""
        feed = self._feed()
        period, seconds = self._chance.choice([("1m", 60), ("5m", 300)])
        start = (self._world.clock() // 1_000_000 // seconds - self._chance.randint(0, 4)) * seconds
        volume, count = self._chance.choice([(None, None), ("3", 2), ("0.5", None)])
        feed.tell(Candle(self._declared(feed), period, start, "4", "6.5", "2", "5", volume, count))

    def _print(self) -> None:
        """Print some trades of one instrument; now and then more than a ring holds."""
        feed = self._feed()
        symbol = self._declared(feed)
        for _ in range(self._chance.choice([1, 1, 2, 3, 9])):
            feed.tell(self._trade(symbol, None))

    def _correct_a_print(self) -> None:
        """Print a trade with an id, or correct it, or bust it."""
        feed = self._feed()
        numbers: list[int | str] = [1, 2, "x"]
        feed.tell(self._trade(self._declared(feed), self._chance.choice(numbers)))

    def _declare(self) -> None:
        """Declare a new instrument, or a known one with finer scales or other metadata."""
        feed = self._feed()
        symbol = self._chance.choice(feed.symbols)
        known = feed.declared.get(symbol)
        feed.tell(self._instrument(symbol, known.price_scale if known is not None else 0))

    def _withdraw(self) -> None:
        feed = self._feed()
        symbol = self._declared(feed)
        feed.latest.pop(symbol, None)
        feed.tell(Withdrawal(symbol))

    def _give_nonsense(self) -> None:
        feed = self._feed()
        bad: dict[str, Any] = {
            self._chance.choice(("bid", "ask", "bid_size", "funding")): self._chance.choice(_NONSENSE)
        }
        if self._chance.random() < 0.5:
            bad["last"] = "7"
        symbol = self._declared(feed)
        if symbol in _TRADED:
            bad = {"ask" if name in {"bid", "last"} else name: value for name, value in bad.items()}
        for name in bad:
            feed.latest.get(symbol, {}).pop(name, None)
        feed.tell(Update(symbol, bad))

    def _lose_messages(self) -> None:
        feed = self._feed()
        feed.tell(Stale(self._declared(feed), "gap"))

    def _fail_a_feed(self) -> None:
        self._feed().tell(RuntimeError("the venue hung up"))

    def _end_a_feed(self) -> None:
        self._feed().tell(None)

    # Links

    def _stall(self) -> None:
        if link := self._link():
            link.stall()

    def _trickle(self) -> None:
        if link := self._link():
            link.trickle(self._chance.choice([1, 2, 5, 40, 400]))

    def _flow(self) -> None:
        if link := self._link():
            link.flow()

    def _hold_requests(self) -> None:
        if link := self._link():
            link.up.flowing = False

    def _reset(self) -> None:
        if link := self._link():
            link.reset()

    def _lose(self) -> None:
        if link := self._link():
            link.die()

    def _ping(self) -> None:
        if link := self._link():
            link.client.send_nowait(_PING)

    def _cut_the_network(self) -> None:
        self._world.reachable = False
        for link in self._world.alive():
            link.reset()

    def _restore_the_network(self) -> None:
        self._world.reachable = True

    # Users

    def _subscribe(self) -> None:
        user = self._user()
        if new := [name for name in _NAMES if name not in user.wanted]:
            user.subscribe(self._chance.choice(new))

    def _unsubscribe(self) -> None:
        user = self._user()
        if user.wanted:
            user.unsubscribe(self._chance.choice(user.wanted))

    def _restart_a_program(self) -> None:
        self._user().restart()

    def _pause_a_reader(self) -> None:
        self._user().pause()

    def _let_readers_go_on(self) -> None:
        self._user().go_on()

    def _verify(self) -> None:
        self._user().verify()

    def _change_an_entitlement(self) -> None:
        """The issuer grants other symbols from now on."""
        self._user().entitled = self._chance.choice(_ENTITLEMENTS)

    def _set_the_clock(self) -> None:
        self._world.set_clock(self._chance.choice([-3600.0, -5.0, -0.5, 0.5, 5.0, 30.0]))

    # Choices

    def _feed(self) -> ScriptedFeed:
        return self._chance.choice(self._world.feeds)

    def _declared(self, feed: ScriptedFeed) -> str:
        return self._chance.choice(list(feed.declared))

    def _watched_book(self) -> tuple[ScriptedFeed, str]:
        """An instrument whose book is watched, if there is one, and its feed."""
        tables = (each for each in self._world.server.cache.records if isinstance(each, TableRecord) and each.watchers)
        books = {each.instrument.symbol for each in tables if each.table.kind == BOOK}
        declared = [(feed, symbol) for feed in self._world.feeds for symbol in feed.declared]
        return self._chance.choice([each for each in declared if each[1] in books] or declared)

    def _user(self) -> User:
        return self._chance.choice(self._world.users)

    def _link(self) -> Link | None:
        alive = self._world.alive()
        return self._chance.choice(alive) if alive else None

    def _instrument(self, symbol: str, scale: int) -> Instrument:
        scale = min(4, scale + self._chance.choice([0, 0, 1, 2]))
        return Instrument(symbol, scale, 0, {"name": self._chance.choice(["Acme", "Umbrella", "Hooli"])})

    def _book(self, feed: ScriptedFeed, symbol: str) -> Levels:
        depth = self._chance.choice([None, None, None, 2, 4])
        return feed.book(symbol, side(self._chance, 5, 6), side(self._chance, 8, 6), depth)

    def _trade(self, symbol: str, number: int | str | None) -> Trade:
        """A print of now, of some time ago, or without a time; a size of 0 busts an earlier one."""
        chance = self._chance
        price = str(chance.randint(1, 9)) if chance.random() < 0.9 else chance.choice(ODD_SIZES)
        size = chance.randint(0 if number is not None else 1, 3)
        age = chance.choice([None, 0, 0, 1, 61, 400])
        time = None if age is None else self._world.clock() - age * 1_000_000
        return Trade(symbol, price, size, chance.choice([None, "buy", "sell"]), time, number)

    def _values(self, feed: ScriptedFeed, symbol: str) -> Update:
        """Some values of an instrument; now and then one finer than the scale, a withdrawn one, or a status."""
        chance, places = self._chance, self._chance.choice([0, 1, 2, 2, 2, 3])
        names = ("bid", "ask", "last", "bid_size", "note", "funding")
        if symbol in _TRADED:
            names = ("ask", "open", "high", "bid_size", "note", "funding")
        fields = chance.sample(names, chance.randint(1, 3))
        values: dict[str, str | Decimal | int | None] = {
            name: str(Decimal(chance.randint(1, 99_999)).scaleb(-places)) for name in fields
        }
        if chance.random() < 0.1:
            values[fields[-1]] = chance.choice(_ODD_NUMBERS)
        if "funding" in values:
            values["funding"] = Decimal(str(values["funding"]))
        if chance.random() < 0.1:
            values[fields[0]] = None
        if chance.random() < 0.05:
            values["status"] = chance.choice(_STATUSES)
        return feed.update(symbol, **values)
