"""What happens in a run, drawn from its seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio
import trio.testing

from tests.storm.seeded.processes import Edge, Process, Source
from tests.storm.seeded.user import User
from tests.storm.seeded.world import NAMES, World
from ticker.net.clocks import wall_clock

T = TypeVar("T")

_EXTRA = sorted({name for names in NAMES for name in names})


class Script:
    """Draws the next step, and takes it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        venue = world.venue
        self._market: dict[Callable[[], object], int] = {
            lambda: self._tell(venue.update()): 10,
            lambda: self._tell(venue.levels()): 8,
            lambda: self._tell(venue.book()): 2,
            lambda: self._tell(venue.prints()): 5,
            lambda: self._tell(venue.bar(wall_clock() // 1_000_000)): 1,
            lambda: self._tell(venue.declare()): 1,
            lambda: self._tell(venue.withdraw()): 1,
            lambda: self._tell(venue.lose()): 1,
        }
        self._faults: dict[Callable[[], Awaitable[None] | None], int] = {
            self._kill_a_source: 3,
            self._kill_an_edge: 3,
            self._stop: 5,
            self._restart_the_engine: 3,
            self._stop_the_engine: 2,
            self._fill_the_engine: 1,
            self._cut_off: 3,
            self._slow_down: 3,
            self._lose_answers: 3,
            self._lose_a_takeover: 1,
            self._fail_a_feed: 1,
            self._heal_one: 16,
            self._move: 14,
            self._break_a_link: 3,
            self._hold_a_link: 6,
            self._let_links_flow: 6,
            self._subscribe: 4,
            self._unsubscribe: 3,
            self._verify: 3,
        }

    async def play(self, steps: int) -> None:
        """Take so many steps, each with some news of the market."""
        world = self._world
        for _ in range(steps):
            for _ in range(self._chance.choice([0, 1, 1, 2, 5])):
                self._draw(self._market)()
                if self._chance.random() < 0.5:  # else more comes in the same cut
                    await trio.sleep(0.006)
            fault = self._draw(self._faults)
            world.note(fault.__name__.strip("_").replace("_", " "))
            world.note_hindered()
            done = fault()
            if done is not None:
                await done
            await trio.sleep(self._wait())
            world.note_hindered()
            await trio.testing.wait_all_tasks_blocked()
            world.connect_users()
            for user in world.users:
                user.check()
            if world.violations:
                return

    async def end_well(self) -> None:
        """Remove all faults; then all copies are the present market, which goes on."""
        world = self._world
        world.note("all is well again")
        self._heal_all()
        await world.converge()
        if not world.violations:
            for _ in range(3):
                self._draw(self._market)()
            await trio.sleep(0.5)
            await world.converge()
            await world.verify()

    def _draw(self, steps: dict[Callable[[], T], int]) -> Callable[[], T]:
        return self._chance.choices(list(steps), list(steps.values()))[0]

    def _wait(self) -> float:
        odds = self._chance.random()
        longest = 0.02 if odds < 0.4 else 0.3 if odds < 0.75 else 1.5 if odds < 0.97 else 7.0
        return self._chance.uniform(0, longest)

    # The market

    def _tell(self, news: object) -> None:
        for source in self._world.sources:
            source.tell(news)  # type: ignore[arg-type]  # a list of publications

    # Processes

    def _kill_a_source(self) -> None:
        self._kill(self._source())

    def _kill_an_edge(self) -> None:
        self._kill(self._chance.choice(self._world.edges))

    def _kill(self, process: Process) -> None:
        self._world.note(f"kill {process}")
        process.kill()

    def _stop(self) -> None:
        """As SIGSTOP."""
        process = self._process()
        self._world.note(f"stop {process}")
        if process.alive:
            process.way.stop()

    def _source(self) -> Source:
        """Often the one that leads."""
        leader = self._world.leader
        return (
            leader if leader is not None and self._chance.random() < 0.6 else self._chance.choice(self._world.sources)
        )

    def _process(self) -> Process:
        edge: Edge = self._chance.choice(self._world.edges)
        return self._source() if self._chance.random() < 0.6 else edge

    def _fail_a_feed(self) -> None:
        self._source().fail()

    # The engine, and the ways to it

    def _restart_the_engine(self) -> None:
        self._restart()

    def _restart(self) -> None:
        lost = self._chance.choice([0, 0, 1, 2, 4, 12, None])
        self._world.note(f"it loses {lost}")
        self._world.engine.start(lost)
        if lost != 0:
            self._world.kill_replaced_sources()
        for process in self._world.processes:
            process.way.hindered_at = trio.current_time()

    async def _lose_a_takeover(self) -> None:
        """A source is stopped until the other one leads; the engine loses that, and the first one wakes."""
        leader = self._world.leader
        if leader is None:
            return
        leader.way.stop()
        with trio.move_on_after(3):
            while self._world.leader in {leader, None}:
                await trio.sleep(0.1)
        for _ in range(self._chance.randint(0, 3)):
            self._draw(self._market)()
            await trio.sleep(0.05)
        self._restart()
        leader.wake()

    def _stop_the_engine(self) -> None:
        self._world.engine.stop()

    def _fill_the_engine(self) -> None:
        self._world.engine.full = True

    def _cut_off(self) -> None:
        process = self._process()
        self._world.note(f"cut off {process.name}")
        process.way.cut_off = True

    def _slow_down(self) -> None:
        process = self._process()
        process.way.delay = self._chance.choice([0.02, 0.2, 1.0])
        self._world.note(f"slow down {process.name}: {process.way.delay}")

    def _lose_answers(self) -> None:
        self._source().way.lost_answers = self._chance.randint(1, 2)

    # Healing

    def _heal_one(self) -> None:
        """Take one fault back."""
        world = self._world
        faults: list[Callable[[], object]] = [each.start for each in world.processes if not each.alive]
        faults += [each.wake for each in world.processes if each.way.stopped]
        faults += [partial(self._repair_way, each) for each in world.processes if each.way.cut_off or each.way.delay]
        if not world.engine.up:
            faults.append(self._restart)
        if world.engine.full:
            faults.append(self._empty_the_engine)
        if faults:
            self._chance.choice(faults)()

    def _repair_way(self, process: Process) -> None:
        process.way.cut_off, process.way.delay = False, 0.0

    def _empty_the_engine(self) -> None:
        self._world.engine.full = False

    def _heal_all(self) -> None:
        world = self._world
        if not world.engine.up:
            self._restart()
        self._empty_the_engine()
        for process in world.processes:
            self._repair_way(process)
            process.way.lost_answers = 0
            process.start()
            process.wake()
        self._let_links_flow()

    # Clients

    def _move(self) -> None:
        """A client goes to another edge, perhaps one that is behind its copy."""
        user, edge = self._user(), self._chance.choice(self._world.edges)
        self._world.note(f"{user.name} to {edge.name}")
        user.connect(edge)

    def _break_a_link(self) -> None:
        self._user().leave()

    def _hold_a_link(self) -> None:
        user = self._user()
        if user.socket is not None:
            user.socket.flowing = False

    def _let_links_flow(self) -> None:
        for user in self._world.users:
            if user.socket is not None:
                user.socket.flowing = True
                user.socket.flush()

    def _subscribe(self) -> None:
        user = self._user()
        user.session.add_names(set(self._chance.sample(_EXTRA, 1)) - user.session.names)
        user.ask()

    def _unsubscribe(self) -> None:
        user = self._user()
        if len(user.session.names) > 1:
            user.session.remove_names([self._chance.choice(sorted(user.session.names))])
            user.ask()

    def _verify(self) -> None:
        self._user().verify()

    def _user(self) -> User:
        return self._chance.choice(self._world.users)
