"""A process of the service as the supervisor sees it: started by exec, with sockets to it, until it has ended."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping

import structlog
import trio

from ticker.bus_bounds import WORKER_LATE_SECONDS, WORKER_SILENT_SECONDS, WORKER_START_SECONDS
from ticker.supervisor.channel import Channel, hand_over, socket_pair
from ticker.supervisor.messages import (
    FROM_CHILD,
    Beat,
    FromChild,
    Kind,
    Leave,
    Leaving,
    Reloaded,
    Serving,
    Settings,
    ToChild,
    Unusable,
)

_CHECK_SECONDS = 1.0
"""Time between two looks at whether it lives."""

_ABORT_SECONDS = 5.0
"""Time for a process that is aborted to write where it was; then it is killed."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.supervisor.child")


class Child:
    """One process. Events are set as it tells, and all of them at its end."""

    def __init__(self, name: str, settings: Callable[[Mapping[Kind, int]], Settings]) -> None:
        """`settings` makes those of this process, with the descriptors of its sockets."""
        self.name = name
        self._settings = settings
        self._process: trio.Process | None = None
        self._channel: Channel[FromChild] | None = None
        self._sockets: dict[Kind, socket.socket] = {}
        self.serving = trio.Event()
        self.reloaded = trio.Event()
        self.ended = trio.Event()
        self.became_ready = trio.Event()
        """Its /readyz was 200 once."""
        self.leaving = False
        """It gets no more connections."""
        self.unusable: str | None = None
        """Why it cannot use its configuration, if it has said so."""
        self.exit_code: int | None = None
        self.served = False
        """It did serve."""
        self.ready = False
        self.status = ""
        self.handed_over = 0
        self.connections: set[int] = set()
        """Numbers of the connections that it has."""
        self.beat_at = 0.0
        """When it last gave a sign of life."""

    def __repr__(self) -> str:
        state = "ended" if self.ended.is_set() else "leaving" if self.leaving else "there"
        return f"<Child {self.name} ({self.pid}), {state}, {len(self.connections)} connections>"

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return self._process.pid if self._process is not None else None

    @property
    def takes_connections(self) -> bool:
        """Whether connections may be handed to it."""
        return self.serving.is_set() and not self.leaving and not self.ended.is_set()

    @property
    def late(self) -> bool:
        """Whether a sign of life is overdue: it is paused, or has far too much to do."""
        return trio.current_time() - self.beat_at > WORKER_LATE_SECONDS

    @property
    def preferred(self) -> bool:
        """Whether it gets connections before those that are late, or not ready."""
        return self.takes_connections and self.ready and not self.late

    async def run(self, kinds: tuple[Kind, ...], handle: Callable[[Child, FromChild], None]) -> None:
        """Start the process, pass on its messages, and return when it has ended. Raises `OSError` if it cannot."""
        try:
            with contextlib.ExitStack() as stack:
                await self._run(kinds, handle, stack)
        finally:
            self.leaving, self.ready = True, False
            for event in (self.serving, self.became_ready, self.reloaded, self.ended):
                event.set()

    async def _run(
        self, kinds: tuple[Kind, ...], handle: Callable[[Child, FromChild], None], stack: contextlib.ExitStack
    ) -> None:
        with contextlib.ExitStack() as theirs:

            def pair() -> tuple[socket.socket, socket.socket]:
                ours, others = socket_pair()
                return stack.enter_context(ours), theirs.enter_context(others)

            sock, other = pair()
            given: dict[Kind, int] = {}
            for kind in kinds:
                self._sockets[kind], end = pair()
                given[kind] = end.fileno()
            channel = Channel(sock, FROM_CHILD)
            channel.post(self._settings(given))
            self._channel = channel
            self._process = await _start(self.name, other.fileno(), list(given.values()))
        self.beat_at = trio.current_time()
        await self._live(self._process, channel, handle)

    def post(self, message: ToChild) -> None:
        """Send it a message."""
        if self._channel is not None:
            self._channel.post(message)

    def give(self, kind: Kind, number: int, descriptor: int) -> bool:
        """Hand a connection over; False if the process cannot take it now."""
        try:
            taken = hand_over(self._sockets[kind], number, descriptor)
        except OSError:  # it has gone, which `run` is about to notice
            self.leaving = True
            return False
        self.handed_over += taken
        return taken

    def leave(self, *, last: bool = False) -> None:
        """Have its clients leave, and then itself. It gets no more connections. `last` is the end of the service."""
        self.stop_giving()
        self.post(Leave(last))

    def stop_giving(self) -> None:
        """Have it know that it has got all its connections."""
        if not self.leaving:
            self.leaving = True
            for each in self._sockets.values():
                each.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    async def _live(
        self, process: trio.Process, channel: Channel[FromChild], handle: Callable[[Child, FromChild], None]
    ) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(channel.run_sender)
                nursery.start_soon(self._watch, process, channel)
                nursery.start_soon(self._receive, channel, handle)
                self.exit_code = await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            if self.exit_code is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    self.exit_code = await process.wait()

    async def _receive(self, channel: Channel[FromChild], handle: Callable[[Child, FromChild], None]) -> None:
        while (message := await channel.receive()) is not None:
            self._note(message)
            handle(self, message)

    def _note(self, message: FromChild) -> None:
        match message:
            case Serving():
                self.served = True
                self.serving.set()
            case Beat():
                self.beat_at = trio.current_time()
                self.ready, self.status = message.ready, message.status
                if self.ready:
                    self.became_ready.set()
            case Reloaded():
                self.reloaded.set()
            case Leaving():
                self.leave()
            case Unusable():
                self.unusable = message.text
            case _:
                pass

    async def _watch(self, process: trio.Process, channel: Channel[FromChild]) -> None:
        """End a process that does not start, gives no sign of life, or does not take its messages."""
        while True:
            await trio.sleep(_CHECK_SECONDS)
            silent = trio.current_time() - self.beat_at
            if channel.broken:
                _log.error("a worker does not read what it is told; it is killed", worker=self.name, pid=process.pid)
                process.kill()
            elif not self.serving.is_set() and silent > WORKER_START_SECONDS:
                _log.error("a worker did not start in time; it is killed", worker=self.name, pid=process.pid)
                process.kill()
            elif self.serving.is_set() and not self.leaving and silent > WORKER_SILENT_SECONDS:
                _log.error("a worker gives no sign of life; it is aborted", worker=self.name, pid=process.pid)
                process.send_signal(signal.SIGABRT)  # its log then says where it was
                await trio.sleep(_ABORT_SECONDS)
                process.kill()


async def _start(name: str, channel: int, descriptors: list[int]) -> trio.Process:
    """Start a process that serves. No secret stands in its arguments: its settings are the first message."""
    path = "-I" if sys.flags.isolated else "-P"  # no module of the current directory stands in for one of ours
    command = [sys.executable, path, "-m", "ticker", "worker", "--name", name, "--channel", str(channel)]
    return await trio.lowlevel.open_process(
        command,
        stdin=None if name == "source" else subprocess.DEVNULL,  # a feed may read lines from it
        pass_fds=[channel, *descriptors],
        process_group=0,  # Ctrl-C is for the supervisor, which has them end in order
    )
