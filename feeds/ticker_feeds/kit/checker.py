"""The conformance kit: whether a feed keeps the rules that the service relies on. For a feed's author, in one line:

    test_my_feed = conformance(lambda: MyFeed(path="prices.txt"))

or, where the feed's source runs in the same test (`check_feed` is an async function, for pytest-trio or `trio.run`):

    async def test_my_feed() -> None:
        async with my_little_venue() as port:
            await check_feed(MyFeed(port=port))

The feed runs three times, the same object each time: it is read and cancelled; its channel is left full, and it is
cancelled while it waits; it is read again. The first rule that it breaks is raised as `Nonconformity`, with the
finding and the remedy. All rules stand in `RULES`.

All seconds are Trio's: with a `trio.testing.MockClock`, a feed that only sleeps is checked in no time.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import trio

from ticker.errors import ConfigError, sole
from ticker.market import FeedItem, Levels, Update
from ticker.texts import shown
from ticker_feeds import Feed
from ticker_feeds.attributes import attributes_of
from ticker_feeds.kit.rules import RULES, Nonconformity, PublicationChecker

__all__ = ["RULES", "Nonconformity", "check_feed", "conformance"]

CANCEL_SECONDS = 1.0
CANCEL_STEPS = 10_000
"""A feed that is cancelled has ended after so many seconds and so many steps of its tasks."""

LINGER_SECONDS = 0.1
"""So long it is watched for updates when it has ended."""

MEMORY_BYTES = 2**20
"""Growth allowed to a feed with a full channel, from soon after its filling to the end of the check."""

MANY_WAITING = 100
"""More sends than this that wait at once, and become more and more, are a queue."""


def conformance(
    make: Callable[[], Feed], *, updates: int = 500, seconds: float = 5.0, full_seconds: float = 1.0
) -> Callable[[], None]:
    """A test for pytest, or any other runner: it makes the feed and checks it (`check_feed`)."""

    def test() -> None:
        feed = make()
        trio.run(
            partial(check_feed, feed, updates=updates, seconds=seconds, full_seconds=full_seconds),
        )

    return test


async def check_feed(feed: Feed, *, updates: int = 500, seconds: float = 5.0, full_seconds: float = 1.0) -> None:
    """Check a feed with a source that sends.

    It is read until it has sent so many `updates`, or for so many `seconds`; its channel is full for
    `full_seconds`. Raises `Nonconformity`.
    """
    _check_attributes(feed)
    first = PublicationChecker()
    await _live(feed, partial(_read, checker=first, most=updates, seconds=seconds))
    if not first.updates:
        raise Nonconformity("something comes", f"no update came within {seconds:g} s")
    await _again(feed, partial(_leave_full, seconds=seconds, full_seconds=full_seconds))
    await _again(feed, partial(_read_again, most=min(updates, 20), seconds=seconds))
    _check_attributes(feed)


async def _again(feed: Feed, watch: Callable[[_FeedRun], Awaitable[None]]) -> None:
    """Another run of the same feed; some faults mean something else then."""
    try:
        await _live(feed, watch)
    except Nonconformity as error:
        if error.rule in {"something comes", "declared first", "no failure"}:
            raise Nonconformity("clean restart", f"when run was called again, {error.finding}") from None
        raise


async def _live(feed: Feed, watch: Callable[[_FeedRun], Awaitable[None]]) -> None:
    """Run the feed while it is watched, then cancel it."""
    run = _FeedRun()
    fault: Nonconformity | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.run, feed)
        try:
            await watch(run)
        except Nonconformity as error:
            fault = error
        ending = await _end(run)
    run.received.close()
    for each in (fault, ending):
        if each is not None:
            raise each


async def _end(run: _FeedRun) -> Nonconformity | None:
    """Cancel the feed, if it has not ended; return the fault of its end, if any."""
    if not run.ended.is_set():
        if not await run.ends_promptly():
            cause = f"run went on for more than {CANCEL_SECONDS:g} s or {CANCEL_STEPS} steps after its cancellation"
            fault = Nonconformity("prompt cancellation", cause)
            # A task cannot be ended from outside: should this one never end, at least its author knows why.
            print(fault, file=sys.stderr, flush=True)
            return fault
        if run.error is not None:
            return Nonconformity("prompt cancellation", f"when it was cancelled, run raised {_described(run.error)}")
    await trio.sleep(LINGER_SECONDS)
    if run.late:
        return Nonconformity("silence after the end", f"{run.late} more came when run had been cancelled or had ended")
    return run.altered()


async def _read(run: _FeedRun, *, checker: PublicationChecker, most: int, seconds: float) -> None:
    """Check the items that come."""
    with trio.move_on_after(seconds):
        async for item in run.received:
            checker.take(item)
            if checker.updates >= most:
                return
    if run.error is not None:
        raise Nonconformity("no failure", f"run raised {_described(run.error)}")


async def _read_again(run: _FeedRun, *, most: int, seconds: float) -> None:
    checker = PublicationChecker()
    await _read(run, checker=checker, most=most, seconds=seconds)
    if not checker.updates:
        raise Nonconformity("something comes", f"no update came within {seconds:g} s")


async def _leave_full(run: _FeedRun, *, seconds: float, full_seconds: float) -> None:
    """Take a little, then nothing more, and measure the growth."""
    await _read_again(run, most=1, seconds=seconds)
    with _traced():
        await trio.sleep(full_seconds / 4)
        bytes_before, waiting_before = _allocated(), run.waiting
        await trio.sleep(full_seconds * 3 / 4)
        more = _allocated() - bytes_before
    if run.error is not None:
        raise Nonconformity("bounded memory", f"with a full channel, run raised {_described(run.error)}")
    if run.waiting > max(waiting_before, MANY_WAITING):
        raise Nonconformity(
            "bounded memory", f"with a full channel, {run.waiting} sends waited at once, and still more came"
        )
    if more > MEMORY_BYTES:
        raise Nonconformity("bounded memory", f"with a full channel, it took {more} bytes within {full_seconds:g} s")


class _FeedRun(trio.abc.SendChannel[FeedItem]):
    """A feed's run and its channel, which holds nothing: each item waits until the kit takes it."""

    def __init__(self) -> None:
        self._channel, self.received = trio.open_memory_channel[FeedItem](0)
        self._scope = trio.CancelScope()
        self._sent: deque[tuple[FeedItem, list[object]]] = deque(maxlen=1_000)
        self._over = False
        self._task: trio.lowlevel.Task | None = None
        self._settled = trio.Event()
        """Set when the run has ended, or has used up its steps."""
        self.ended = trio.Event()
        self.error: Exception | None = None
        self.waiting = 0
        """Number of waiting sends."""
        self.late = 0
        """Number of sends after the end, those included that waited at the end."""

    async def run(self, feed: Feed) -> None:
        """Run the feed to its end, or until it is cancelled."""
        self._task = trio.lowlevel.current_task()
        try:
            with self._scope:
                await feed.run(self)
        except Exception as error:  # noqa: BLE001  # any failure of the feed is a finding
            self.error = error
        self._over = True
        self.late += self.waiting
        self._channel.close()
        self.ended.set()
        self._settled.set()

    async def ends_promptly(self) -> bool:
        """Cancel the run; return whether that ends it. From now on every send is late."""
        self._over = True
        self._scope.cancel()
        steps = _Steps(self._task, self._settled)
        trio.lowlevel.add_instrument(steps)
        try:
            with trio.move_on_after(CANCEL_SECONDS):
                await self._settled.wait()
            # On a machine that is busy with something else, time may have passed without a step of the feed.
            for _ in range(1_000):
                if not self._settled.is_set():
                    await trio.lowlevel.checkpoint()
        finally:
            trio.lowlevel.remove_instrument(steps)
        return self.ended.is_set()

    async def send(self, value: FeedItem) -> None:
        """Called by the feed."""
        if self._over:
            # A cancelled task may call this: the checkpoint raises its Cancelled.
            await trio.lowlevel.checkpoint()
            self.late += 1
            raise trio.BrokenResourceError("the feed has ended")
        self._sent.append((value, _image(value)))
        self.waiting += 1
        try:
            await self._channel.send(value)
        finally:
            self.waiting -= 1

    async def aclose(self) -> None:
        """A feed may close its channel."""
        await self._channel.aclose()

    def altered(self) -> Nonconformity | None:
        """Whether something was altered after it had been sent."""
        for value, image in self._sent:
            if _image(value) != image:
                return Nonconformity("hands off", f"{shown(value)} was altered when it had been sent")
        return None


class _Steps(trio.abc.Instrument):
    """Sets an event when a task and those that it has started have taken `CANCEL_STEPS` steps.

    Seconds do not suffice: with a `MockClock` none passes while a task is busy.
    """

    def __init__(self, task: trio.lowlevel.Task | None, spent: trio.Event) -> None:
        self._task = task
        self._spent = spent
        self._steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio calls this."""
        each: trio.lowlevel.Task | None = task
        while each is not None and each is not self._task:
            each = each.parent_nursery.parent_task if each.parent_nursery is not None else None
        if each is not None:
            self._steps += 1
            if self._steps == CANCEL_STEPS:
                self._spent.set()


def _image(item: FeedItem) -> list[object]:
    """The present state of an item that was sent."""
    batch: Sequence[object] = item if type(item) in {list, tuple} else [item]  # type: ignore[assignment]  # as in PublicationChecker
    return [_frozen(each) for each in batch]


def _frozen(publication: object) -> object:
    if type(publication) is Update and isinstance(publication.fields, Mapping):
        return publication.symbol, dict(publication.fields)
    return _copied(publication) if type(publication) is Levels else publication


def _copied(value: object) -> object:
    return [_copied(each) for each in value] if isinstance(value, list | tuple) else value


@contextmanager
def _traced() -> Iterator[None]:
    """Trace allocations, unless they are traced already."""
    begins = not tracemalloc.is_tracing()
    if begins:
        tracemalloc.start()
    try:
        yield
    finally:
        if begins:
            tracemalloc.stop()


def _allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _check_attributes(feed: Feed) -> None:
    try:
        attributes_of(feed)
    except ConfigError as error:
        raise Nonconformity("attributes", str(error)) from None


def _described(error: BaseException) -> str:
    only = sole(error)
    return f"{type(only).__name__}: {only}"
