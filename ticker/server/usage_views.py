"""The views of a usage log: sets of instruments and tables that connections share, and those of clients over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import trio

from ticker.bounds import USAGE_HTTP_CLIENTS, USAGE_HTTP_NAMES, USAGE_IDLE_VIEWS
from ticker.core.audiences import Audience, SubscriptionSet
from ticker.door.sender import Sender
from ticker.usage.events import Closed, Event, Opened, Sees, ViewChange
from ticker.usage.lines import NO_VIEW


class Views:
    """The views of one service, by names and entitlement."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self._numbers: dict[SubscriptionSet, int] = {}
        self._keys: dict[int, SubscriptionSet] = {}
        self._users: dict[int, int] = {}
        self._bits: dict[int, int] = {}
        self._idle: dict[int, None] = {}
        self._last = NO_VIEW

    def __repr__(self) -> str:
        return f"<Views: {len(self._bits)}, {len(self._idle)} of them idle>"

    def new_number(self) -> int:
        """Return the number of a further view."""
        self._last += 1
        return self._last

    def enter(self, audience: Audience, former: int, at: int) -> int:
        """Return the view of an audience, which has one more user now. `former` is that user's view so far."""
        names = audience.subscription_set
        if not names.symbols and not names.patterns:
            return NO_VIEW
        key = names._replace(interval_us=0)
        number = self._numbers.get(key)
        if number is None:
            number = self.new_number()
            self._numbers[key], self._keys[number] = number, key
            self._users[number] = 0
            self._bits[number] = audience.bitmap()
            self._put(self._definition(number, former, at))
        else:
            self._grow(number, audience.bitmap(), at)
        self._users[number] += 1
        self._idle.pop(number, None)
        return number

    def leave(self, number: int) -> None:
        """Count one user less."""
        if number == NO_VIEW:
            return
        self._users[number] -= 1
        if not self._users[number]:
            self._idle[number] = None
            if len(self._idle) > USAGE_IDLE_VIEWS:
                self._forget(next(iter(self._idle)))

    def join(self, audience: Audience, bits: int, at: int) -> None:
        """Note that these have appeared in an audience."""
        number = self._numbers.get(audience.subscription_set._replace(interval_us=0))
        if number is not None:
            self._grow(number, bits, at)

    def in_use(self) -> Sequence[tuple[int, int]]:
        """Return the views that somebody has, and forget the others: a new file has only these."""
        for number in list(self._idle):
            self._forget(number)
        return list(self._bits.items())

    def _definition(self, number: int, former: int, at: int) -> ViewChange:
        """Return a new view as whatever is shorter: its names, or the difference from the former one of its user."""
        bits, before = self._bits[number], self._bits.get(former, 0)
        more, less = bits & ~before, before & ~bits
        if more.bit_count() + less.bit_count() < bits.bit_count():
            return ViewChange(at, number, more, less, former)
        return ViewChange(at, number, bits)

    def _grow(self, number: int, bits: int, at: int) -> None:
        new = bits & ~self._bits[number]
        if new:
            self._bits[number] |= new
            self._put(ViewChange(at, number, new))

    def _forget(self, number: int) -> None:
        del self._idle[number], self._users[number], self._bits[number]
        del self._numbers[self._keys.pop(number)]


class _Reader:
    """A client over HTTP, as long as it makes requests."""

    __slots__ = ("names", "seen_at", "session", "view")

    def __init__(self, session: str, view: int) -> None:
        self.session = session
        self.view = view
        self.names: set[str] = set()
        self.seen_at = 0.0

    def __repr__(self) -> str:
        return f"<_Reader {self.session} of {len(self.names)} names>"


class HttpReaders:
    """The clients over HTTP, the one with the latest request last. Each has a view of its own."""

    def __init__(self, put: Callable[[Event], None], views: Views, *, delayed: bool = False) -> None:
        self._put = put
        self._delayed = delayed
        self._views = views
        self._readers: dict[tuple[str | None, str, str], _Reader] = {}
        self._names = 0

    def __repr__(self) -> str:
        return f"<HttpReaders: {len(self._readers)}, of {self._names} names>"

    def shown(self, sender: Sender, names: Sequence[str], at: int) -> None:
        """Note that these names were shown to a sender."""
        key = (sender.grant.subject, sender.address, sender.agent)
        reader, begins = self._readers.pop(key, None), False
        if reader is None:
            reader, begins = _Reader(secrets.token_hex(8), self._views.new_number()), True
            self._put(opened(at, reader.session, sender, "http"))
        self._readers[key] = reader
        reader.seen_at = trio.current_time()
        new = tuple(name for name in dict.fromkeys(names) if name not in reader.names)
        reader.names.update(new)
        self._names += len(new)
        if new or begins:
            self._put(ViewChange(at, reader.view, new))
        if begins:
            self._put(Sees(at, reader.session, reader.view, self._delayed))
        while len(self._readers) > USAGE_HTTP_CLIENTS or (self._names > USAGE_HTTP_NAMES and len(self._readers) > 1):
            self._end_oldest(at)

    def end_idle(self, limit: float, at: int) -> None:
        """End those without a request since this time of Trio's clock."""
        while self._readers and next(iter(self._readers.values())).seen_at <= limit:
            self._end_oldest(at)

    def forget(self) -> None:
        """Forget all: a new file begins without them."""
        self._readers.clear()
        self._names = 0

    def _end_oldest(self, at: int) -> None:
        reader = self._readers.pop(next(iter(self._readers)))
        self._names -= len(reader.names)
        self._put(Closed(at, reader.session))


def opened(at: int, session: str, sender: Sender, transport: str) -> Opened:
    """Return a new connection; halves of surrogate pairs in a subject, which are no text, are escaped."""
    subject = sender.grant.subject
    if subject is not None:
        subject = subject.encode("utf-8", "backslashreplace").decode()
    return Opened(at, session, subject, sender.address, sender.agent, transport)
