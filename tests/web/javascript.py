"""Node for tests: the JavaScript client in a process of its own, and the TypeScript compiler."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import trio
from trio.lowlevel import FdStream

from tests.programs import NODE, NPM, missing, require
from ticker.net.devcert import AUTHORITY_FILE, data_folder

SCRIPTS = Path(__file__).parent / "js"


ROOT = Path(__file__).parents[2]
WEB = ROOT / "ticker" / "web"
OLDEST_NODE = 20
TYPESCRIPT = "7.0.2"
REACT_TYPES = "19.3.0"
NPM_SECONDS = 120


@cache
def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def node() -> str:
    """Return the path of Node; skip the test without Node 20 or newer."""
    path = require(NODE)
    number = re.match(r"v(\d+)", _version(path))
    if number is None or int(number[1]) < OLDEST_NODE:
        version = _version(path) or "of an unknown version"
        missing(f"{path} is Node {version}: install Node {OLDEST_NODE} or newer, or set {NODE.variable} to its path")
    return path


def typescript() -> list[str]:
    """Command of the TypeScript compiler, which npm installs on first use. Without npm, the test is skipped."""
    return [node(), str(package_file("typescript", TYPESCRIPT, "bin/tsc"))]


def react_types() -> Path:
    """The folder `node_modules` with the types of React."""
    return packages(f"@types/react@{REACT_TYPES}")


def package_file(package: str, version: str, path: str) -> Path:
    """The file of a package, which npm installs on first use. Without npm, the test is skipped."""
    return packages(f"{package}@{version}") / package / path


def packages(*wanted: str) -> Path:
    """The folder `node_modules` with these packages (`NAME@VERSION`), which npm installs together on first use."""
    folder = ROOT / ".venv" / "node" / "+".join(each.replace("/", "-") for each in wanted)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            npm_install(folder, *wanted)
            (folder / "installed").touch()
    return folder / "node_modules"


def npm_install(folder: Path, *wanted: str) -> None:
    """Install packages into a folder; what cannot be had there skips the test."""
    install = [require(NPM), "install", "--prefix", str(folder), "--no-save", "--no-audit", "--no-fund", *wanted]
    try:
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired:
        missing(f"npm took more than {NPM_SECONDS} s to install {' '.join(wanted)}: try again online")
    if done.returncode != 0:
        missing(f"npm could not install {' '.join(wanted)}: {done.stderr.strip()[-200:]}")


def environment() -> dict[str, str]:
    """An environment in which Node trusts the development certificate of this session."""
    return {**os.environ, "NODE_EXTRA_CA_CERTS": str(data_folder() / AUTHORITY_FILE), "NODE_NO_WARNINGS": "1"}


class Batch:
    """Tasks for `batch.mjs`, answered one after the other by one process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, task: str, given: object) -> Any:  # noqa: ANN401  # JSON
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the JavaScript client raised an error that is not its own; it stands above"
        return json.loads(line)


@contextmanager
def batch() -> Iterator[Batch]:
    command = [node(), str(SCRIPTS / "batch.mjs")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            yield Batch(process)
        finally:
            process.kill()


class Host:
    """One Node process (`client.mjs`) with the clients of many tests, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [node(), "--experimental-websocket", str(SCRIPTS / "client.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        atexit.register(self.stop)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self._unread = b""
        self._clients = 0

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    @asynccontextmanager
    async def client(self, url: str | list[str], options: dict[str, Any]) -> AsyncIterator[Program]:
        """A client of the service at `url`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._clients += 1
        async with (
            FdStream(os.dup(self._process.stdin.fileno())) as commands,
            FdStream(os.dup(self._process.stdout.fileno())) as events,
        ):
            program = Program(self._clients, commands, partial(self._line, events))
            await program.tell("connect", url=url, options=options)
            try:
                yield program
            finally:
                with trio.CancelScope(shield=True):
                    await program.order("leave")

    async def _line(self, events: FdStream) -> dict[str, Any]:
        while b"\n" not in self._unread:
            more = await events.receive_some(65_536)
            assert more, "Node ended; its error stands above"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told


_hosts: list[Host] = []


def host() -> Host:
    """Return the Node process, which is started if it does not run."""
    if not _hosts or not _hosts[-1].running:
        _hosts.append(Host())
    return _hosts[-1]


@asynccontextmanager
async def program(url: str | list[str], **options: object) -> AsyncIterator[Program]:
    """A client of the service at `url`, in a Node that has a WebSocket."""
    async with host().client(url, options) as started:
        yield started


class Program:
    """A client in Node that follows orders, and tells its events."""

    def __init__(
        self, number: int, commands: trio.abc.SendStream, line: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        self._number = number
        self._commands = commands
        self._line = line
        self._asked = 0
        self._seen = 0
        self.told: list[dict[str, Any]] = []
        """All events and answers so far."""

    async def order(self, do: str, **given: object) -> None:
        """Send an order without waiting for its answer."""
        self._asked += 1
        order = {"client": self._number, "id": self._asked, "do": do, **given}
        await self._commands.send_all(json.dumps(order).encode() + b"\n")

    async def tell(self, do: str, **given: object) -> Any:  # noqa: ANN401  # JSON
        """Send an order, and return its answer."""
        await self.order(do, **given)
        while self.told[-1:] == [] or self.told[-1].get("answers") != self._asked:
            await self._read()
        answer = self.told[-1]
        assert "failed" not in answer, answer
        return answer.get("value")

    async def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next wanted event, after the one that was found the last time."""
        while True:
            while self._seen < len(self.told):
                self._seen += 1
                if wanted(self.told[self._seen - 1]):
                    return self.told[self._seen - 1]
            await self._read()

    async def until_state(self, state: str) -> dict[str, Any]:
        """The event of a state."""
        return await self.until(lambda told: told.get("state") == state)

    async def change(self, to: str) -> dict[str, Any]:
        """The next changes of this subscription."""
        changes: dict[str, Any] = (await self.until(lambda told: told.get("subscription") == to))["changes"]
        return changes

    async def until_value(self, symbol: str, field: str, value: str) -> None:
        """Wait until a subscription brings this value."""
        await self.until(lambda told: told.get("changes", {}).get(symbol, {}).get(field) == value)

    def states(self) -> list[tuple[str, bool | None]]:
        """The states so far, each with whether the copy was resumed."""
        return [(told["state"], told.get("resumed")) for told in self.told if "state" in told]

    async def _read(self) -> None:
        told = await self._line()
        if told.pop("client") == self._number:
            self.told.append(told)
