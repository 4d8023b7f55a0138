"""The service put together: feeds, publisher, listeners, connections.

`serve` is the whole composition, and with `feed_runner` the only code of the service that knows `ticker_feeds`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import trio

from ticker.bounds import (
    CLOSE_SECONDS,
    HISTORY_FINISH_SECONDS,
    OUTPUT_FINISH_SECONDS,
    STATE_WRITE_SECONDS,
    USAGE_FINISH_SECONDS,
)
from ticker.bus_bounds import BUS_RETRY_SECONDS, PAGES_FINISH_SECONDS, WORKER_WAIT_SECONDS
from ticker.config import Config
from ticker.door.auth import Auth
from ticker.net.addresses import Address
from ticker.net.blocking import NameLookups
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import STREAM_PATH
from ticker.server.bar_history import BarHistory
from ticker.server.bus_metrics import Anew, BusMetrics
from ticker.server.cert_reload import Certificate, Reloadable, reload_on_change
from ticker.server.connection import ServerContext
from ticker.server.delay import Delay
from ticker.server.exposure import check_addresses, is_local, warn_if_anonymous
from ticker.server.feed_channel import FeedMessage, FeedState
from ticker.server.feed_runner import FeedRunner
from ticker.server.files import Files
from ticker.server.housekeeping import check_connections
from ticker.server.listener import Connections, ConnectionSource
from ticker.server.market import begin_usage, first_of, keep_usage, new_context, publish, send_goodbyes
from ticker.server.metrics import Metrics
from ticker.server.metrics_listener import MetricsListener
from ticker.server.opening import open_certificate, open_listeners
from ticker.server.operator_pages import OperatorPages
from ticker.server.pages import Pages
from ticker.server.process_metrics import ProcessMetrics
from ticker.server.process_role import delayed_bus, role_maker
from ticker.server.readiness import Readiness
from ticker.server.roles import Role, Waiting
from ticker.server.service_manager import NO_MANAGER, ServiceManager, status_line
from ticker.server.worker import Worker
from ticker_feeds.loading import load_feed, without_secrets

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.service")


@cache
def _dashboard() -> Files:
    """Return the dashboard and the JavaScript client, read once: also where a process has several services or roles."""
    return Files(Path(__file__).parents[1] / "web")


class _Service(NamedTuple):
    """What is there for all roles of the process."""

    config: Config
    auth: Auth
    certificate: Certificate | None
    entrances: _Entrances
    hangups: AsyncIterator[object]
    manager: ServiceManager
    worker: Worker | None
    anew: Anew
    fair_queue: FairQueue
    delay: Delay


async def serve(
    config: Config,
    stop: trio.Event,
    hangups: AsyncIterator[object] | None = None,
    manager: ServiceManager = NO_MANAGER,
    *,
    worker: Worker | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the service until `stop` is set and clients have their goodbye. The started value is the stream's URL.

    Certificates and keys are read anew when their files change, and whenever `hangups` yields. `manager` is told of the
    service's state. As a `worker`, it gets its connections from its supervisor, and has no URL of its own; where others
    begin anew, it ends, and the supervisor starts another one.

    Raises `ConfigError` for a configuration that cannot be used.
    """
    trio.socket.set_custom_hostname_resolver(NameLookups())
    addresses = check_addresses(config)
    auth = Auth(config)
    delayed = delayed_bus(config, worker)
    new_role = role_maker(config, worker, delayed)
    role = new_role()
    if role.has_feeds:
        _load_feeds(config)
    if auth.keys is not None:
        await auth.keys.start()
    certificate = open_certificate(config)
    local = all(is_local(config, address) for address in addresses)
    entrances = await _entrances(config, addresses, worker, local=local)
    fair_queue = FairQueue()
    delay = Delay(config, auth, delayed, fair_queue)
    hangups = hangups or _NoHangups()
    service = _Service(config, auth, certificate, entrances, hangups, manager, worker, Anew(), fair_queue, delay)
    started: Callable[[], None] = partial(task_status.started, entrances.url)
    try:
        async with delay.kept(), trio.open_nursery() as nursery:
            nursery.start_soon(fair_queue.hand_out)
            await _serve_roles(role, new_role, service, stop, started)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await entrances.aclose(metrics=True)


async def _serve_roles(
    role: Role, new_role: Callable[[], Role], service: _Service, stop: trio.Event, started: Callable[[], None]
) -> None:
    """Serve in this role, and in further ones where the process begins anew, until it is to stop."""
    worker = service.worker
    while not stop.is_set():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(role.run)
            waited = role.waits and not await _begins_soon(role, worker, stop)
            if waited:
                await _serve_as(Waiting(role), service, (stop, role.begun, role.over), started)
                started = _nothing
            await first_of(stop, role.begun, role.over)
            if role.begun.is_set() and waited and stop.is_set():  # there are no listeners any more
                await role.finish(last=worker is None or worker.last)
            elif role.begun.is_set():
                await _serve_as(role, service, (stop, role.over), started)
                started = _nothing
            nursery.cancel_scope.cancel()
        if worker is not None or stop.is_set():
            break
        service.anew.counts[role.cause] += 1
        await trio.sleep(random.uniform(BUS_RETRY_SECONDS / 2, BUS_RETRY_SECONDS))  # noqa: S311  # spread, not secret
        role = new_role()


async def _begins_soon(role: Role, worker: Worker | None, stop: trio.Event) -> bool:
    """Give a worker a moment to have data: as soon as it serves, it gets connections of clients."""
    if worker is not None and role.has_clients:
        with trio.move_on_after(WORKER_WAIT_SECONDS):
            await first_of(stop, role.begun, role.over)
    return any(event.is_set() for event in (stop, role.begun, role.over))


async def _serve_as(role: Role, service: _Service, ends: Sequence[trio.Event], started: Callable[[], None]) -> None:
    """Serve in this role until the first of these events, of which the first one is the end of the process."""
    config, worker, manager, auth = service.config, service.worker, service.manager, service.auth
    limits, stop = config.limits, ends[0]
    usage = await begin_usage(config, role, starting=not any(service.anew.counts.values()))
    context = new_context(config, auth, role, service.fair_queue, usage, service.delay.beside)
    auth.late = context.hub.delay > 0
    messages, received = trio.open_memory_channel[FeedMessage](limits.feed_queue)
    publisher = role.publisher(context.hub, limits, context.source)
    history = BarHistory(role.cache, config.history, config.tables, messages, only_reads=not role.has_feeds)
    feeds = _load_feeds(config) if role.has_feeds else []
    feed_states = _feed_states(config.feeds) if role.has_feeds else []
    readiness = Readiness(feed_states, limits.ready_seconds, usage, partial(service.delay.missing, role))
    process = ProcessMetrics(readiness, service.certificate, messages)
    bus = BusMetrics(role.bus_state, service.anew)
    metrics = Metrics(context, publisher, feed_states, history, process, bus)
    metrics.delay = service.delay.metrics()
    whole_metrics = metrics.page if worker is None else worker.attach(readiness, metrics)
    operator_pages = OperatorPages(auth, feed_states, readiness, whole_metrics)
    entrances = service.entrances
    pages = Pages(context, _dashboard(), operator_pages, history, metrics_open=entrances.open_to_all)
    async with trio.open_nursery() as nursery:
        publishing: trio.CancelScope = await nursery.start(publish, role, received)
        nursery.start_soon(history.run)
        await nursery.start(keep_usage, usage, context.hub)
        nursery.start_soon(check_connections, context)
        _start_reloading(nursery, service.certificate, auth, service.hangups, manager)
        for feed_state, feed in zip(feed_states, feeds, strict=True):
            nursery.start_soon(FeedRunner(feed_state, feed, messages, feed_state.applied_of, limits.max_batch).run)
        _serve_metrics(nursery, service, operator_pages, context)
        connections = Connections(service.certificate, context, pages)
        async with trio.open_nursery() as listening:
            for listener in entrances.clients:
                await listening.start(connections.serve, listener, nursery)
            started()
            nursery.start_soon(manager.keep_informed, messages, partial(status_line, context.connections, feed_states))
            await first_of(*ends)
            if stop.is_set():
                await _announce_stop(manager, config)
            listening.cancel_scope.cancel()
        context.kept.end()
        if stop.is_set():
            await entrances.aclose(metrics=False)
        await history.loaded()
        publishing.cancel()  # before the goodbyes: no client may see a cut that the kept state does not have
        await role.finish(last=stop.is_set() and (worker is None or worker.last))
        contexts = service.delay.contexts(context)
        if role.has_clients or role.has_feeds or len(contexts) > 1:
            await _drain(contexts, config, history)
        else:
            await _finish_pages(auth)
        nursery.cancel_scope.cancel()


class _Entrances(NamedTuple):
    """Where connections come from, and the URL of the stream, if it is this process that listens there."""

    clients: Sequence[ConnectionSource]
    metrics: Sequence[ConnectionSource]
    metrics_open: bool
    open_to_all: bool
    """Those for clients show metrics without a token."""
    url: str

    async def aclose(self, *, metrics: bool) -> None:
        """Accept no more connections of clients, or no more for metrics either."""
        for listener in (*self.clients, *(self.metrics if metrics else ())):
            await listener.aclose()


async def _entrances(config: Config, addresses: Sequence[Address], worker: Worker | None, *, local: bool) -> _Entrances:
    open_to_all = not config.tokens.wanted and local
    if worker is not None:
        metrics_open = worker.settings.metrics_open
        return _Entrances(worker.listeners, worker.metrics_listeners, metrics_open, open_to_all, "")
    opened = await open_listeners(config, addresses)
    warn_if_anonymous(config, local=local)
    return _Entrances(*opened, open_to_all, opened.clients[0].url(config.path_prefix + STREAM_PATH))


def _serve_metrics(nursery: trio.Nursery, service: _Service, pages: OperatorPages, context: ServerContext) -> None:
    """Serve the pages for operators at their own addresses."""
    for listener in service.entrances.metrics:
        assert service.certificate is not None  # noqa: S101  # for the type checker
        apart = MetricsListener(pages, service.certificate, context, metrics_open=service.entrances.metrics_open)
        nursery.start_soon(apart.serve, listener)


def _start_reloading(
    nursery: trio.Nursery,
    certificate: Certificate | None,
    auth: Auth,
    hangups: AsyncIterator[object],
    manager: ServiceManager,
) -> None:
    """Read the certificate and the keys of tokens anew when they change, and when `hangups` yields."""
    reloadables: list[Reloadable] = [] if certificate is None else [certificate]
    if auth.keys is not None:
        reloadables.append(auth.keys)
        nursery.start_soon(auth.keys.refresh)
    nursery.start_soon(reload_on_change, reloadables, hangups, manager)


async def _announce_stop(manager: ServiceManager, config: Config) -> None:
    """Tell the service's manager that it stops, and how long that may take."""
    files = 2 * HISTORY_FINISH_SECONDS + USAGE_FINISH_SECONDS + OUTPUT_FINISH_SECONDS
    await manager.stopping(STATE_WRITE_SECONDS + config.drain_seconds + CLOSE_SECONDS + files)


async def _drain(contexts: Sequence[ServerContext], config: Config, history: BarHistory) -> None:
    """Have all clients leave, and write what the history and the usage log of the first market still have to."""
    _log.info("stopping", clients=_clients(contexts), drain_seconds=config.drain_seconds)
    with trio.move_on_after(config.drain_seconds) as drain:
        async with trio.open_nursery() as nursery:
            for context in contexts:
                nursery.start_soon(send_goodbyes, context, config.retry_ms)
    await history.finish()
    if (usage := contexts[0].usage) is not None:
        await usage.finish()
    _log.info("stopped", cut_off=_clients(contexts) if drain.cancelled_caught else 0)


def _clients(contexts: Sequence[ServerContext]) -> int:
    return sum(len(context.connections) for context in contexts)


async def _finish_pages(auth: Auth) -> None:
    """Let answers to operators go out."""
    with trio.move_on_after(PAGES_FINISH_SECONDS):
        while auth.connection_limits.open:  # noqa: ASYNC110  # a moment, seldom
            await trio.sleep(0.01)


def _feed_states(specs: Sequence[str]) -> list[FeedState]:
    """Return a state for each feed, under unique names: the spec without secrets, and the name without options."""
    names = _unique([without_secrets(spec) for spec in specs])
    return [FeedState(*each) for each in zip(names, _unique([spec.partition("?")[0] for spec in specs]), strict=True)]


def _unique(names: Sequence[str]) -> list[str]:
    """Number the second and further occurrences of a name."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered


def _nothing() -> None:
    """Do nothing."""


def _load_feeds(config: Config) -> list[Any]:
    return [load_feed(spec) for spec in config.feeds]


class _NoHangups:
    """An iterator that never yields. (A generator would end when the wait for it is cancelled.)"""

    def __aiter__(self) -> AsyncIterator[object]:
        return self

    async def __anext__(self) -> object:
        return await trio.sleep_forever()
