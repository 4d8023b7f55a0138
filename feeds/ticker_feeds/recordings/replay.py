"""Recorded market data, played at the pace at which it was recorded, or faster.

The files: text (`ticker_feeds.recordings.text_files`, `ticker_feeds.recordings.row_layout`), and the captures of
`ticker record` (`ticker_feeds.recordings.capture`).
"""

from __future__ import annotations

import heapq
import logging
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio

from ticker.errors import ConfigError
from ticker.market import (
    MAX_TEXT,
    Candle,
    FeedItem,
    Instrument,
    Levels,
    Publication,
    Reason,
    Stale,
    Trade,
    Update,
    is_symbol,
)
from ticker_feeds.file_thread import Closer, FileThread
from ticker_feeds.parsing import guessed_instrument
from ticker_feeds.recordings.capture import Capture, is_capture
from ticker_feeds.recordings.capture_format import Moment
from ticker_feeds.recordings.pace import WAKE_UP_SECONDS, Pace
from ticker_feeds.recordings.parquet_files import MAGIC as PARQUET
from ticker_feeds.recordings.parquet_files import ParquetRecording
from ticker_feeds.recordings.row_layout import TableOptions
from ticker_feeds.recordings.text_files import Messages, Recording
from ticker_feeds.recordings.venue_files import VENUES

MAX_BATCH = 1_000
"""The most publications of several moments in one batch."""

LARGEST_BATCH = 10_000
"""The most publications of one moment in one batch, as the service takes them: a larger moment is split."""

_FORMATS = f"give one of csv, parquet, capture, {', '.join(VENUES)}, or leave it out for the first three"

_log = logging.getLogger(__name__)


Chunks: TypeAlias = Generator[list[Moment], None, None]
"""The moments of a file, some at a time; a list may be empty."""

Tape: TypeAlias = Callable[[], Chunks]
"""Plays a file from its beginning."""


class Replay:
    """A feed of a recorded file (`path`), or of several, separated by commas and merged by time.

    `format` is `csv`, `parquet`, `capture` or a venue for its raw messages, and is found without it. `symbol` is that
    of all rows of a table (CSV or Parquet) that does not say it. `columns` names the columns of fields where the
    header uses other words, as `time:ts_event,bid:bid_px_00`. `delimiter` separates the cells of CSV (`comma`,
    `semicolon`, `tab`, `pipe` or a character), and is found without it. `decimal` is `comma` where CSV has numbers as
    `1.234,56`. `time_unit` is that of numbers in the column `time` (`s`, `ms`, `us` or `ns`), microseconds without
    it. `time_zone` is that of times without an offset (`Europe/Berlin` or `+02:00`), UTC without it. `prefix`, one
    for all files or one for each, is put before every symbol, so that two files may hold the same one.

    The times in the files set the pace: a `speed` of 10 plays ten times as fast, 0 as fast as the service takes it.
    Only the first `seconds` of the recorded time are played, all of it without them. With `loop` a recording starts
    again at its end, with the times as they are in the file. Each file's moments are sent in its order and none is
    left out: those that are due at the same time together.

    `skipped`, and `counters`, count unusable rows by cause.

    Raises `ConfigError` for options that cannot be and for a file that cannot be played.
    """

    def __init__(  # noqa: PLR0913  # one parameter per option
        self,
        *,
        path: str,
        format: str | None = None,  # noqa: A002  # the name of the option
        symbol: str | None = None,
        columns: str | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        time_unit: str | None = None,
        time_zone: str | None = None,
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
        options = TableOptions.of(
            symbol=symbol,
            columns=columns,
            delimiter=delimiter,
            decimal=decimal,
            time_unit=time_unit,
            time_zone=time_zone,
        )
        tapes = [_tape(each, format, options, self.skipped) for each in paths]
        self._tapes: list[Tape] = [
            partial(_renamed, tape, before) if before else tape for tape, before in zip(tapes, prefixes, strict=True)
        ]
        self._thread = FileThread()
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
        passes = 1
        while self._loop and count:
            await trio.sleep(WAKE_UP_SECONDS if self._speed else 0)
            passes += 1
            # The values at the end of the file are not current at its beginning.
            begin = [Stale(symbol, Reason.RECONNECTING) for symbol in sorted(announced)]
            await self._play(updates, announced, begin, passes)

    async def _play(
        self,
        updates: trio.abc.SendChannel[FeedItem],
        announced: set[str],
        begin: Sequence[Publication] = (),
        number: int = 1,
    ) -> int:
        """Play once, behind `begin`, for the `number`-th time; return the number of publications and signs of life."""
        pace: Pace | None = None
        count = 0
        async with self._chunks() as read:
            while (moments := await read()) is not None:
                if not moments:
                    continue
                if pace is None:
                    pace = Pace(self._paths, self._speed, moments[0].time, self.skipped)
                    moments[0] = moments[0]._replace(publications=[*begin, *moments[0].publications])
                if number > 1:
                    moments = [Moment(time, [_of_pass(each, number) for each in said]) for time, said in moments]
                within = self._within(moments, pace.first)
                sent = 0
                while sent < len(within):
                    due = await pace.due(within[sent:])
                    for batch in _batches(due, announced):
                        await updates.send(batch)
                    sent += len(due)
                    count += sum(len(moment.publications) or 1 for moment in due)
                if len(within) < len(moments):
                    break
        return count

    @asynccontextmanager
    async def _chunks(self) -> AsyncIterator[Callable[[], Awaitable[list[Moment] | None]]]:
        """A function that returns the next moments of all files, or None at the end."""
        chunks = merged([tape() for tape in self._tapes])
        closer = Closer(chunks.close)
        try:
            yield partial(self._thread.call, closer.use, next, chunks, None)
        finally:
            closer.end()

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


def _batches(moments: list[Moment], announced: set[str]) -> Generator[list[Publication], None, None]:
    """The moments' publications, each instrument declared before its first."""
    batch: list[Publication] = []
    for _, publications in moments:
        complete = list(declared(publications, announced))
        if batch and len(batch) + len(complete) > MAX_BATCH:
            yield batch
            batch = []
        while len(complete) > LARGEST_BATCH:
            yield complete[:LARGEST_BATCH]
            complete = complete[LARGEST_BATCH:]
        batch += complete
    # A moment with nothing in it is a sign of life, and is passed on as one.
    yield batch


def declared(publications: Iterable[Publication], announced: set[str]) -> Iterator[Publication]:
    """The publications, with a guessed declaration before the first of each instrument that is not `announced`."""
    for publication in publications:
        if type(publication) is Instrument:
            announced.add(publication.symbol)
        elif isinstance(publication, Update | Levels | Trade | Candle) and publication.symbol not in announced:
            announced.add(publication.symbol)
            yield guessed_instrument(publication)
        yield publication


def _tape(path: str, kind: str | None, options: TableOptions, skipped: Counter[str]) -> Tape:
    """A file as a tape, which counts in `skipped`. Raises `ConfigError`."""
    kind = kind or _kind(path)
    source: Recording | ParquetRecording | Capture | Messages
    if kind == "csv":
        source = Recording(path, options)
    elif kind == "parquet":
        source = ParquetRecording(path, options)
    elif options != TableOptions():
        raise ConfigError(f"{path}: only tables, CSV or Parquet, take symbol, columns and the like")
    elif kind == "capture":
        source = Capture(path)
    elif kind in VENUES:
        source = Messages(path, VENUES[kind])
    else:
        raise ConfigError(f"format {kind!r}: {_FORMATS}")
    source.skipped = skipped
    return partial(_moments, source) if isinstance(source, Recording | ParquetRecording) else source.chunks


def _kind(path: str) -> str:
    """Return the format of a file by its first bytes; an unreadable file is read again as CSV, which says so."""
    try:
        if is_capture(path):
            return "capture"
        with Path(path).open("rb") as file:
            return "parquet" if file.read(len(PARQUET)) == PARQUET else "csv"
    except (OSError, ValueError):
        return "csv"


def _moments(source: Recording | ParquetRecording) -> Chunks:
    """A table's rows as moments: rows with the same time are one."""
    held: list[Publication] = list(source.instruments) if isinstance(source, ParquetRecording) else []
    time: int | None = None
    moments: list[Moment] = []
    with closing(source.chunks()) as chunks:
        for rows in chunks:
            yield moments
            moments = []
            for row in rows:
                if time is not None and (row.time != time or len(held) >= LARGEST_BATCH):
                    moments.append(Moment(time, held))
                    held = []
                time = row.time
                held.append(row.update)
    if time is not None:
        moments.append(Moment(time, held))
    yield moments


def _of_pass(publication: Publication, number: int) -> Publication:
    """Return a publication of a later pass: its trades are no corrections of those that were played before."""
    if isinstance(publication, Trade) and publication.id is not None:
        return publication._replace(id=f"{number}:{publication.id}"[:MAX_TEXT])
    return publication


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
