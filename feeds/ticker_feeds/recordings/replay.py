"""Recorded market data, played at the pace at which it was recorded, or faster.

The files: text (`ticker_feeds.recordings.text_files`, `ticker_feeds.recordings.row_layout`), and the captures of
`ticker record` (`ticker_feeds.recordings.capture`).
"""

from __future__ import annotations

import heapq
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Update, is_symbol
from ticker_feeds.parsing import guessed_instrument
from ticker_feeds.recordings.capture import Capture, Moment, is_capture
from ticker_feeds.recordings.text_files import Messages, Recording
from ticker_feeds.venues import binance, coinbase, kraken

WAKE_UP_SECONDS = 0.005
"""The least time between two wake-ups: moments due in between are sent at the later one."""

MAX_BATCH = 1_000
"""The most publications of several moments in one batch; a moment is never split."""

VENUES: Mapping[str, Callable[[str], Sequence[Publication]]] = {
    "binance": binance.parse,
    "coinbase": coinbase.parse,
    "kraken": kraken.parse,
}
"""For each venue with playable raw messages, the parser of a message."""

_FORMATS = f"give one of csv, capture, {', '.join(VENUES)}, or leave it out for the first two"

_log = logging.getLogger(__name__)


Chunks: TypeAlias = Generator[list[Moment], None, None]
"""The moments of a file, some at a time; a list may be empty."""

Tape: TypeAlias = Callable[[], Chunks]
"""Plays a file from its beginning."""


class Replay:
    """A feed of a recorded file (`path`), or of several, separated by commas and merged by time.

    `format` is `csv`, `capture`, or a venue for its raw messages. `symbol` is that of a CSV file's
    rows where it does not say; `prefix`, one for all files or one for each, is put before every symbol, so that two
    files may hold the same one. The times in the files set the pace: a `speed` of 10 plays ten times as fast, 0 as fast
    as the service takes it. Of the recorded time, so many `seconds` are played, and with `loop` it starts again at the
    end, with the times as they are in the file. Each file's moments are sent in its order and none is left out: those
    that are due at the same time together.

    `skipped`, and `counters`, count unusable rows by cause.

    Raises `ConfigError` for options that cannot be and for a file that cannot be played.
    """

    def __init__(  # noqa: PLR0913  # one parameter per option
        self,
        *,
        path: str,
        format: str | None = None,  # noqa: A002  # the name of the option
        symbol: str | None = None,
        prefix: str = "",
        speed: float = 1.0,
        seconds: float | None = None,
        loop: bool = False,
    ) -> None:
        if not 0 <= speed < math.inf:
            raise ConfigError(f"speed {speed}: give 1 for the recorded pace, N for N times as fast, 0 for all at once")
        if seconds is not None and not seconds > 0:
            raise ConfigError(f"seconds {seconds}: give a number above 0")
        self.skipped: Counter[str] = Counter()
        self.counters = self.skipped
        paths = [path] if "," not in path or Path(path).exists() else path.split(",")
        prefixes = prefix.split(",") * (len(paths) if "," not in prefix else 1)
        if len(prefixes) != len(paths):
            raise ConfigError(f"prefix {prefix!r}: give one, or one for each of the {len(paths)} files")
        if not all(before == "" or is_symbol(before) for before in prefixes):
            raise ConfigError(f"prefix {prefix!r}: a symbol can only begin with characters of symbols")
        tapes = [_tape(each, format, symbol, self.skipped) for each in paths]
        self._tapes: list[Tape] = [
            partial(_renamed, tape, before) if before else tape for tape, before in zip(tapes, prefixes, strict=True)
        ]
        self._paths = ", ".join(paths)
        self._speed = speed
        self._seconds = math.inf if seconds is None else seconds
        self._loop = loop

    def __repr__(self) -> str:
        return f"<Replay of {self._paths}, speed {self._speed:g}: {dict(self.counters)}>"

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Play to the end, and with `loop` again and again, as long as there is something that can be used."""
        announced: set[str] = set()
        count = await self._play(updates, announced)
        skipped = ", ".join(f"{cause} ({count})" for cause, count in self.skipped.items())
        _log.info("%s: %d rows played, skipped: %s", self._paths, count, skipped or "none")
        while self._loop and count:
            await trio.sleep(WAKE_UP_SECONDS if self._speed else 0)
            await self._play(updates, announced)

    async def _play(self, updates: trio.abc.SendChannel[FeedItem], announced: set[str]) -> int:
        """Play once; returns how many moments there were."""
        pace: _Pace | None = None
        count = 0
        with closing(merged([tape() for tape in self._tapes])) as chunks:
            for moments in chunks:
                await trio.lowlevel.checkpoint()
                if not moments:
                    continue
                pace = pace or _Pace(self._speed, moments[0].time)
                within = self._within(moments, pace.first)
                sent = 0
                while sent < len(within):
                    due = await pace.due(within[sent:])
                    for batch in _batches(due, announced):
                        await updates.send(batch)
                    sent += len(due)
                count += sent
                if len(within) < len(moments):
                    break
        return count

    def _within(self, moments: list[Moment], first: int) -> list[Moment]:
        end = first + self._seconds * 1e6
        beyond = (at for at, moment in enumerate(moments) if moment.time > end)
        return moments[: next(beyond, len(moments))]


def merged(tapes: Sequence[Chunks]) -> Chunks:
    """The moments of several tapes by time, each tape's own order kept; no more is held than a chunk of each.

    After each piece of work comes a list, perhaps an empty one, so that the caller can do something else in between.
    """
    with ExitStack() as stack:
        for tape in tapes:
            stack.enter_context(closing(tape))
        waiting: list[deque[Moment]] = [deque() for _ in tapes]
        heads: list[tuple[int, int]] = []
        starved = list(range(len(tapes)))
        ready: list[Moment] = []
        while heads or starved:
            for at in starved:
                # The first moment is known only when the next one of each file is.
                while (chunk := next(tapes[at], None)) is not None:
                    yield ready
                    ready = []
                    if chunk:
                        waiting[at].extend(chunk)
                        heapq.heappush(heads, (chunk[0].time, at))
                        break
            starved = []
            while heads and not starved:
                _, at = heads[0]
                ready.append(waiting[at].popleft())
                if waiting[at]:
                    heapq.heapreplace(heads, (waiting[at][0].time, at))
                else:
                    heapq.heappop(heads)
                    starved = [at]
        yield ready


class _Pace:
    """When each moment of one pass is due: the first one now."""

    def __init__(self, speed: float, first: int) -> None:
        self.first = first
        self._speed = speed
        self._started = trio.current_time()
        self._woken = self._started

    async def due(self, moments: list[Moment]) -> list[Moment]:
        """Wait until the first of these is due; returns all of them that are due then."""
        if not self._speed:
            return moments
        at = self._due_at(moments[0])
        # The last wake-up decides which rows are due, not the clock: a feed that is behind would find one row due
        # after the other, and send each alone.
        if at > self._woken:
            await trio.sleep_until(max(at, self._woken + WAKE_UP_SECONDS))
            self._woken = trio.current_time()
        later = (number for number, moment in enumerate(moments) if self._due_at(moment) > self._woken)
        return moments[: next(later, len(moments))]

    def _due_at(self, moment: Moment) -> float:
        return self._started + (moment.time - self.first) / 1e6 / self._speed


def _batches(moments: list[Moment], announced: set[str]) -> Generator[list[Publication], None, None]:
    """The moments' publications, each instrument declared before its first."""
    batch: list[Publication] = []
    for _, publications in moments:
        if batch and len(batch) + len(publications) > MAX_BATCH:
            yield batch
            batch = []
        for publication in publications:
            if type(publication) is Instrument:
                announced.add(publication.symbol)
            elif type(publication) is Update and publication.symbol not in announced:
                announced.add(publication.symbol)
                batch.append(guessed_instrument(publication))
            batch.append(publication)
    # A moment with nothing in it is a sign of life, and is passed on as one.
    yield batch


def _tape(path: str, kind: str | None, symbol: str | None, skipped: Counter[str]) -> Tape:
    """A file as a tape, which counts in `skipped`. Raises `ConfigError`."""
    if kind is None:
        kind = "capture" if Path(path).is_file() and is_capture(path) else "csv"
    if symbol is not None and kind != "csv":
        raise ConfigError(f"symbol {symbol!r}: only a CSV file needs it; others name their symbols")
    if kind == "csv":
        recording = Recording(path, symbol)
        recording.skipped = skipped
        return partial(_moments, recording)
    if kind == "capture":
        capture = Capture(path)
        capture.skipped = skipped
        return capture.chunks
    if kind in VENUES:
        messages = Messages(path, VENUES[kind])
        messages.skipped = skipped
        return messages.chunks
    raise ConfigError(f"format {kind!r}: {_FORMATS}")


def _moments(recording: Recording) -> Chunks:
    with closing(recording.chunks()) as chunks:
        for rows in chunks:
            yield [Moment(row.time, (row.update,)) for row in rows]


def _renamed(tape: Tape, prefix: str) -> Chunks:
    with closing(tape()) as chunks:
        for moments in chunks:
            yield [
                Moment(time, [_with_prefix(each, prefix) for each in publications]) for time, publications in moments
            ]


def _with_prefix(publication: Publication, prefix: str) -> Publication:
    if isinstance(publication, Instrument):
        return replace(publication, symbol=prefix + publication.symbol)
    return publication._replace(symbol=prefix + publication.symbol)
