"""One connection to an engine, for the follower of this process and for all others that follow this process.

The rules:

1. The follower reads the engine through `connect`, which costs nothing more while there are no others. They connect to
   `others`, and read a log that is kept meanwhile.
2. The log begins where the first of them goes on, or at the keyframe that it gets. What lies between that and the
   follower's place is read between two reads of the follower.
3. The log is bounded: older entries, and keyframes, are asked of the engine over the same connection, one request
   between two of those reads. Each of the others waits for one answer at most. The latest keyframe is kept for a while,
   for those that begin together.
4. While the engine cannot be used, others are told why, once they have all of the log.
5. The log ends once there were no others for a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

import structlog
import trio

from ticker.bus.engine import Connection, Engine, Entry, Keyframe, Position, Unavailable, delay_of
from ticker.bus.log import Log
from ticker.bus.reading import ReadOnly, next_entries, next_parts
from ticker.bus_bounds import (
    BUS_PART_SECONDS,
    FAN_OUT_LOG_BYTES,
    FAN_OUT_TURN_SECONDS,
    FOLLOW_SECONDS,
    FOLLOWERS_GONE_SECONDS,
    KEYFRAME_SECONDS,
    MAX_BUS_KEYFRAME_BYTES,
)

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.bus.fan_out")

_T = TypeVar("_T")

_ENDED = "the connection to it has ended"


class FanOut:
    """The engine of one follower, which others share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.others = Others(self)
        """The engine that others connect to."""
        self.run = ""
        self.trouble: str | None = _ENDED
        """Why the engine cannot be used now."""
        self.log: Log | None = None
        """There while it is kept."""
        self.connections = 0
        """Those of others."""
        self.left_at = 0.0
        self.passed_on = 0
        """Requests of others for which the engine was asked."""
        self._at = Position(0)
        """So far the follower has read."""
        self._questions: deque[_Question[object]] = deque()
        self._asked_at = -FOLLOWERS_GONE_SECONDS
        self._kept = _KeptKeyframe()

    def __repr__(self) -> str:
        return f"<FanOut of {self.name} to {self.connections} connections: {self.log!r}>"

    @property
    def name(self) -> str:
        """The engine's address, for logs."""
        return self._engine.name

    @property
    def delay_seconds(self) -> int:
        """By how much the engine is later than its source."""
        return delay_of(self._engine)

    # For the follower

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Connect the follower. Raises `Unavailable`."""
        try:
            async with self._engine.connect() as upstream:
                self.trouble, self.run = None, upstream.run
                yield _OwnConnection(self, upstream)
        except Unavailable as error:
            self.trouble = str(error)
            raise
        finally:
            self.trouble = self.trouble or _ENDED
            for question in self._questions:
                question.fail(self.trouble)
            self._questions.clear()

    async def read(self, upstream: Connection, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries for the follower, after what there is to do for others. Raises `Unavailable`."""
        self._at = after
        end = trio.current_time() + seconds
        while True:
            more = await self._serve_others(upstream)
            left = max(0.0, end - trio.current_time())
            asked_now = trio.current_time() - self._asked_at < 1
            entries = await upstream.read(after, 0 if more else min(left, FAN_OUT_TURN_SECONDS) if asked_now else left)
            if entries or trio.current_time() >= end:
                break
        if self.log is not None and not self._is_behind:
            self._keep(entries)
        if entries:
            self._at = entries[-1].position
        return entries

    async def _serve_others(self, upstream: Connection) -> bool:
        """Answer one question, and read some of what the log lacks; return whether there is more to do."""
        self._forget()
        if self._questions:
            question = self._questions[0]
            self._asked_at = trio.current_time()
            await question.put_to(upstream)
            with suppress(ValueError):  # nobody waits for it any more
                self._questions.remove(question)
        found: Sequence[Entry] = ()
        if self._is_behind:
            found = await next_entries(upstream, self._log_end, 0)
            self._keep(found)
        return bool(self._questions) or (bool(found) and self._is_behind)

    def _forget(self) -> None:
        """Let go of what nobody has asked for in a while."""
        self._kept.forget_the_old()
        left = not self.connections and trio.current_time() - self.left_at >= FOLLOWERS_GONE_SECONDS
        if self.log is not None and left:
            self._end("nobody has followed for a while")

    @property
    def _log_end(self) -> Position:
        return self._at if self.log is None else max(self.log.last, self.log.begins)

    @property
    def _is_behind(self) -> bool:
        return self._log_end < self._at

    def _keep(self, entries: Sequence[Entry]) -> None:
        log = self.log
        if log is None:
            return
        end = self._log_end
        try:
            for entry in entries:
                if entry.position > end:
                    log.append(*entry)
        except Unavailable as error:
            _log.error("an entry cannot be kept for those that follow", cause=str(error))
            self._end(str(error))

    def _end(self, cause: str) -> None:
        self.log = None
        self._kept = _KeptKeyframe()
        _log.info("the log of cuts ends", cause=cause)

    # For others

    @property
    def last(self) -> Position:
        """The last position that is known."""
        return max(self._at, self._log_end)

    def log_from(self, position: Position) -> Log:
        """Return the log, which is begun behind this position if there is none."""
        if self.log is None:
            self.log = Log(max_bytes=FAN_OUT_LOG_BYTES, begins=min(position, self._at))
            _log.info("the log of cuts begins, for those that follow", cut=self.log.begins.cut)
        return self.log

    async def ask(self, ask: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Ask the engine for one of the others. Raises `Unavailable`."""
        self.check()
        self.passed_on += 1
        question = _Question(ask)
        self._questions.append(question)  # type: ignore[arg-type]  # its answer is for nobody else
        try:
            with trio.move_on_after(BUS_PART_SECONDS):
                return await question.answer()
        finally:
            with suppress(ValueError):
                self._questions.remove(question)  # type: ignore[arg-type]
        raise Unavailable(f"{self.name} had no answer for {BUS_PART_SECONDS:g} s")

    def check(self) -> None:
        """Raise `Unavailable` while the engine cannot be used."""
        if self.trouble is not None:
            raise Unavailable(self.trouble)

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe, or a recent one from which on the log has all."""
        kept = self._kept
        if kept.keyframe is not None and self.log is not None and self.log.begins <= Position(kept.keyframe.cut):
            return kept.keyframe
        keyframe = await self.ask(lambda upstream: upstream.keyframe())
        if keyframe is not None:
            self._kept.keep(keyframe)
            self.log_from(Position(keyframe.cut))
        return keyframe

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        if self._kept.has(cut, number):
            return self._kept.part(number)
        parts = await self.ask(lambda upstream: next_parts(upstream, cut, number))
        self._kept.keep_parts(cut, number, parts)
        return parts[0] if parts else None


class Others:
    """The engine of those that follow this process: the one that it follows."""

    def __init__(self, fan_out: FanOut) -> None:
        self.fan_out = fan_out

    def __repr__(self) -> str:
        return f"<Others of {self.fan_out!r}>"

    @property
    def name(self) -> str:
        """The engine's address, for logs."""
        return self.fan_out.name

    @property
    def delay_seconds(self) -> int:
        """By how much the engine is later than its source."""
        return self.fan_out.delay_seconds

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[OthersConnection]:
        """Connect. Raises `Unavailable`."""
        fan_out = self.fan_out
        await trio.lowlevel.checkpoint()
        fan_out.check()
        fan_out.connections += 1
        try:
            yield OthersConnection(fan_out)
        finally:
            fan_out.connections -= 1
            fan_out.left_at = trio.current_time()


class OthersConnection(ReadOnly):
    """A connection of one of them."""

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__("this process can only be followed: nothing can be written here")
        self._fan_out = fan_out

    def __repr__(self) -> str:
        return f"<OthersConnection to {self._fan_out!r}>"

    @property
    def run(self) -> str:
        """Names the life of the log."""
        return self._fan_out.run

    async def last(self) -> Position:
        """Return the last position."""
        await trio.lowlevel.checkpoint()
        return self._fan_out.last

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        log = self._fan_out.log_from(after)
        if after >= log.begins:
            entries: Sequence[Entry] = await log.read(after, seconds)
            if not entries:
                self._fan_out.check()
            if after >= log.begins:
                return entries
        entries = await self._fan_out.ask(lambda upstream: upstream.read(after, 0))
        if not entries:  # it has lost its end
            await trio.sleep(max(0.0, min(seconds, FOLLOW_SECONDS)))
        return entries

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        log = self._fan_out.log
        if log is None or position <= log.begins:
            return await self._fan_out.ask(lambda upstream: upstream.entry(position))
        await trio.lowlevel.checkpoint()
        return log.entry(position)

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe, or a recent one."""
        await trio.lowlevel.checkpoint()
        return await self._fan_out.keyframe()

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        await trio.lowlevel.checkpoint()
        return await self._fan_out.part(cut, number)


class _OwnConnection:
    """The connection of the follower."""

    def __init__(self, fan_out: FanOut, upstream: Connection) -> None:
        self._fan_out = fan_out
        self.last, self.entry = upstream.last, upstream.entry
        self.keyframe, self.part = upstream.keyframe, upstream.part
        self.append, self.put_part = upstream.append, upstream.put_part
        self.finish_keyframe = upstream.finish_keyframe
        self._upstream = upstream

    def __repr__(self) -> str:
        return f"<_OwnConnection over {self._upstream!r}>"

    @property
    def run(self) -> str:
        """Names the life of the log."""
        return self._upstream.run

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        return await self._fan_out.read(self._upstream, after, seconds)


class _Question(Generic[_T]):
    """What one of the others asks the engine."""

    def __init__(self, ask: Callable[[Connection], Awaitable[_T]]) -> None:
        self._ask = ask
        self._answers: list[_T] = []
        self._failure = ""
        self._over = trio.Event()

    async def put_to(self, upstream: Connection) -> None:
        """Ask. Raises `Unavailable`; whoever waits is then to be told (`fail`)."""
        self._answers.append(await self._ask(upstream))
        self._over.set()

    def fail(self, cause: str) -> None:
        """There is no answer."""
        self._failure = cause
        self._over.set()

    async def answer(self) -> _T:
        """Wait for the answer. Raises `Unavailable`."""
        await self._over.wait()
        if not self._answers:
            raise Unavailable(self._failure)
        return self._answers[0]


class _KeptKeyframe:
    """The latest keyframe that was asked for, with those of its parts that were."""

    def __init__(self) -> None:
        self.keyframe: Keyframe | None = None
        self._parts: dict[int, bytes] = {}
        self._bytes = 0
        self._until = 0.0

    def keep(self, keyframe: Keyframe) -> None:
        """Keep it from now on."""
        if keyframe != self.keyframe:
            self.keyframe, self._parts, self._bytes = keyframe, {}, 0
        self._until = trio.current_time() + KEYFRAME_SECONDS

    def forget_the_old(self) -> None:
        """Keep nothing any more of one that was asked for some time ago."""
        if self.keyframe is not None and trio.current_time() >= self._until:
            self.keyframe, self._parts, self._bytes = None, {}, 0

    def has(self, cut: int, number: int) -> bool:
        """Whether it has this part, or knows that there is none."""
        keyframe = self.keyframe
        return keyframe is not None and keyframe.cut == cut and (number in self._parts or number >= keyframe.parts)

    def part(self, number: int) -> bytes | None:
        """Return this part."""
        return self._parts.get(number)

    def keep_parts(self, cut: int, first: int, parts: Sequence[bytes]) -> None:
        """Keep these parts, while all together are no more than any engine keeps."""
        if self.keyframe is None or self.keyframe.cut != cut:
            return
        for number, data in enumerate(parts, first):
            if number not in self._parts and self._bytes + len(data) <= MAX_BUS_KEYFRAME_BYTES:
                self._parts[number] = data
                self._bytes += len(data)
