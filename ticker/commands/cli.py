"""The command line: `ticker serve` and `ticker watch`; its other commands stand in files of their own.

What cannot be used is said in one line on stderr, with exit code 2; a connection that fails for good ends with 1. Logs
go to stderr too, so that stdout holds only what was asked for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, Protocol

import trio
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.live import Live

from ticker.client.client import Client, Connected, Disconnected, Event, connect
from ticker.client.subscription import Change, Subscription
from ticker.commands.feeds import feeds_app
from ticker.commands.logs import configure_logging
from ticker.commands.memory import settle_memory
from ticker.commands.record import export, record
from ticker.commands.screen import Screen, shown
from ticker.commands.settings import load_config
from ticker.commands.tokens import token_app
from ticker.config import MAX_INTERVAL_MS, Config, TlsFiles, Tokens
from ticker.errors import ConfigError, ConnectionFailed
from ticker.server.blocked_loop import interrupt_blocking_feeds
from ticker.server.service import serve as run_service

REDRAW_SECONDS = 0.1

app = App(
    name="ticker",
    help="Live market data, pushed to thousands of clients over TLS.",
    help_format="plaintext",
    version=metadata.version("ticker-push"),
    backend="trio",
    result_action="return_value",
)


@app.command
async def serve(  # noqa: PLR0913  # one parameter per flag
    *,
    config: Path | None = None,
    listen: str | None = None,
    feed: Annotated[list[str] | None, Parameter(negative=())] = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    token_key: Path | None = None,
    origin: Annotated[list[str] | None, Parameter(negative=())] = None,
    insecure_allow_anyone: Annotated[bool, Parameter(negative=())] = False,
    interval: int | None = None,
    log_format: Literal["console", "json"] | None = None,
) -> None:
    """Run the service. Prints `ready URL` on stdout once it accepts connections; SIGINT and SIGTERM end it.

    SIGHUP has it read its certificate and keys anew; it also sees by itself when their files change.

    Parameters
    ----------
    config
        A TOML file with the same settings and more; flags win over it.
    listen
        HOST:PORT, an IPv6 host in brackets; port 0 takes a free one. [default: 127.0.0.1:8443]
    feed
        A feed: NAME?option=value&option=value, where NAME is one of `ticker feeds`, or package.module:Class. Give it
        again for more feeds. [default: simulated]
    tls_cert
        The certificate chain, PEM. Without it, a loopback address gets a development certificate.
    tls_key
        Its private key, PEM.
    token_key
        The public key, PEM, of whoever issues tokens: then clients need one. More ways: [tokens] in the config file.
    origin
        An origin besides the service's own from which pages may connect, such as https://dash.example.com. Give it
        again for more.
    insecure_allow_anyone
        Serve everybody who can reach an address that is not only this machine's, without tokens.
    interval
        One frame to a client per so many milliseconds; 0 sends every change at once. [default: 0]
    log_format
        Logs on stderr for people or for machines. [default: console]
    """
    settings = load_config(config) if config is not None else Config()
    _check_interval(interval)
    settings = replace(
        settings,
        listen=settings.listen if listen is None else listen,
        feeds=feed or settings.feeds,
        interval_ms=settings.interval_ms if interval is None else interval,
        log_format=log_format or settings.log_format,
        tls=TlsFiles(_path(tls_cert) or settings.tls.cert, _path(tls_key) or settings.tls.key),
        tokens=settings.tokens if token_key is None else Tokens(key=str(token_key)),
        origins=origin or settings.origins,
        allow_anyone=insecure_allow_anyone or settings.allow_anyone,
    )
    configure_logging(settings.log_format)
    settle_memory()
    await _run_until_stopped(settings)


async def _run_until_stopped(settings: Config) -> None:
    stop = trio.Event()
    with interrupt_blocking_feeds() as watchdog, trio.open_signal_receiver(signal.SIGHUP) as hangups:
        async with _on_signal(stop.set), trio.open_nursery() as background:
            background.start_soon(watchdog.keep_turning)
            async with trio.open_nursery() as nursery:
                url = await nursery.start(run_service, settings, stop, hangups)
                print(f"ready {url}", flush=True)
            background.cancel_scope.cancel()


@app.command
async def watch(  # one parameter per flag
    *symbols: str,
    url: str = "wss://127.0.0.1:8443",
    ca: Path | None = None,
    token_file: Path | None = None,
    interval: int | None = None,
    duration: float | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Watch symbols: a live table on a terminal, or with --json (and where stdout is no terminal) a line per frame.

    Parameters
    ----------
    symbols
        Symbols and patterns with * and ?, such as EURUSD 'XAU*'.
    url
        The service; its path may be left out.
    ca
        Authorities to trust instead of the system's, PEM. A development authority on this machine is found by itself.
    token_file
        A file with the token to come in with; it is read again whenever a fresh token is needed.
    interval
        At most one frame per so many milliseconds.
    duration
        Stop after so many seconds.
    as_json
        Print {"cut": ..., "time": ..., "changes": {symbol: {field: value}}} for each frame, the snapshot first.
    """
    if not symbols:
        raise ConfigError("watch: give at least one symbol or pattern, such as EURUSD or '*'")
    _check_interval(interval)
    if duration is not None and not duration >= 0:
        raise ConfigError(f"--duration {duration}: give a number of seconds")
    follow: _Follow = _print_lines if as_json or not sys.stdout.isatty() else _show_table
    with trio.move_on_after(float("inf") if duration is None else duration) as scope:
        async with _on_signal(scope.cancel):
            token = partial(_read_token, token_file) if token_file is not None else None
            await follow(symbols, partial(connect, url, ca=ca, token=token, interval_ms=interval), url)


async def _read_token(path: Path) -> str:
    try:
        return (await trio.Path(path).read_text(encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: {error}") from None


def _path(flag: Path | None) -> str | None:
    """A file named by a flag, if it was given."""
    return None if flag is None else str(flag)


def _check_interval(interval: int | None) -> None:
    if interval is not None and not 0 <= interval <= MAX_INTERVAL_MS:
        raise ConfigError(f"--interval {interval}: give 0 to {MAX_INTERVAL_MS} milliseconds")


class _Connect(Protocol):
    def __call__(self, *, on_event: Callable[[Event], None]) -> AbstractAsyncContextManager[Client]: ...


_Follow = Callable[[tuple[str, ...], _Connect, str], Awaitable[None]]


async def _print_lines(names: tuple[str, ...], open_client: _Connect, _url: str) -> None:
    async with open_client(on_event=_report) as client:
        async for change in client.subscribe(*names):
            print(_line(change), flush=True)


async def _show_table(names: tuple[str, ...], open_client: _Connect, url: str) -> None:
    screen = Screen(url)
    console = Console()
    async with open_client(on_event=screen.happened) as client, trio.open_nursery() as nursery:
        nursery.start_soon(_feed_screen, screen, client.subscribe(*names))
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(screen.render(trio.current_time(), console.height, console.width), refresh=True)
                await trio.sleep(REDRAW_SECONDS)


async def _feed_screen(screen: Screen, subscription: Subscription) -> None:
    async for change in subscription:
        screen.apply(change, trio.current_time())


def _line(change: Change) -> str:
    changes = {
        symbol: {
            name: value if value is None or isinstance(value, int) else shown(value) for name, value in fields.items()
        }
        for symbol, fields in change.changes.items()
    }
    time = change.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"cut": change.cut, "time": time, "changes": changes}, ensure_ascii=False)


def _report(event: Event) -> None:
    """Tell on stderr what happens to the connection."""
    if isinstance(event, Connected):
        text = f"{'resumed' if event.resumed else 'connected'} {event.url}"
    elif isinstance(event, Disconnected):
        text = f"disconnected: {event.reason}; trying again in {event.retry_seconds:.1f} s"
    else:
        text = f"{event.name}: {event.text}"
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def _on_signal(act: Callable[[], None]) -> AsyncIterator[None]:
    """Act on the first SIGINT or SIGTERM; the second ends the process as usual."""

    async def wait(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                act()
                break

    async with trio.open_nursery() as nursery:
        await nursery.start(wait)
        yield
        nursery.cancel_scope.cancel()


app.command(token_app)
app.command(feeds_app)
app.command(record)
app.command(export)


def main() -> None:
    """Run the command line and exit."""
    code = 0
    try:
        app(exit_on_error=False, print_error=False)
    except* (ConfigError, CycloptsError) as group:
        code = _complain(group, 2)
    except* ConnectionFailed as group:
        code = _complain(group, 1)
    except* OSError as group:
        # Nobody reads our output, or it cannot be written; what is still buffered has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1 if group.subgroup(BrokenPipeError) is not None else _complain(group, 1)
    except* KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _complain(group: BaseExceptionGroup[Exception], code: int) -> int:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    print(f"ticker: {text}", file=sys.stderr)
    return code
