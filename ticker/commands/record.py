"""`ticker record`: the publications of a feed or of a running service, in a file."""

from __future__ import annotations

import math
import select
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import trio
from cyclopts import Parameter

from ticker.client.client import connect
from ticker.client.events import Event
from ticker.commands.flags import seconds_or_forever, token_reader
from ticker.commands.logs import configure_logging
from ticker.commands.recorded_tables import check_tables
from ticker.commands.recorder import Tally, record_feed, record_service
from ticker.commands.signals import on_stop_signal
from ticker.commands.watch import event_text
from ticker.errors import ConfigError
from ticker.net.clocks import on_running_clock
from ticker_feeds.loading import load_feed
from ticker_feeds.recordings import CaptureWriter

_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 30.0
"""Seconds between progress lines: on a terminal, where the line is overwritten, and elsewhere."""

_ERASE = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""


async def record(  # noqa: PLR0913  # one parameter per flag
    source: str,
    *,
    out: Path,
    rotate_mb: float | None = None,
    duration: float | None = None,
    symbols: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    ca: Path | None = None,
    token_file: Path | None = None,
) -> int:
    """Record a feed or a running service, for `replay?path=FILE` and `ticker export`.

    An existing recording is continued. Ctrl-C ends it; however it ends, all reported publications are in the file. A
    recording without any is not left behind, and the exit code is 1 unless it was stopped. A feed is recorded with its
    order books, trades and candles.

    Parameters
    ----------
    source
        A feed, NAME?option=value&option=value as for `ticker serve --feed`, or a service, wss://HOST:PORT.
    out
        The file to write. With --rotate-mb it is continued in FILE.0001, FILE.0002 and so on.
    rotate_mb
        Maximum size of a file in megabytes of 1,000,000 bytes. [default: unlimited]
    duration
        Stop after this many seconds. [default: never]
    symbols
        Of a service: symbols, patterns and tables, as in `--symbols BTC-USD 'BTC-USD book:25' '*-USD trades:1000'`, or
        separated by commas; tables only where they are named. [default: *]
    ca
        Of a service: trusted authorities instead of the system's, a PEM file; a development authority is found.
    token_file
        Of a service: a file with the token. It is read again whenever the client needs a fresh token.
    """
    if rotate_mb is not None and not 0 < rotate_mb < math.inf:
        raise ConfigError(f"--rotate-mb {rotate_mb}: give a number above 0")
    seconds = seconds_or_forever(duration)
    configure_logging("console")
    record_source = _recorder(source, symbols, ca, token_file)
    tally, stopped = None, trio.Event()
    with trio.move_on_after(seconds) as scope:

        def stop() -> None:
            stopped.set()
            scope.cancel()

        async with on_stop_signal(stop):
            # Opened within, so that no signal leaves it behind empty.
            tally = Tally(CaptureWriter(out, None if rotate_mb is None else max(1, int(rotate_mb * 1_000_000))))
            await _record_to(tally, record_source)
    if tally is not None and tally.moments:
        return 0
    _print(f"ticker: nothing was recorded: nothing came from {source.partition('?')[0]}")
    return 0 if stopped.is_set() else 1


command = on_running_clock(record)


async def _record_to(tally: Tally, record_source: Callable[[Tally], Awaitable[None]]) -> None:
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_show_progress, tally)
            await record_source(tally)
            nursery.cancel_scope.cancel()
    finally:
        tally.writer.close()
        if tally.moments:
            _print(_progress(tally))


def _recorder(
    source: str, symbols: list[str] | None, ca: Path | None, token_file: Path | None
) -> Callable[[Tally], Awaitable[None]]:
    """Return the function that records the source. Raises `ConfigError`."""
    if "://" in source.partition("?")[0]:
        names = [name for some in symbols or ["*"] for name in some.split(",")]
        check_tables(names)
        connect_to_it = partial(connect, source, ca=ca, token=token_reader(token_file))
        return partial(record_service, connect_to_it, names, _print_event)
    for flag, value in (("--symbols", symbols), ("--ca", ca), ("--token-file", token_file)):
        if value is not None:
            raise ConfigError(f"{flag}: only with a service as the source, wss://HOST:PORT")
    return partial(record_feed, load_feed(source))


async def _show_progress(tally: Tally) -> None:
    while True:
        await trio.sleep(_TERMINAL_SECONDS if _ERASE else _LOG_SECONDS)
        _print(_progress(tally), end="" if _ERASE else "\n")


def _progress(tally: Tally) -> str:
    writer = tally.writer
    refused = f", {writer.refused.total()} refused" if writer.refused else ""
    counts = f"{tally.publications} publications in {tally.moments} moments"
    return f"recorded {counts}, {writer.bytes_written / 1e6:.3f} MB, to {writer.path}{refused}"


def _print_event(event: Event) -> None:
    _print(event_text(event))


def _print(text: str, end: str = "\n") -> None:
    """Print a line on stderr, if that takes it now: a recording waits for no reader."""
    if _is_ready(sys.stderr):
        print(f"{_ERASE}{text}", end=end, file=sys.stderr, flush=True)


def _is_ready(stream: TextIO) -> bool:
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return True  # it is in memory
    return bool(select.select([], [number], [], 0)[1])
