"""`python -m benchmarks.bus.epoch`: a market begins anew under very many clients, all of which need a snapshot then.

`ticker serve --workers 2 --bus redis://` runs on one core, the clients on another. The Redis, which keeps nothing on
its disk, and the source are killed at the same moment: the next source begins another epoch. Clients are asked to
leave, and come back over a while; a price tells when it was published, so those that are through know how old it is.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bus.crowd import Crowd, summary
from benchmarks.bus.processes import children
from benchmarks.bus.roll import Engine, workers

BACK_SECONDS = 300.0
FEED = "benchmarks.bus.feed:Clock?rate=1"


def measure(folder: Path, clients: int, seconds: float) -> int:
    """Begin the market anew once; return the exit code."""
    (folder / "logs").mkdir()
    with ExitStack() as stack:
        engine = Engine(stack, folder, keeps=False)
        service = stack.enter_context(workers(folder, "--feed", FEED, "--bus", engine.url))
        crowd = Crowd(service.port, service.authority, clients)
        stack.callback(crowd.close)
        crowd.until(crowd.all_there, f"{clients} clients with data", BACK_SECONDS)
        crowd.rest(2)
        crowd.take()
        crowd.rest(seconds)
        print(f"prices usually: {summary(crowd.take())}", flush=True)
        crowd.happened.clear()
        crowd.returns.clear()
        began = time.monotonic()
        engine.kill()
        os.kill(children(service.pid)["source"], signal.SIGKILL)
        engine.start()
        crowd.until(lambda: crowd.happened["begun from nothing"] > 0, "a client in the new epoch", BACK_SECONDS)
        first = time.monotonic() - began
        crowd.until(lambda: crowd.happened["begun from nothing"] >= clients and crowd.all_there(), "all", BACK_SECONDS)
        last = time.monotonic() - began
        print(f"meanwhile: {summary(crowd.take())}")
        wrong = crowd.wrong()
    for text, count in sorted(crowd.happened.items()):
        print(f"{count:6} {text}")
    print(
        f"the first of {clients} clients had the new epoch after {first:.1f} s, the last one after {last:.1f} s",
        end="; ",
    )
    print(f"at most {max(crowd.returns.values())} in a second; wrong: {wrong}")
    return 1 if wrong else 0


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.epoch", description=__doc__)
    parser.add_argument("--clients", type=int, default=10_000, metavar="N", help="how many clients (10,000)")
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="how long before it (10)")
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        try:
            return measure(Path(folder), arguments.clients, arguments.seconds)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
