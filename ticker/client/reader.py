"""What all that a user reads from has in common: names, a wait for what is next, and an end.

A reader is *held* until the server has answered for each of its names, and again when a new connection begins: earlier
changes are a part of a moment only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ticker.client.arguments import is_literal
from ticker.client.replica import Fields
from ticker.client.wake import Wake, checkpoint
from ticker.client.wanted import FieldSet
from ticker.errors import TickerError
from ticker.protocol.symbols import matcher

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time: int) -> datetime:
    """Return a time of the wire, in microseconds since 1970 UTC, as a `datetime`."""
    return _EPOCH + timedelta(microseconds=time)


class Reader(ABC, Generic[T]):
    """An asynchronous iterator over what its names bring, for a task of Trio or of asyncio (`ticker.aio`)."""

    fields: FieldSet = None
    """The fields that it wants of instruments; None for all."""

    def __init__(self, names: tuple[str, ...], close: Callable[[Reader[Any]], None], *, held: bool = False) -> None:
        self.names = names
        """Its symbols, tables and patterns."""
        self.held = held
        """Whether changes wait for the rest of their moment."""
        self._close = close
        self._has_patterns = not all(map(is_literal, names))
        self._match = matcher(names)
        self._matched: dict[str, bool] = {}
        """Results of `_match` by name, if there are patterns: matching one costs more than a look-up."""
        self._cut = 0
        self._time = 0
        self._wake = Wake()
        self._over = False
        self._error: TickerError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await checkpoint()
        while True:
            item = None if self.held else self._take()
            if item is not None:
                return item
            if self._over:
                self._raise_error()
                raise StopAsyncIteration
            await self._wake.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def complete(self) -> None:
        """Wait until the service has sent all that it has of its names; of one that it does not know, that is nothing.

        Raises `ConnectionFailed` if the client gives up.
        """
        await checkpoint()
        while self.held and not self._over:
            await self._wake.wait()
        self._raise_error()

    def close(self) -> None:
        """Unsubscribe, and drop what was not read."""
        self._close(self)
        self._drop()
        self.end(None)

    def matches(self, name: str) -> bool:
        """Return whether one of its names is that of this record, or a pattern that matches it."""
        if not self._has_patterns:
            return bool(self._match(name))
        matched = self._matched.get(name)
        if matched is None:
            matched = self._matched[name] = bool(self._match(name))
        return matched

    def select(self, records: Collection[str]) -> Iterator[str]:
        """Iterate over the names of records that it covers, in as many steps as the shorter of both has items.

        `records` has to answer `in` with a look-up.
        """
        if not self._has_patterns and len(self.names) < len(records):
            return (name for name in dict.fromkeys(self.names) if name in records)
        return (name for name in records if self.matches(name))

    def merge(self, cut: int, time: int, changes: Mapping[str, Fields], tables: Collection[str]) -> None:
        """Take note of the changes of a message: of instruments with their fields, of tables by their names."""
        self._cut, self._time = cut, time
        if self._note(changes, tables) and not self.held:
            self._wake.set()

    @abstractmethod
    def _note(self, changes: Mapping[str, Fields], tables: Collection[str]) -> bool:
        """Take note of changes. Returns whether there may be something to read."""

    @abstractmethod
    def _take(self) -> T | None:
        """Return what is to be read next; None if there is nothing."""

    @abstractmethod
    def _drop(self) -> None:
        """Drop what was not read."""

    def lose(self) -> None:
        """The connection is lost."""

    def hold(self) -> None:
        """Keep changes back: those of a new connection come in parts."""
        self.held = True

    def release(self, cut: int, time: int) -> None:
        """Give changes again: with those that were kept back the copy is complete at this cut."""
        self.held = False
        self._cut, self._time = cut, time
        self._wake.set()

    def end(self, error: TickerError | None) -> None:
        """End the iteration, with this error if there is one. Changes that are held are only a part, and dropped."""
        if self.held:
            self.held = False
            self._drop()
        self._over, self._error = True, error
        self._wake.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
