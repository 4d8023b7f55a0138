"""Servers of Redis or Valkey that belong to a test: a process, its port and its settings."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from tests.bounds import HANG_SECONDS
from tests.programs import REDIS, SENTINEL, Program, require
from ticker.bus.addresses import engine_for
from ticker.bus.engine import Engine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server; it can be stopped, killed and started again."""

    def __init__(
        self, folder: Path, *settings: str, program: Program = REDIS, tls: bool = False, config: Path | None = None
    ) -> None:
        self.port = free_port()
        self.log = folder / f"{self.port}.log"
        self.secure = tls
        self._folder = folder
        ports = ["--port", "0", "--tls-port"] if tls else ["--port"]
        file = [str(config)] if config is not None else ["--save", ""]
        self._command = [require(program), *file, *ports, str(self.port), "--bind", "127.0.0.1", *settings]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Server on port {self.port}>"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, "--dir", str(self._folder)], stdout=log, stderr=log)
        self.log.touch()

    async def ready(self) -> None:
        """Wait until it accepts connections."""
        while True:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                async with await trio.open_tcp_stream("127.0.0.1", self.port):
                    return
            await trio.sleep(0.02)

    async def loaded(self) -> None:
        """Wait until it accepts connections and has read its files."""
        await self.ready()
        while "loading:0" not in await self.run("INFO", "persistence"):
            await trio.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def run(self, *command: str) -> str:
        """Run a command of an operator, on a connection of its own; return the answer as it is on the wire."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(b"*%d\r\n" % len(command))
            for word in command:
                await stream.send_all(b"$%d\r\n%b\r\n" % (len(word), word.encode()))
            answer = bytes(await stream.receive_some(65_536))
        text = answer.decode(errors="replace")
        assert not text.startswith("-"), text
        return text

    def engine(self, user: str = "", options: str = "") -> Engine:
        """The engine; `user` is `USER:PASSWORD@`, `options` what stands behind the port."""
        return engine_for(f"{'rediss' if self.secure else 'redis'}://{user}{self.address}{options}")


@contextlib.contextmanager
def started(*servers: Server) -> Iterator[None]:
    """Start servers, and kill them at the end."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.kill()


class Watched(NamedTuple):
    """A primary, its replica, and a sentinel."""

    primary: Server
    replica: Server
    sentinel: Server

    def engine(self, service: str = "main", *others: str, user: str = "", options: str = "") -> Engine:
        """The engine; `user` is `USER:PASSWORD@`, `options` what stands at the end."""
        return engine_for(f"redis+sentinel://{user}{','.join([*others, self.sentinel.address])}/{service}{options}")

    async def replicated(self) -> None:
        """Wait until the replica has what the primary has, and the sentinel knows it."""
        while "master_link_status:up" not in await self.replica.run("INFO", "replication"):
            await trio.sleep(0.05)
        while "slaves=1" not in await self.sentinel.run("INFO", "sentinel"):
            await trio.sleep(0.05)


@asynccontextmanager
async def watched_servers(folder: Path) -> AsyncIterator[Watched]:
    """A primary, its replica, and a sentinel that replaces the one by the other."""
    primary = Server(folder)
    replica = Server(folder, "--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0")
    config = folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\nsentinel down-after-milliseconds main 2000\n"
        "sentinel failover-timeout main 3000\n"
    )
    sentinel = Server(folder, program=SENTINEL, config=config)
    with started(primary, replica, sentinel), trio.fail_after(HANG_SECONDS):
        for each in (primary, replica, sentinel):
            await each.ready()
        yield Watched(primary, replica, sentinel)
