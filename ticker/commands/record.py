"""`ticker record` and `ticker export`: market data into files, and from these into other people's formats."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from ticker.client.client import Connected, Disconnected, Event, connect
from ticker.commands.export import export_csv, export_parquet
from ticker.commands.logs import configure_logging
from ticker.commands.recorder import Tally, record_feed, record_service
from ticker.errors import ConfigError
from ticker_feeds.loading import load_feed
from ticker_feeds.recordings import Capture, CaptureWriter

_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 30.0
"""How often it is said how much was recorded: on a terminal, where the line is overwritten, and elsewhere."""

_ERASE = "\r\x1b[K" if sys.stderr.isatty() else ""


async def record(  # noqa: PLR0913  # one parameter per flag
    source: str,
    *,
    out: Path,
    rotate_mb: float | None = None,
    duration: float | None = None,
    symbols: str | None = None,
    ca: Path | None = None,
    token_file: Path | None = None,
) -> None:
    """Record what a feed publishes, or what a running service says, for `replay?path=FILE` and `ticker export`.

    What is in the file already stays, and the recording goes on behind it. Ctrl-C ends it; whatever ends it, all that
    was reported is in the file.

    Parameters
    ----------
    source
        A feed, NAME?option=value&option=value as for `ticker serve --feed`, or a service, wss://HOST:PORT.
    out
        The file. What does not fit goes into FILE.0001, FILE.0002 and so on.
    rotate_mb
        The most megabytes (of 1,000,000 bytes) in one file. Left out: there is one file.
    duration
        Stop after so many seconds.
    symbols
        Of a service: symbols and patterns, separated by commas. [default: *]
    ca
        Of a service: authorities to trust instead of the system's, PEM. A development authority on this machine is
        found by itself.
    token_file
        Of a service: a file with the token to come in with.
    """
    if rotate_mb is not None and not 0 < rotate_mb < math.inf:
        raise ConfigError(f"--rotate-mb {rotate_mb}: give a number above 0")
    if duration is not None and not duration >= 0:
        raise ConfigError(f"--duration {duration}: give a number of seconds")
    configure_logging("console")
    work = _work(source, symbols, ca, token_file)
    writer = CaptureWriter(out, None if rotate_mb is None else max(1, int(rotate_mb * 1_000_000)))
    tally = Tally(writer)
    try:
        with trio.move_on_after(math.inf if duration is None else duration):
            async with trio.open_nursery() as nursery:
                await nursery.start(_end_on_signal, nursery.cancel_scope)
                nursery.start_soon(_show_progress, tally)
                await work(tally)
                nursery.cancel_scope.cancel()
    finally:
        writer.close()
        if tally.moments:
            _say(f"{_ERASE}{_progress(tally)}")


def export(
    capture: Path,
    *,
    parquet: Path | None = None,
    csv: Path | None = None,
) -> None:
    """Write the updates of a recording as a table: a row for each, in order, and a column for each field.

    Columns: `time` (of the recording), `symbol`, then the fields, of which `exchange_time` is what feeds call time. An
    empty cell is a field that did not change. Where something was withdrawn there is a column `withdrawn`: the fields'
    names, or * for all.

    Parameters
    ----------
    capture
        What `ticker record` made; the files that follow it are read as well.
    parquet
        The Parquet file to make; needs pyarrow (pip install 'ticker-push[parquet]'). Prices and sizes are decimals.
    csv
        The CSV file to make, in the layout that `replay` plays.
    """
    if parquet is None and csv is None:
        raise ConfigError("export: give --parquet FILE or --csv FILE")
    tape = Capture(str(capture))
    if parquet is not None:
        _say(f"{export_parquet(tape, parquet)} rows in {parquet}")
    if csv is not None:
        _say(f"{export_csv(tape, csv)} rows in {csv}")


def _work(
    source: str, symbols: str | None, ca: Path | None, token_file: Path | None
) -> Callable[[Tally], Awaitable[None]]:
    """What records the source. Raises `ConfigError`."""
    if "://" in source.partition("?")[0]:
        token = partial(_read_token, token_file) if token_file is not None else None
        names = (symbols or "*").split(",")
        return partial(record_service, partial(connect, source, ca=ca, token=token), names, _tell)
    for flag, value in (("--symbols", symbols), ("--ca", ca), ("--token-file", token_file)):
        if value is not None:
            raise ConfigError(f"{flag}: only where a service is recorded, wss://HOST:PORT")
    return partial(record_feed, load_feed(source))


async def _read_token(path: Path) -> str:
    try:
        return (await trio.Path(path).read_text(encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: {error}") from None


async def _end_on_signal(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    """End on the first SIGINT or SIGTERM; the second ends the process as usual."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return


async def _show_progress(tally: Tally) -> None:
    while True:
        await trio.sleep(_TERMINAL_SECONDS if _ERASE else _LOG_SECONDS)
        print(f"{_ERASE}{_progress(tally)}", end="" if _ERASE else "\n", file=sys.stderr, flush=True)


def _progress(tally: Tally) -> str:
    writer = tally.writer
    refused = f", {writer.refused.total()} refused" if writer.refused else ""
    counts = f"{tally.publications} publications in {tally.moments} moments"
    return f"recorded {counts}, {writer.bytes_written / 1e6:.3f} MB, to {writer.path}{refused}"


def _tell(event: Event) -> None:
    if isinstance(event, Connected):
        _say(f"{_ERASE}{'resumed' if event.resumed else 'connected'} {event.url}")
    elif isinstance(event, Disconnected):
        _say(f"{_ERASE}disconnected: {event.reason}; trying again in {event.retry_seconds:.1f} s")
    else:
        _say(f"{_ERASE}{event.name}: {event.text}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
