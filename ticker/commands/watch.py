"""`ticker watch`: the changes of some symbols and tables, on a live screen or as a line of JSON per frame."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import trio
from cyclopts import Parameter
from rich.console import Console
from rich.live import Live

from ticker.client.client import Client, connect
from ticker.client.events import Connected, Disconnected, Event, Refused, Unmatched
from ticker.client.fields import by_name
from ticker.client.subscription import Change, Subscription
from ticker.commands.cells import json_values
from ticker.commands.flags import check_interval, seconds_or_forever, token_reader
from ticker.commands.screen import Present, Screen
from ticker.commands.signals import on_stop_signal
from ticker.commands.streams import writes_unicode
from ticker.durations import duration
from ticker.errors import ConfigError, ConnectionFailed
from ticker.net.clocks import on_running_clock
from ticker.texts import printable

REDRAW_SECONDS = 0.1


async def watch(  # noqa: PLR0913  # one parameter per flag
    *symbols: str,
    url: Annotated[list[str] | None, Parameter(negative=())] = None,
    ca: Path | None = None,
    token_file: Path | None = None,
    interval: int | None = None,
    fields: str | None = None,
    duration: float | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Watch symbols: a live screen on a terminal, or with --json (and if stdout is no terminal) a line per frame.

    Parameters
    ----------
    symbols
        Symbols and patterns with * and ?, such as EURUSD 'XAU*'. A symbol or pattern with a table behind a space shows
        that: 'BTC-USD book:10' the best levels of the order book, 'BTC-USD trades:50' the latest prints, and
        'EURUSD candles:1m:300' bars.
    url
        URL of the service, wss://HOST:PORT. Given again: another address of the same service, to go on at when a
        connection fails or is lost. [default: wss://127.0.0.1:8443]
    ca
        Trusted authorities instead of the system's, a PEM file; a development authority is found without it.
    token_file
        A file with the token. It is read again whenever the client needs a fresh token.
    interval
        Conflation interval in milliseconds: at most one frame per interval. [default: the service's]
    fields
        Only these fields of instruments, such as bid,ask; status and reason always come. [default: all]
    duration
        Stop after this many seconds. [default: never]
    as_json
        Print {"cut": ..., "time": ..., "changes": {symbol: {field: value}}} for each frame, the snapshot first. Of a
        table these are the rows that changed: {"bids": [[price, size], ...], "asks": [...]}, {"trades": [{"number":
        ..., "price": ...}]} or {"candles": [{"start": ..., "open": ...}]}. null is gone.
    """
    if not symbols:
        raise ConfigError("watch: give at least one symbol or pattern, such as EURUSD or '*'")
    check_interval(interval)
    urls = url or ["wss://127.0.0.1:8443"]
    # On a dumb terminal nothing can be drawn anew, and `Live` shows nothing at all.
    draws = sys.stdout.isatty() and not Console().is_dumb_terminal
    follow: _Follow = _show_table if draws and not as_json else _print_lines
    seconds = seconds_or_forever(duration)
    with trio.move_on_after(seconds) as scope:
        left = _Left(symbols, scope.cancel)
        async with on_stop_signal(scope.cancel):
            open_client = partial(connect, urls, ca=ca, token=token_reader(token_file), interval_ms=interval)
            await follow(
                symbols, fields.split(",") if fields is not None else None, left.noting(open_client), ", ".join(urls)
            )
    if not left.connected and trio.current_time() >= scope.deadline:
        raise ConnectionFailed(f"{', '.join(urls)}: there was no connection within {seconds:g} s")
    if not left.names:
        raise ConfigError(f"watch: nothing is left to watch: {'; '.join(left.refusals)}")


command = on_running_clock(watch)


class _Connect(Protocol):
    def __call__(self, *, on_event: Callable[[Event], None]) -> AbstractAsyncContextManager[Client]: ...


class _Left:
    """The names that were not refused for good, by the texts of those that were, and whether there was a connection."""

    def __init__(self, names: tuple[str, ...], end: Callable[[], object]) -> None:
        self.names = dict.fromkeys(names)
        self.refusals: list[str] = []
        self.connected = False
        self._end = end

    def noting(self, open_client: Callable[..., AbstractAsyncContextManager[Client]]) -> _Connect:
        """Return it so that what is refused is noted; once that is everything, the command ends."""

        def open_noting(*, on_event: Callable[[Event], None]) -> AbstractAsyncContextManager[Client]:
            def note(event: Event) -> None:
                on_event(event)
                self.connected |= isinstance(event, Connected)
                if isinstance(event, Refused) and not event.pending and event.name in self.names:
                    del self.names[event.name]
                    self.refusals.append(event_text(event))
                    if not self.names:
                        self._end()

            return open_client(on_event=note)

        return open_noting


_Follow = Callable[[tuple[str, ...], list[str] | None, _Connect, str], Awaitable[None]]


async def _print_lines(names: tuple[str, ...], fields: list[str] | None, open_client: _Connect, _url: str) -> None:
    ascii_only = not writes_unicode(sys.stdout)
    async with open_client(on_event=_print_event) as client:
        async for change in client.subscribe(*names, fields=fields):
            print(line_of(change, ascii_only=ascii_only), flush=True)


async def _show_table(names: tuple[str, ...], fields: list[str] | None, open_client: _Connect, url: str) -> None:
    screen = Screen(url)
    console = Console()
    async with open_client(on_event=screen.apply_event) as client, trio.open_nursery() as nursery:
        subscription = client.subscribe(*names, fields=fields)
        nursery.start_soon(_update_screen, screen, subscription, lambda name: by_name(client.values(name)))
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(screen.render(trio.current_time(), console.height, console.width), refresh=True)
                await trio.sleep(REDRAW_SECONDS)


async def _update_screen(screen: Screen, subscription: Subscription, present: Present) -> None:
    async for change in subscription:
        screen.apply(change, trio.current_time(), present)


def line_of(change: Change, *, ascii_only: bool = False) -> str:
    """Return a change as a line of JSON: printable, whatever the server sent."""
    changes = {name: json_values(name, by_name(fields)) for name, fields in change.changes.items()}
    time = change.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = json.dumps({"cut": change.cut, "time": time, "changes": changes}, ensure_ascii=ascii_only)
    return line if line.isprintable() else _UNPRINTABLE.sub(_escaped, line)


_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u02ff]")
"""Characters that may not be printable."""


def _escaped(match: re.Match[str]) -> str:
    """Return a character as JSON's escape if a terminal might obey it: the line means the same."""
    character = match[0]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if character <= "\uffff" else json.dumps(character)[1:-1]


def _print_event(event: Event) -> None:
    print(event_text(event), file=sys.stderr, flush=True)


def event_text(event: Event) -> str:
    """Return a line about an event of the connection, for stderr."""
    if isinstance(event, Connected):
        delay = f", delayed {duration(event.delay_seconds)}" if event.delay_seconds else ""
        return f"{'resumed' if event.resumed else 'connected'} {event.url}{delay}"
    if isinstance(event, Disconnected):
        return f"disconnected: {printable(event.reason)}; {event.retry_text}"
    return printable(f"{event.name}: {event.text}" if isinstance(event, Refused | Unmatched) else event.text)
