"""Node for tests: the JavaScript client in a process of its own. Without Node, tests of it are skipped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.programs import NODE, require
from ticker.net.devcert import AUTHORITY_FILE, data_folder

SCRIPTS = Path(__file__).parent / "js"


def node() -> str:
    """The path of Node."""
    return require(NODE)


def environment() -> dict[str, str]:
    """What Node needs to trust the development certificate of this session."""
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
        assert line, "the JavaScript client raised what is not its own error; it stands above"
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


class Program:
    """A client that does what it is told (`client.mjs`), and tells all that happens to it."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._unread = b""
        self._asked = 0
        self.told: list[dict[str, Any]] = []
        """All that it has told."""
        self._seen = 0
        """How much of that has been looked at."""

    async def tell(self, do: str, **given: object) -> Any:  # noqa: ANN401  # JSON
        """Have it do something; what came of that."""
        self._asked += 1
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps({"id": self._asked, "do": do, **given}).encode() + b"\n")
        while self.told[-1:] == [] or self.told[-1].get("answers") != self._asked:
            await self._read()
        answer = self.told[-1]
        assert "failed" not in answer, answer
        return answer.get("value")

    async def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first thing it tells that is wanted, behind what was found the last time."""
        while True:
            while self._seen < len(self.told):
                self._seen += 1
                if wanted(self.told[self._seen - 1]):
                    return self.told[self._seen - 1]
            await self._read()

    async def until_state(self, state: str) -> dict[str, Any]:
        """What it tells when it comes into a state."""
        return await self.until(lambda told: told.get("state") == state)

    async def change(self, to: str) -> dict[str, Any]:
        """The changes that this subscription brings next."""
        changes: dict[str, Any] = (await self.until(lambda told: told.get("subscription") == to))["changes"]
        return changes

    async def until_value(self, symbol: str, field: str, value: str) -> None:
        """Wait until a subscription brings this."""
        await self.until(lambda told: told.get("changes", {}).get(symbol, {}).get(field) == value)

    def states(self) -> list[tuple[str, bool | None]]:
        """Its states so far, each with whether the copy was resumed."""
        return [(told["state"], told.get("resumed")) for told in self.told if "state" in told]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            more = await self._process.stdout.receive_some(65_536)
            assert more, f"the client ended; it had told {self.told}"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        self.told.append(json.loads(line))


@asynccontextmanager
async def program(url: str, **options: object) -> AsyncIterator[Program]:
    """A client of the service at `url`, in a Node that has a WebSocket."""
    command = [node(), "--experimental-websocket", str(SCRIPTS / "client.mjs"), url, json.dumps(options)]
    run = partial(
        trio.run_process,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        check=False,
        env=environment(),
    )
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(run)
        try:
            yield Program(process)
        finally:
            process.kill()
