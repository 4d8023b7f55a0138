"""`python -m benchmarks.bus.roll`: what the restart of a part of the service costs a thousand clients.

`ticker serve --workers 2` runs on one core, the clients on another. After a while without incidents SIGUSR2 replaces
the source and both workers (`--part workers`), or the Redis between them is killed and started again (`--part redis`).
A price tells when it was published, so each client knows how old it is.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bus.crowd import Crowd, Taken, summary
from benchmarks.bus.processes import children, kill, running, serve
from benchmarks.peers.on_redis import answers, is_ready, redis
from benchmarks.peers.on_redis import until as wait_until
from benchmarks.process import LOAD_CORE, SERVER_CORE, free_port
from ticker.net.devcert import development_certificate

LIMIT = 3.0
CROWD_SECONDS = 300.0
"""Time for all clients to come, and to come back: on a machine that does other things as well, too."""

ROLL_SECONDS = 120.0
REDIS_AWAY_SECONDS = 5.0
AFTER_SECONDS = 5.0
"""So long after the last client has come back ages count as those of the restart."""


class Service(NamedTuple):
    """A supervisor with its workers: its process, its port, and the authority to trust."""

    pid: int
    port: int
    authority: Path


@contextmanager
def workers(folder: Path, *flags: str) -> Iterator[Service]:
    """Two workers and their source, on a core of their own."""
    port = free_port()
    made = development_certificate(folder / "certificate")
    tls = ["--tls-cert", str(made.cert), "--tls-key", str(made.key)]
    os.sched_setaffinity(0, {SERVER_CORE})  # inherited
    with running(folder / "logs", serve("--listen", f"127.0.0.1:{port}", *tls, "--workers", "2", *flags)) as service:
        os.sched_setaffinity(0, {LOAD_CORE})
        wait_until(partial(is_ready, port))
        yield Service(service.pid, port, made.authority)


def measure(folder: Path, part: str, clients: int, rate: int, seconds: float) -> int:
    """Restart this part once; return the exit code."""
    (folder / "logs").mkdir()
    flags = ["--feed", f"benchmarks.bus.feed:Clock?rate={rate}"]
    with ExitStack() as stack:
        engine = Engine(stack, folder, keeps=True) if part == "redis" else None
        if engine is not None:
            flags += ["--bus", engine.url]
        service = stack.enter_context(workers(folder, *flags))
        crowd = Crowd(service.port, service.authority, clients)
        stack.callback(crowd.close)
        crowd.until(crowd.all_there, f"{clients} clients with data", CROWD_SECONDS)
        crowd.rest(2)
        crowd.take()
        crowd.rest(seconds)
        usual = crowd.take()
        crowd.happened.clear()
        if engine is not None:
            restart(engine, crowd)
        else:
            roll(service, crowd)
        crowd.until(crowd.all_there, "all clients there again", CROWD_SECONDS)
        crowd.rest(AFTER_SECONDS)
        meanwhile = crowd.take()
        wrong = crowd.wrong()
    return report(crowd, usual, meanwhile, wrong)


def roll(service: Service, crowd: Crowd) -> None:
    """Replace all processes of the service but the supervisor."""
    before = children(service.pid)
    began = time.monotonic()
    os.kill(service.pid, signal.SIGUSR2)
    crowd.until(lambda: _are_new(before, children(service.pid)), "new processes in place of all", ROLL_SECONDS)
    print(f"all processes replaced after {time.monotonic() - began:.1f} s")


class Engine:
    """A Redis."""

    def __init__(self, stack: ExitStack, folder: Path, *, keeps: bool) -> None:
        """`keeps`: all is on its disk, as operators are told to set it."""
        self._stack = stack
        self._logs = folder / "logs"
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self._command = redis(self._port, str(folder), keeps=keeps)
        self.start()
        wait_until(partial(answers, self._port))

    def start(self) -> None:
        """Start it, where it was before."""
        self._process = self._stack.enter_context(running(self._logs, self._command))

    def kill(self) -> None:
        """End it without a word."""
        kill(self._process)


def restart(engine: Engine, crowd: Crowd) -> None:
    """Kill the engine, and start it again after a while."""
    size, said = len(crowd.members), crowd.happened
    engine.kill()
    crowd.rest(REDIS_AWAY_SECONDS)
    print(f"Redis was away for {REDIS_AWAY_SECONDS:g} s: {said['source silent']} clients were told,", end=" ")
    print(f"{crowd.there} of {size} stayed connected, {crowd.with_prices()} kept their prices")
    began = time.monotonic()
    engine.start()
    crowd.until(lambda: said["source heard again"] >= size, "a source that all clients hear", CROWD_SECONDS)
    print(f"all heard the source {time.monotonic() - began:.1f} s after Redis was started")


def report(crowd: Crowd, usual: Taken, meanwhile: Taken, wrong: int) -> int:
    """Print what was found; return the exit code."""
    print(f"prices usually: {summary(usual)}")
    print(f"meanwhile: {summary(meanwhile)}")
    share = meanwhile.ages["p99"] / usual.ages["p99"]
    print(f"p99 {share:.1f} times the usual (below {LIMIT:g}: {'met' if share < LIMIT else 'missed'})")
    for text, count in sorted(crowd.happened.items()):
        print(f"{count:6} {text}")
    begun, reset = crowd.happened["begun from nothing"], crowd.happened["left: RESET"]
    print(f"snapshots: {begun}, reset: {reset}, wrong: {wrong}")
    return 1 if wrong or begun or reset else 0


def _are_new(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return now.keys() == before.keys() and not set(now.values()) & set(before.values())


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.roll", description=__doc__)
    parser.add_argument("--part", choices=("workers", "redis"), default="workers", help="restarted (workers)")
    parser.add_argument("--clients", type=int, default=1000, metavar="N", help="how many clients (1000)")
    parser.add_argument("--rate", type=int, default=4, metavar="N", help="prices a second (4)")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="how long before the restart (20)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            return measure(Path(folder), arguments.part, arguments.clients, arguments.rate, arguments.seconds)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
