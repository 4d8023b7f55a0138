"""`python -m benchmarks.bus.failover`: how long prices stand still when the source dies and another one stands by.

A Redis, two sources and an edge run on this machine. The source that leads is killed with SIGKILL; the time runs until
a client of the edge has the first price that was published after it. Then the dead one is started again, and stands by.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import trio

import ticker
from benchmarks.bus.processes import kill, running, serve, until
from benchmarks.peers.on_redis import answers, is_ready, redis
from benchmarks.process import free_port
from ticker.client.client import Client
from ticker.client.events import Connected, Mismatch
from ticker.net.devcert import development_certificate

LIMIT_SECONDS = 2.5
GIVEN_UP_SECONDS = 30.0


class Watch:
    """A client of the edge."""

    def __init__(self, url: str, ca: Path) -> None:
        self._url, self._ca = url, ca
        self.published = 0
        """When the latest price that it has was published, in microseconds since 1970 UTC."""
        self.client: Client | None = None
        self.events: list[object] = []

    async def run(self) -> None:
        """Follow the time."""
        async with ticker.connect(self._url, ca=self._ca, on_event=self.events.append) as client:
            self.client = client
            async for change in client.subscribe("TIME"):
                self.published = int(change.changes.get("TIME", {}).get("last") or self.published)

    async def first_after(self, moment: int) -> float:
        """Return how many seconds after this moment there is the first price that was published later."""
        with trio.move_on_after(GIVEN_UP_SECONDS):
            while self.published <= moment:  # noqa: ASYNC110  # the client tells nobody else
                await trio.sleep(0.001)
        return (time.time_ns() // 1000 - moment) / 1e6


async def measure(folder: Path, times: int) -> int:
    """Kill the leader so often; return the exit code."""
    engine, edge = free_port(), free_port()
    bus = ["--bus", f"redis://127.0.0.1:{engine}"]
    made = development_certificate(folder / "certificate")
    tls = ["--tls-cert", str(made.cert), "--tls-key", str(made.key)]
    feed = ["--feed", "benchmarks.bus.feed:Clock"]
    ports = [free_port(), free_port()]
    sources: list[subprocess.Popen[bytes]] = []
    logs = folder / "logs"
    logs.mkdir()
    found = []
    with ExitStack() as stack:
        stack.enter_context(running(logs, redis(engine, str(folder))))
        await until(partial(answers, engine), "an answer of Redis")
        for port in ports:
            command = serve("--listen", f"127.0.0.1:{port}", *feed, *bus, *tls)
            sources.append(stack.enter_context(running(logs, command)))
            await until(partial(answers, port), "a source that listens")
        stack.enter_context(running(logs, serve("--listen", f"127.0.0.1:{edge}", *bus, *tls)))
        await until(partial(is_ready, edge), "an edge with data")
        watch = Watch(f"wss://127.0.0.1:{edge}", made.authority)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            for number in range(times):
                await until(lambda: watch.published > 0, "a price")
                await until(lambda: any(map(is_ready, ports)), "a source that leads")
                leader = next(index for index, port in enumerate(ports) if is_ready(port))
                await trio.sleep(3 + number % 7 * 0.1)  # the other one follows
                moment = time.time_ns() // 1000
                kill(sources[leader])
                found.append(await watch.first_after(moment))
                print(f"{number + 1} of {times}: {found[-1]:.2f} s", flush=True)
                command = serve("--listen", f"127.0.0.1:{ports[leader]}", *feed, *bus, *tls)
                sources[leader] = stack.enter_context(running(logs, command))
                await until(partial(answers, ports[leader]), "a source that stands by")
            assert watch.client is not None
            right = await watch.client.verify()
            nursery.cancel_scope.cancel()
    begun = sum(isinstance(event, Connected) and not event.resumed for event in watch.events)
    wrong = sum(isinstance(event, Mismatch) for event in watch.events) + (not right)
    median, most = statistics.median(found), max(found)
    met = "met" if most < LIMIT_SECONDS else "missed"
    print(
        f"{times} failovers: median {median:.2f} s, at most {most:.2f} s (below {LIMIT_SECONDS:g} s: {met});"
        f" copies begun from nothing: {begun} (the first one), wrong: {wrong}"
    )
    return 1 if wrong or begun != 1 else 0


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.failover", description=__doc__)
    parser.add_argument("--times", type=int, default=10, metavar="N", help="how often the leader is killed (10)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            return trio.run(measure, Path(folder), arguments.times)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
