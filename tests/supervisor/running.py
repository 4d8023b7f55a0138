"""The whole service as processes: `ticker serve --workers N`, with real clients over TLS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio
from prometheus_client.parser import text_string_to_metric_families

from tests.bounds import HANG_SECONDS
from tests.conftest import EndOfStream, Peer, Running, the_last
from tests.feeds_for_tests import Step
from tests.server.test_pages import Unanswered, ask

ROOT = Path(__file__).parents[2]
COUNTING = "tests.feeds_for_tests:Counting"


class Supervised(Running):
    """A service with several workers, and its clients."""

    def __init__(self, url: str, process: trio.Process, log: Path) -> None:
        script, _ = trio.open_memory_channel[Step](0)
        super().__init__(url, script, trio.Event(), trio.Event())
        self.process = process
        self.log = log
        self.authorization: tuple[str, ...] = ()
        """The line of a request with a token that may see metrics, if they need one."""

    def pids(self) -> dict[str, int]:
        """The processes that run now, by their names."""
        found = {}
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")  # a thread has those that it has started
        for pid in [int(pid) for listed in children for pid in listed.read_text().split()]:
            arguments = arguments_of(pid).split(b"\0")
            if b"--name" in arguments:
                found[arguments[arguments.index(b"--name") + 1].decode()] = pid
        return found

    async def refusal(self, request: bytes) -> bytes:
        """All of the answer to a request that does not come in; its connection is over then."""
        peer = await self.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(the_last(request))
            answer = await peer.rest()
        self.peers.remove(peer)
        await peer.close()
        return answer

    async def metrics(self) -> dict[tuple[str, str], float]:
        """The values of all metrics, by name and worker; of those with more labels, the sum."""
        found = defaultdict[tuple[str, str], float](float)
        for sample in await self.samples():
            key = sample[0], sample[1].get("worker", "")
            found[key] += sample[2]
        return found

    async def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """All samples, which have to be a page that can be read."""
        text = (await ask(self, "/metrics", *self.authorization)).body.decode()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    async def until(self, condition: Callable[[dict[tuple[str, str], float]], bool]) -> dict[tuple[str, str], float]:
        """The metrics, once they are so. A worker that was just killed may have been given a request for them."""
        while True:
            with suppress(Unanswered):
                if condition(metrics := await self.metrics()):
                    return metrics
            await trio.sleep(0.1)

    async def ready(self, workers: int = 2) -> None:
        """Wait until all workers have the market, and the supervisor knows: connections go to each."""
        wanted = [(name, str(n + 1)) for name in ("ticker_ready", "ticker_worker_preferred") for n in range(workers)]
        await self.until(lambda metrics: all(metrics[each] == 1 for each in wanted))

    async def until_logged(self, text: str, count: int = 1) -> None:
        """Wait until the log has a text so often."""
        while self.log.read_text().count(text) < count:
            await trio.sleep(0.05)

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        send = os.killpg if number is signal.SIGINT else os.kill
        send(self.process.pid, number)
        return await self.process.wait()


def arguments_of(pid: int) -> bytes:
    """What lists of processes show of one; nothing if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def environment_of(pid: int) -> bytes:
    """The same of its environment."""
    return Path(f"/proc/{pid}/environ").read_bytes()


async def ends(peer: Peer) -> bool:
    """Read until the connection ends; whether it was told so by a GOODBYE, and closed in order."""
    said = False
    try:
        while True:
            first_byte, payload = await peer.frame()
            if first_byte == 0x88:
                return said and int.from_bytes(payload[:2], "big") == 1001
            said = said or (first_byte == 0x82 and payload[1:2] == b"\x08")
    except EndOfStream:
        return False


@asynccontextmanager
async def supervised(
    folder: Path,
    *arguments: str,
    workers: int = 2,
    feed: str = COUNTING,
    listen: str = "127.0.0.1:0",
    toml: str = "",
    seconds: float = HANG_SECONDS,
) -> AsyncIterator[Supervised]:
    """A service that accepts connections; all of its processes have ended when the block is left."""
    log = folder / "log"
    (folder / "ticker.toml").write_text(f"[history]\nenabled = false\n{toml}")
    command = [sys.executable, "-m", "ticker", "serve", "--workers", str(workers), "--listen", listen]
    command += ["--config", str(folder / "ticker.toml"), *(["--feed", feed] if feed else []), *arguments]
    with log.open("wb") as stderr:
        process = await trio.lowlevel.open_process(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, process_group=0
        )
    assert process.stdout is not None
    service = None
    try:
        with trio.fail_after(seconds):
            line = b""
            while not line.endswith(b"\n"):
                more = await process.stdout.receive_some()
                assert more, log.read_text()
                line += more
            service = Supervised(line.decode().split()[1], process, log)
            yield service
    finally:
        with trio.CancelScope(shield=True):
            for peer in service.peers if service is not None else ():
                await peer.close()
            left = list(service.pids().values()) if service is not None and process.poll() is None else []
            if process.poll() is None:
                process.terminate()
                with trio.move_on_after(30):
                    await process.wait()
            if process.poll() is None:
                process.kill()
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
            await process.wait()
            await process.stdout.aclose()
