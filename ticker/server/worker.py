"""A process of a service with several, seen from within: the supervisor gives it connections and asks for its state.

To the service a `Worker` is listeners, the manager of the process, and the page of metrics of all processes.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar, cast

import structlog
import trio

from ticker.bus_bounds import LEAVE_SECONDS, WORKER_BEAT_SECONDS
from ticker.errors import RefusalCause
from ticker.server.readiness import Readiness
from ticker.server.service_manager import ServiceManager
from ticker.supervisor.channel import Channel, LostConnection, take_over
from ticker.supervisor.messages import (
    Admit,
    Admitted,
    Beat,
    Gone,
    Leave,
    Leaving,
    Page,
    PageWanted,
    Reload,
    Reloaded,
    Serving,
    Settings,
    Text,
    TextWanted,
    ToChild,
)

T = TypeVar("T")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.worker")


class HandedPlace:
    """The place of a connection that was handed over, which the supervisor counts."""

    __slots__ = ("_worker", "number", "pending")

    def __init__(self, worker: Worker, number: int) -> None:
        self._worker = worker
        self.number = number
        self.pending = True
        """It was not admitted yet."""

    async def admit(self, address: str, subject: str | None) -> RefusalCause | None:
        """Ask for admission, until `leave`; return the limit that stands against it, if one does."""
        cause = await self._worker.ask_for_admission(self.number, address, subject)
        if cause is None:
            self._settle()
        return cause

    def leave(self) -> None:
        """Say that the connection is over."""
        self._settle()
        self._worker.post_gone(self.number)

    def _settle(self) -> None:
        self._worker.pending -= self.pending
        self.pending = False


class HandedListener:
    """Takes over connections of one kind, as a listener accepts them."""

    def __init__(self, worker: Worker, sock: socket.socket, *, plain: bool) -> None:
        self._worker = worker
        self.socket = sock
        self.plain = plain
        """Whether its connections have no TLS."""
        self.exhausted = trio.Event()
        """No more will come."""

    def __repr__(self) -> str:
        return f"<HandedListener{', plain' if self.plain else ''}>"

    async def take(self) -> tuple[socket.socket, HandedPlace | None]:
        """Wait for a connection and take it, with its place. Raises `OSError` if there is no descriptor for it."""
        await trio.lowlevel.checkpoint()
        while True:
            try:
                handed = take_over(self.socket)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket)
            except LostConnection as error:
                self._worker.post_gone(error.number)
                raise
            else:
                if handed is not None:
                    # Those without a number stand in none of the limits.
                    return handed.sock, self._worker.place(handed.number) if handed.number else None
                self.exhausted.set()
                await trio.sleep_forever()

    async def aclose(self) -> None:
        """Take no more."""
        self.exhausted.set()
        self.socket.close()
        await trio.lowlevel.checkpoint()


class _Metrics(Protocol):
    def text(self) -> bytes: ...


class _Answer(Generic[T]):
    """What the supervisor answers, for all that wait for it."""

    def __init__(self) -> None:
        self._there = trio.Event()
        self._value: T | None = None

    def set(self, value: T) -> None:
        self._value = value
        self._there.set()

    async def wait(self) -> T:
        await self._there.wait()
        return cast("T", self._value)


class Worker:
    """This process, as its supervisor has started it."""

    def __init__(self, channel: Channel[ToChild], settings: Settings) -> None:
        self._channel = channel
        self.settings = settings
        self.stop = trio.Event()
        """The service is to stop."""
        self.listeners: list[HandedListener] = []
        self.metrics_listeners: list[HandedListener] = []
        for kind, descriptor in settings.connections.items():
            listener = HandedListener(self, socket.socket(fileno=descriptor), plain=kind == "plain")
            (self.metrics_listeners if kind == "metrics" else self.listeners).append(listener)
        self.manager = SupervisorAsManager(channel)
        self.pending = 0
        """Connections that were taken and not yet admitted."""
        self._admissions: dict[int, _Answer[RefusalCause | None]] = {}
        self._page: _Answer[bytes] | None = None
        self._reloads_in, self.reloads = trio.open_memory_channel[object](1)
        self._leaving = False
        self.last = False
        """The whole service ends."""
        self._metrics: _Metrics | None = None

    def __repr__(self) -> str:
        return f"<Worker {self.settings.name}{' leaving' if self._leaving else ''}, {self.pending} pending>"

    def attach(self, readiness: Readiness, metrics: _Metrics) -> Callable[[], Awaitable[bytes]]:
        """Take what the supervisor will ask for; return a function for the metrics of all processes."""
        self._metrics = metrics
        self.manager.readiness = readiness
        return self.whole_metrics

    async def whole_metrics(self) -> bytes:
        """Return the metrics of all processes of the service."""
        if self._page is None:
            self._page = _Answer()
            self._channel.post(PageWanted())
        return await self._page.wait()

    async def obey(self) -> None:
        """Do as the supervisor says; when it has gone, stop."""
        async with trio.open_nursery() as nursery:
            while (message := await self._channel.receive()) is not None:
                self._obey(message, nursery)
            if not self._leaving:
                _log.error("the supervisor has gone: this worker ends too")
                self.last = True
                nursery.start_soon(self._leave)

    async def say_alive(self) -> None:
        """Give signs of life until the service does: it may have to wait for the source."""
        while not self.manager.serving:
            self._channel.post(Beat(ready=False, status="starting"))
            await trio.sleep(WORKER_BEAT_SECONDS)

    async def leave(self) -> None:
        """End on a signal: the supervisor is told, and gives no more connections."""
        self._channel.post(Leaving())
        await self._leave()

    def place(self, number: int) -> HandedPlace:
        """Return the place of a connection that was just taken."""
        self.pending += 1
        return HandedPlace(self, number)

    def post_gone(self, number: int) -> None:
        """Say that a connection is over."""
        if number:
            self._channel.post(Gone(number))

    async def ask_for_admission(self, number: int, address: str, subject: str | None) -> RefusalCause | None:
        """Return the limit of all workers together that stands against a connection, if one does."""
        answer = self._admissions[number] = _Answer()
        try:
            self._channel.post(Admit(number, address, subject))
            return await answer.wait()
        finally:
            del self._admissions[number]

    def _obey(self, message: ToChild, nursery: trio.Nursery) -> None:
        match message:
            case Admitted():
                if message.number in self._admissions:
                    self._admissions[message.number].set(message.cause)
            case TextWanted():
                text = self._metrics.text() if self._metrics is not None else b""
                self._channel.post(Text(message.request, text))
            case Page():
                if self._page is not None:
                    self._page.set(message.text)
                    self._page = None
            case Reload():
                with contextlib.suppress(trio.WouldBlock):  # one that has not begun yet is enough
                    self._reloads_in.send_nowait(None)
            case Leave():
                self.last = message.last
                nursery.start_soon(self._leave)
            case _:
                pass

    async def _leave(self) -> None:
        """Stop, once all connections that were given to this worker are taken and admitted, or have had their time."""
        if self._leaving:
            return
        self._leaving = True
        with trio.move_on_after(LEAVE_SECONDS):
            for listener in (*self.listeners, *self.metrics_listeners):
                await listener.exhausted.wait()
            while self.pending > 0:  # noqa: ASYNC110  # a moment, seldom
                await trio.sleep(0.01)
        self.stop.set()


class SupervisorAsManager(ServiceManager):
    """The supervisor, which is told of the state of this process as a service manager would be."""

    watches_files = True

    def __init__(self, channel: Channel[ToChild]) -> None:
        super().__init__()
        self._channel = channel
        self.readiness: Readiness | None = None
        self.serving = False

    async def ready(self) -> None:
        """Say that certificates and keys were read anew."""
        self._channel.post(Reloaded())

    async def reloading(self) -> None:
        """Say nothing."""

    async def stopping(self, seconds: float) -> None:
        """Say nothing: it knows."""

    async def keep_reporting(self, take_turn: Callable[[], Awaitable[None]], status: Callable[[], str]) -> None:
        """Say that this process serves; then send signs of life, with its state, until cancelled."""
        self.serving = True
        self._channel.post(Serving())
        while True:
            await take_turn()
            ready = self.readiness is None or not self.readiness.missing()
            self._channel.post(Beat(ready, status()))
            await trio.sleep(WORKER_BEAT_SECONDS)
