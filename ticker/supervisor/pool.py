"""The processes of the service: one for each slot, replaced when it dies, and one by one when they are rolled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import structlog
import trio

from ticker.bounds import FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS
from ticker.bus_bounds import WORKER_READY_SECONDS, WORKER_SHORT_LIFE_SECONDS
from ticker.errors import ConfigError
from ticker.supervisor.child import Child
from ticker.supervisor.messages import FromChild, Kind, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.supervisor.pool")


class Slot:
    """A place for one process at a time, and for a moment for its successor."""

    def __init__(self, name: str, kinds: tuple[Kind, ...]) -> None:
        """`kinds` are those of the connections that it gets."""
        self.name = name
        self.kinds = kinds
        self.child: Child | None = None
        self.served = False
        """One of its processes did serve."""
        self.restarts = 0
        """How often its process was replaced because it had ended."""
        self.short_lives = 0
        """How many in a row ended soon."""

    def __repr__(self) -> str:
        return f"<Slot {self.name} of {self.child!r}>"


class Pool:
    """All processes of the service."""

    def __init__(
        self,
        slots: Sequence[Slot],
        settings: Callable[[Slot, Mapping[Kind, int]], Settings],
        handle: Callable[[Child, FromChild], None],
        over: Callable[[Child], None],
        end_seconds: float,
    ) -> None:
        """`handle` gets the messages of processes, `over` each that has ended. One that is to end has `end_seconds`."""
        self.slots = slots
        self._settings = settings
        self._handle = handle
        self._over = over
        self._end_seconds = end_seconds
        self._stopping = False
        self._nursery: trio.Nursery | None = None
        self.children: set[Child] = set()
        """Those that have not ended."""
        self.exits: Counter[str] = Counter()
        """How often a process ended that was not to, by its exit code or signal."""
        self.rolls = 0
        self.rolls_failed = 0
        self.serving = trio.Event()
        """A worker takes connections, and all others serve."""

    def __repr__(self) -> str:
        return f"<Pool: {len(self.children)} processes for {len(self.slots)} slots>"

    @property
    def workers(self) -> Iterator[Child]:
        """Those that connections may be handed to."""
        return (
            slot.child for slot in self.slots if slot.kinds and slot.child is not None and slot.child.takes_connections
        )

    def labelled(self) -> Iterator[tuple[str, Child]]:
        """Yield all that serve, each with a label of its own."""
        present = {slot.child for slot in self.slots}
        for child in self.children:
            if child.served:
                yield (child.name if child in present else f"{child.name} leaving"), child

    async def run(self) -> None:
        """Start all processes, and keep them running until cancelled. Raises `ConfigError` if one cannot use it."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for slot in self.slots:
                slot.child = self._start(slot)
                nursery.start_soon(self._keep, slot)

    async def roll(self) -> None:
        """Replace all processes by new ones, one after the other; the workers first."""
        self.rolls += 1
        for slot in sorted(self.slots, key=lambda slot: not slot.kinds):
            failure = await self._roll(slot)
            if failure is not None:
                self.rolls_failed += 1
                text = "the new process did not become ready; the one before stays, and further ones too"
                _log.error(text, worker=slot.name, cause=failure)
                return
        _log.info("all processes are replaced")

    async def stop(self) -> None:
        """Have the workers leave, then the source, which keeps its state."""
        self._stopping = True
        for wanted in (True, False):
            async with trio.open_nursery() as nursery:
                for slot in self.slots:
                    if bool(slot.kinds) is wanted:
                        for child in [each for each in self.children if each.name == slot.name]:
                            nursery.start_soon(self.end, child)

    async def end(self, child: Child) -> None:
        """Have a process leave, and wait for its end."""
        child.leave(last=self._stopping)
        with trio.move_on_after(self._end_seconds) as waiting:
            await child.ended.wait()
        if waiting.cancelled_caught:
            _log.error("a worker did not end in time; it is killed", worker=child.name, pid=child.pid)
            child.kill()
            await child.ended.wait()

    def _start(self, slot: Slot) -> Child:
        child = Child(slot.name, partial(self._settings, slot))
        self.children.add(child)
        assert self._nursery is not None  # noqa: S101  # for the type checker
        self._nursery.start_soon(self._run, child, slot.kinds)
        return child

    async def _run(self, child: Child, kinds: tuple[Kind, ...]) -> None:
        try:
            await child.run(kinds, self._note)
        except OSError as error:  # no descriptors, no memory, no processes
            _log.error("a worker cannot be started", worker=child.name, cause=str(error))
        finally:
            self.children.discard(child)
            self._over(child)

    def _note(self, child: Child, message: FromChild) -> None:
        if child.served:
            self._slot_of(child).served = True
            if any(self.workers) and all(slot.served or slot.kinds for slot in self.slots):
                self.serving.set()
        self._handle(child, message)

    def _slot_of(self, child: Child) -> Slot:
        return next(slot for slot in self.slots if slot.name == child.name)

    async def _keep(self, slot: Slot) -> None:
        while True:
            child, started_at = slot.child, trio.current_time()
            assert child is not None  # noqa: S101  # for the type checker
            await child.ended.wait()
            if slot.child is not child:  # it was replaced before
                continue
            if self._stopping:
                return
            if child.unusable is not None and not slot.served:
                raise ConfigError(child.unusable)
            short = trio.current_time() - started_at < WORKER_SHORT_LIFE_SECONDS
            slot.short_lives = slot.short_lives + 1 if short else 0
            wait = _backoff(slot.short_lives)
            slot.restarts += 1
            self.exits[_exit_text(child.exit_code)] += 1
            _log.error(
                "a worker has ended, and is replaced",
                worker=slot.name,
                pid=child.pid,
                exit_code=child.exit_code,
                cause=child.unusable or _exit_text(child.exit_code),
                connections=len(child.connections),
                retry_seconds=round(wait, 1),
            )
            await trio.sleep(wait)
            if slot.child is child and not self._stopping:
                slot.child = self._start(slot)

    async def _roll(self, slot: Slot) -> str | None:
        """Replace a process; return why not, if so."""
        new = self._start(slot)
        await new.serving.wait()
        before = slot.child
        if before is not None and before.ready and slot.kinds:
            with trio.move_on_after(WORKER_READY_SECONDS):
                await new.became_ready.wait()
            if not new.ready:
                await self.end(new)
        if new.ended.is_set() or self._stopping:
            return new.unusable or _exit_text(new.exit_code)
        before, slot.child = slot.child, new
        _log.info("a worker is replaced", worker=slot.name, pid=new.pid, before=before and before.pid)
        if before is not None and not before.ended.is_set():
            await self.end(before)
        return None


def _backoff(short_lives: int) -> float:
    """Return the seconds until a process is started again: none after a long life."""
    if not short_lives:
        return 0.0
    longest = min(FIRST_RESTART_SECONDS * 2.0 ** min(short_lives - 1, 30), LONGEST_RESTART_SECONDS)
    return random.uniform(longest / 2, longest)  # noqa: S311  # spread, not secret


def _exit_text(code: int | None) -> str:
    if code is None:
        return "not started"
    return f"signal {-code}" if code < 0 else f"code {code}"
