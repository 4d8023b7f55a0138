"""Feeds that break the rules of ticker_feeds/kit/rules.py, one each; and a good one to compare them with."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, TypeAlias, cast

import trio

from ticker.market import FeedItem, Instrument, Level, Levels, Update

Channel: TypeAlias = trio.abc.SendChannel[FeedItem]


class Steady:
    """A good feed: a price every tenth of a second. Bad ones differ from it in one thing."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, updates: Channel) -> None:
        self.runs += 1
        await updates.send(Instrument("A"))
        await self.go_on(updates)

    async def go_on(self, updates: Channel) -> None:
        while True:
            await updates.send(Update("A", {"last": "1.25", "status": "live"}))
            await trio.sleep(0.1)


class Sending(Steady):
    """Sends something else, after it has declared A."""

    def __init__(self, *items: object) -> None:
        super().__init__()
        self._items = items

    async def go_on(self, updates: Channel) -> None:
        for item in self._items:
            await updates.send(cast("FeedItem", item))
        await super().go_on(updates)


class Failing(Steady):
    async def go_on(self, _updates: Channel) -> None:
        async with trio.open_nursery():
            raise OSError("the venue hung up")


class Mute(Steady):
    async def go_on(self, _updates: Channel) -> None:
        await trio.sleep_forever()


class Reusing(Steady):
    async def go_on(self, updates: Channel) -> None:
        fields: dict[str, Any] = {}
        while True:
            fields["trade_count"] = fields.get("trade_count", 0) + 1
            await updates.send(Update("A", fields))
            await trio.sleep(0.1)


class ReusingLevels(Steady):
    async def go_on(self, updates: Channel) -> None:
        bids: list[Level] = []
        while True:
            bids.append((len(bids) + 1, 1))
            await updates.send(Levels("A", bids, (), complete=True))
            await trio.sleep(0.1)


class Shielded(Steady):
    async def go_on(self, updates: Channel) -> None:
        try:
            await super().go_on(updates)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)


class Swallowing(Steady):
    async def go_on(self, updates: Channel) -> None:
        for _ in range(20_000):
            try:
                await super().go_on(updates)
            except BaseException:  # noqa: BLE001, S112  # the fault that the kit is to find
                continue


class FailingAtItsEnd(Steady):
    async def go_on(self, updates: Channel) -> None:
        try:
            await super().go_on(updates)
        finally:
            raise OSError("cannot say goodbye")


class FarewellShielded(Steady):
    async def go_on(self, updates: Channel) -> None:
        try:
            await super().go_on(updates)
        finally:
            with trio.CancelScope(shield=True), suppress(trio.BrokenResourceError):
                await updates.send(Update("A", {"status": "closed"}))


class Outliving(Steady):
    """Has a task that does not end with `run`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__()
        self._nursery = nursery

    async def go_on(self, updates: Channel) -> None:
        self._nursery.start_soon(self._send_on, updates)
        await trio.sleep_forever()

    async def _send_on(self, updates: Channel) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await super().go_on(updates)


class TaskForEach(Steady):
    async def go_on(self, updates: Channel) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(updates.send, Update("A", {"last": 1}))
                await trio.sleep(0.001)


class Queueing(Steady):
    async def go_on(self, updates: Channel) -> None:
        sending, receiving = trio.open_memory_channel[Update](math.inf)
        with sending, receiving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fill, sending)
                async for each in receiving:
                    await updates.send(each)

    async def _fill(self, sending: trio.MemorySendChannel[Update]) -> None:
        while True:
            for number in range(100):
                sending.send_nowait(Update("A", {"note": f"{number} " * 50}))
            await trio.sleep(0.01)


class DeclaringOnce(Steady):
    async def run(self, updates: Channel) -> None:
        if not self.runs:
            await updates.send(Instrument("A"))
        self.runs += 1
        await self.go_on(updates)


class RunningOnce(Steady):
    async def go_on(self, updates: Channel) -> None:
        if self.runs == 1:
            await super().go_on(updates)


class FailingAgain(Steady):
    async def go_on(self, updates: Channel) -> None:
        if self.runs > 2:
            raise OSError("the port is in use")
        await super().go_on(updates)


class FailingWhileFull(Steady):
    """Cannot wait for the service."""

    async def go_on(self, updates: Channel) -> None:
        while True:
            with trio.fail_after(0.2):
                await updates.send(Update("A", {"last": 1}))


class Attributed(Steady):
    def __init__(self, **attributes: object) -> None:
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)
