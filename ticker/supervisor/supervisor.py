"""`supervise`: the addresses, the processes, and all that is asked of the service as a whole, from start to stop.

accept, hand over          `acceptor`, to the workers of `pool`
start, replace, roll, end  `pool`, each process a `child`
places, metrics            `places`, `supervisor_metrics`, for the workers that ask over their `channel`
files of certificates and keys are watched here, and read anew by the workers
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import structlog
import trio

from ticker.bounds import (
    CERT_POLL_SECONDS,
    CLOSE_SECONDS,
    HISTORY_FINISH_SECONDS,
    OUTPUT_FINISH_SECONDS,
    STATE_WRITE_SECONDS,
    USAGE_FINISH_SECONDS,
)
from ticker.bus.configured import delayed_engine, engine_of
from ticker.bus.delayed import DelayedEngine
from ticker.bus.local import LocalEngine
from ticker.bus.log import Log
from ticker.bus.served_log import serve_log_at
from ticker.bus.shared import serve_engine_at
from ticker.bus_bounds import LEAVE_EXTRA_SECONDS, LEAVE_SECONDS, RELOAD_SECONDS
from ticker.config import Config
from ticker.net.file_stamps import read_stamp, stamp_of
from ticker.net.folders import private_folder
from ticker.net.listeners import Listener, Opened
from ticker.supervisor.acceptor import Acceptor
from ticker.supervisor.child import Child
from ticker.supervisor.messages import (
    Admit,
    Admitted,
    FromChild,
    Gone,
    Kind,
    Page,
    PageWanted,
    Reload,
    Settings,
    Text,
)
from ticker.supervisor.places import Places
from ticker.supervisor.pool import Pool, Slot
from ticker.supervisor.supervisor_metrics import SupervisorMetrics

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.supervisor.supervisor")


class Manager(Protocol):
    """The manager of this process, such as systemd."""

    async def reloading(self) -> None:
        """Say that files are read anew."""

    async def ready(self) -> None:
        """Say that they were."""

    async def stopping(self, seconds: float) -> None:
        """Say that the service ends within so many seconds."""


@dataclass(frozen=True)
class Requests:
    """What is asked of the running service, by signals."""

    stop: trio.Event
    reloads: AsyncIterator[object]
    rolls: AsyncIterator[object]


class Supervisor:
    """The service as a whole."""

    def __init__(self, config: Config, workers: int, opened: Opened) -> None:
        """Raises `ConfigError`."""
        self._config = config
        self._metrics_open = opened.metrics_open
        self.places = Places(config)
        self._listeners = _by_kind(opened)
        kinds = tuple(dict.fromkeys(kind for _, kind in self._listeners))
        sources = [Slot("source", ())] if config.has_feeds else []
        slots = [*sources, *(Slot(str(number), kinds) for number in range(1, workers + 1))]
        self.pool = Pool(slots, self._settings, self._handle, self._over, end_seconds(config))
        self._acceptor = Acceptor(self.pool, self.places)
        self._log = Log() if config.bus is None and not config.followed else None
        self._bus: str | None = None
        self._delayed: DelayedEngine | None = None
        self._delayed_bus: str | None = None
        self.metrics = SupervisorMetrics(self.pool, self.places, self._acceptor, self._log)
        self._page_wanted: set[Child] = set()
        self._page_asked = trio.Event()

    def __repr__(self) -> str:
        return f"<Supervisor of {self.pool!r}>"

    async def run(self, requests: Requests, manager: Manager) -> None:
        """Run the service until it is asked to stop, and all have left. `pool.serving` is set when it serves."""
        try:
            async with private_folder() as folder, trio.open_nursery() as nursery:
                if self._log is not None:
                    self._bus = str(folder / "bus")
                    await nursery.start(serve_log_at, self._log, self._bus)
                if self._config.delay is not None:
                    await self._delay(folder, nursery)
                nursery.start_soon(self.pool.run)
                nursery.start_soon(self._answer_pages)
                await self._serve(requests, manager)
                _log.info("stopping", workers=len(self.pool.children), clients=self.places.limits.admitted)
                await self.pool.stop()
                _log.info("stopped")
                nursery.cancel_scope.cancel()
        finally:
            if self._delayed is not None:
                self._delayed.close()
            await self._close()

    async def _delay(self, folder: Path, nursery: trio.Nursery) -> None:
        """Have the market of all workers spooled once. Raises `ConfigError`."""
        engine = LocalEngine(self._bus) if self._bus is not None else engine_of(self._config)
        assert engine is not None  # noqa: S101  # for the type checker
        delayed = delayed_engine(engine, self._config)
        await delayed.open()
        self._delayed = self.metrics.delayed = delayed
        nursery.start_soon(delayed.run)
        self._delayed_bus = str(folder / "delayed")
        await nursery.start(serve_engine_at, delayed, self._delayed_bus)

    async def _serve(self, requests: Requests, manager: Manager) -> None:
        """Accept connections, and do what is asked, until the service is to stop; then accept no more."""
        async with trio.open_nursery() as nursery:
            for listener, kind in self._listeners:
                nursery.start_soon(self._acceptor.accept, listener, kind)
            nursery.start_soon(self._reload_on_request, requests.reloads, manager)
            nursery.start_soon(self._reload_on_change)
            nursery.start_soon(self._roll_on_request, requests.rolls)
            await requests.stop.wait()
            await manager.stopping(2 * end_seconds(self._config))
            nursery.cancel_scope.cancel()
        await self._close()

    async def _close(self) -> None:
        with trio.CancelScope(shield=True):
            for listener, _ in self._listeners:
                await listener.aclose()

    def status(self) -> str:
        """Return the state of the service in a line."""
        slots = self.pool.slots
        ready = sum(child.ready for child in self.pool.workers)
        workers = [slot for slot in slots if slot.kinds]
        text = f"{self.places.limits.admitted} clients; {ready} of {len(workers)} workers ready"
        if len(workers) == len(slots):
            return text  # the source is elsewhere
        source = slots[0].child
        return f"{text}; source: {source.status}" if source is not None and source.served else f"{text}; no source"

    def _settings(self, slot: Slot, connections: Mapping[Kind, int]) -> Settings:
        role: Literal["source", "worker"] = "worker" if slot.kinds else "source"
        delayed = self._delayed_bus if role == "worker" else None
        return Settings(self._config, slot.name, role, self._bus, dict(connections), self._metrics_open, delayed)

    def _handle(self, child: Child, message: FromChild) -> None:
        match message:
            case Admit():
                cause = self.places.admit(message.number, message.address, message.subject)
                child.post(Admitted(message.number, cause))
            case Gone():
                child.connections.discard(message.number)
                self.places.close(message.number)
            case Text():
                self.metrics.take(message)
            case PageWanted():
                self._page_wanted.add(child)
                self._page_asked.set()
            case _:
                pass

    def _over(self, child: Child) -> None:
        """Free what a process had that has ended."""
        for number in child.connections:
            self.places.close(number)
        child.connections.clear()
        self._page_wanted.discard(child)
        self.metrics.forget(child)

    async def _answer_pages(self) -> None:
        """Collect the page of metrics for all workers that ask for it meanwhile."""
        while True:
            await self._page_asked.wait()
            self._page_asked = trio.Event()
            asking, self._page_wanted = self._page_wanted, set()
            page = Page(await self.metrics.page())
            for child in asking:
                child.post(page)

    async def _reload_on_request(self, reloads: AsyncIterator[object], manager: Manager) -> None:
        async for _ in reloads:
            await manager.reloading()
            with trio.move_on_after(RELOAD_SECONDS):
                await self._reload()
            await manager.ready()

    async def _reload_on_change(self) -> None:
        config = self._config
        tokens = config.tokens
        named = (config.tls.cert, config.tls.key, tokens.key, tokens.jwks, tokens.secret)
        files = [Path(name) for name in named if name is not None and not name.startswith(("http:", "https:"))]
        stamp = read_stamp(files)
        while files:
            await trio.sleep(CERT_POLL_SECONDS)
            last, stamp = stamp, await stamp_of(files)
            if stamp != last:
                await self._reload()

    async def _reload(self) -> None:
        """Have all processes read certificates and keys anew, and wait until they have."""
        async with trio.open_nursery() as nursery:
            for child in self.pool.children:
                if child.served:
                    child.reloaded = trio.Event()
                    child.post(Reload())
                    nursery.start_soon(child.reloaded.wait)

    async def _roll_on_request(self, rolls: AsyncIterator[object]) -> None:
        async for _ in rolls:
            _log.info("all processes are to be replaced, one after the other")
            await self.pool.roll()


def end_seconds(config: Config) -> float:
    """Return the time that a process has to end."""
    files = HISTORY_FINISH_SECONDS + USAGE_FINISH_SECONDS + OUTPUT_FINISH_SECONDS
    return STATE_WRITE_SECONDS + config.drain_seconds + CLOSE_SECONDS + files + LEAVE_SECONDS + LEAVE_EXTRA_SECONDS


def _by_kind(opened: Opened) -> list[tuple[Listener, Kind]]:
    """Return each listener with the kind of its connections."""
    clients: list[tuple[Listener, Kind]] = [(each, "plain" if each.plain else "tls") for each in opened.clients]
    return [*clients, *((each, "metrics") for each in opened.metrics)]
