"""`ticker serve`: flags and config file, merged, and the service until a signal ends it."""

from __future__ import annotations

import faulthandler
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
import trio
from cyclopts import Parameter

from ticker.commands.descriptors import raise_descriptor_limit
from ticker.commands.flags import check_interval
from ticker.commands.logs import configure_logging
from ticker.commands.memory import tune_memory
from ticker.commands.settings import load_config
from ticker.commands.signals import on_stop_signal
from ticker.commands.streams import announce, write_stdout_later
from ticker.commands.workers import count_workers, parse_workers
from ticker.config import Config, Tokens
from ticker.errors import ConfigError
from ticker.net.clocks import on_running_clock
from ticker.net.http1 import STREAM_PATH
from ticker.server.blocked_loop import interrupt_blocking_feeds
from ticker.server.exposure import check_addresses, is_local, warn_if_anonymous
from ticker.server.opening import open_listeners, with_certificate
from ticker.server.service import serve as run_service
from ticker.server.service_manager import ServiceManager
from ticker.supervisor.supervisor import Requests, Supervisor

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.commands.serve")


async def serve(  # noqa: PLR0913  # one parameter per flag
    *,
    config: Path | None = None,
    listen: Annotated[list[str] | None, Parameter(negative=())] = None,
    path_prefix: str | None = None,
    metrics_listen: str | None = None,
    feed: Annotated[list[str] | None, Parameter(negative=())] = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    token_key: Path | None = None,
    origin: Annotated[list[str] | None, Parameter(negative=())] = None,
    insecure_allow_anyone: Annotated[bool, Parameter(negative=())] = False,
    workers: str | None = None,
    bus: Annotated[str | None, Parameter(env_var="TICKER_BUS")] = None,
    follow: Annotated[list[str] | None, Parameter(negative=(), env_var="TICKER_FOLLOW")] = None,
    follow_ca: Path | None = None,
    follow_token_file: Path | None = None,
    delay: str | None = None,
    interval: int | None = None,
    history: bool | None = None,
    history_file: Path | None = None,
    state: bool | None = None,
    log_format: Literal["console", "json"] | None = None,
) -> None:
    """Run the service. Prints `ready URL` on stdout once it accepts connections; SIGINT and SIGTERM end it.

    SIGHUP reloads its certificate and keys; changed files are also noticed without it. With several workers, SIGUSR2
    replaces all of them by new ones, one after the other, and no connection is reset.

    Parameters
    ----------
    config
        A TOML file with these settings and more, such as limits. Flags override it.
    listen
        Address HOST:PORT, an IPv6 host in brackets, or unix:PATH; port 0 takes a free one; repeatable.
        http://HOST:PORT on loopback and http://unix:PATH have no TLS, for a proxy on this machine that ends it.
        [default: 127.0.0.1:8443]
    path_prefix
        What stands before every path, such as /ticker, where a proxy leaves it there.
    metrics_listen
        A further address HOST:PORT for /metrics, /healthz and /readyz only; on loopback it needs no token.
    feed
        NAME?option=value&option=value, with a NAME of `ticker feeds` or package.module:Class; repeatable.
        [default: simulated]
    tls_cert
        Certificate chain, a PEM file. Without it, a loopback address gets a development certificate.
    tls_key
        Private key of the certificate, a PEM file.
    token_key
        Public key of the token issuer, a PEM file: clients then need a token. More ways: [tokens] in the config file.
    origin
        Allowed origin of web pages besides the service's own: https://dash.example.com, an application's
        (capacitor://localhost), or null; repeatable.
    insecure_allow_anyone
        Accept clients without tokens on an address that other machines can reach.
    workers
        Number of processes that serve clients, or auto for one on each core. One does everything in one process.
        [default: 1]
    bus
        Address of a Redis or Valkey through which several machines serve one market: redis://HOST,
        rediss://USER:PASSWORD@HOST or redis+sentinel://HOST,HOST/SERVICE. With --feed this process is a source, the
        first of which leads; without, an edge, which serves clients. A password is better in TICKER_BUS, where lists
        of processes do not show it.
    follow
        Address of another ticker, wss://HOST:PORT, whose market is served here; repeatable: the first that can be
        followed is. It goes with neither --feed nor --bus.
    follow_ca
        Authorities of its certificate, a PEM file. [default: the system's]
    follow_token_file
        A file with a token for it, which has the claim follow. It is read for each connection.
        [default: the token in TICKER_FOLLOW_TOKEN, if that is set]
    delay
        Serve the market as it was so long ago, such as 15m, with its history and tables: on an edge (--bus or
        --follow, without --feed), or with several --workers. With tokens, those with the claim `realtime` see it in
        real time, at the same address.
    interval
        Conflation interval in milliseconds: a client gets one frame in each; 0 sends every change. [default: 0]
    history
        Keep candles in a file, for charts after a restart and /v1/candles. [default: --history]
    history_file
        That file, an SQLite database. [default: history.sqlite in the data folder]
    state
        Keep the market over a clean stop, in the data folder, so that clients resume after a restart as after a lost
        connection. [default: --state]
    log_format
        Format of the logs on stderr: text, or one JSON object per line. [default: console]
    """
    settings = load_config(config) if config is not None else Config()
    check_interval(interval)
    if follow is None and not os.environ.get("TICKER_FOLLOW", "unset").strip():
        # To the parser that is a list of nothing, as if it were not set: the simulated market would be served.
        raise ConfigError("TICKER_FOLLOW is empty: give wss://HOST:PORT, or do not set it")
    settings = replace(
        settings,
        history=replace(settings.history, **_given(enabled=history, file=_path("--history-file", history_file))),
        tls=replace(settings.tls, **_given(cert=_path("--tls-cert", tls_cert), key=_path("--tls-key", tls_key))),
        tokens=settings.tokens if token_key is None else Tokens(key=str(token_key)),
        **_given(listen=listen or None, path_prefix=path_prefix, metrics_listen=metrics_listen),
        **_given(feeds=feed or None, origins=origin or None, allow_anyone=insecure_allow_anyone or None),
        **_given(workers=parse_workers(workers), bus=bus, delay=delay, interval_ms=interval),
        **_given(keep_state=state),
        **_given(
            follow=follow or None,
            follow_ca=_path("--follow-ca", follow_ca),
            follow_token_file=_path("--follow-token-file", follow_token_file),
        ),
        **_given(log_format=log_format),
    )
    settings.check_market()
    write_stdout_later()
    configure_logging(settings.log_format)
    tune_memory()
    number = count_workers(settings)
    if number > 1:
        await _supervise_until_stopped(settings, number)
    else:
        await _run_until_stopped(settings)


command = on_running_clock(serve)


async def _run_until_stopped(settings: Config) -> None:
    stop, manager = trio.Event(), ServiceManager.from_environment()
    if manager.watchdog_seconds is not None:
        faulthandler.enable(2)  # its SIGABRT then leaves in the log where the loop was blocked
    with interrupt_blocking_feeds() as watchdog, trio.open_signal_receiver(signal.SIGHUP) as hangups:
        async with on_stop_signal(stop.set), trio.open_nursery() as background:
            background.start_soon(watchdog.keep_turning)
            background.start_soon(_refuse_rolls)
            async with trio.open_nursery() as nursery:
                url = await nursery.start(run_service, settings, stop, hangups, manager)
                raise_descriptor_limit(settings.limits.max_connections)
                announce(f"ready {url}")
            background.cancel_scope.cancel()


async def _refuse_rolls() -> None:
    """Say on SIGUSR2, which would end the process by default, that there are no workers to replace."""
    with trio.open_signal_receiver(signal.SIGUSR2) as requests:
        async for _ in requests:
            _log.warning("nothing is replaced: one process does everything", remedy="--workers 2 or more, or a restart")


async def _supervise_until_stopped(settings: Config, workers: int) -> None:
    addresses = check_addresses(settings)
    settings = with_certificate(settings)
    manager = ServiceManager.from_environment()
    with trio.open_signal_receiver(signal.SIGHUP) as hangups, trio.open_signal_receiver(signal.SIGUSR2) as rolls:
        requests = Requests(trio.Event(), hangups, rolls)
        opened = await open_listeners(settings, addresses)
        warn_if_anonymous(settings, local=all(is_local(settings, address) for address in addresses))
        supervisor = Supervisor(settings, workers, opened)
        async with on_stop_signal(requests.stop.set), trio.open_nursery() as nursery:
            url = opened.clients[0].url(settings.path_prefix + STREAM_PATH)
            nursery.start_soon(_say_ready, supervisor, url, manager)
            await supervisor.run(requests, manager)
            nursery.cancel_scope.cancel()


async def _say_ready(supervisor: Supervisor, url: str, manager: ServiceManager) -> None:
    await supervisor.pool.serving.wait()
    announce(f"ready {url}")
    await manager.keep_reporting(trio.lowlevel.checkpoint, supervisor.status)


def _given(**flags: object) -> dict[str, Any]:
    """Return the flags that were given; of the others, the settings stay."""
    return {name: value for name, value in flags.items() if value is not None}


def _path(flag: str, path: Path | None) -> str | None:
    """Return the path that a flag names."""
    if path == Path():  # so an empty text comes from the parser
        raise ConfigError(f"{flag} is empty: name a file, or leave it out")
    return None if path is None else str(path)
