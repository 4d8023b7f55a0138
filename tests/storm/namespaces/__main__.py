"""`python -m tests.storm.namespaces --seconds 300 --clients 500`: a storm between hosts, with figures at each event."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import trio

from tests.storm.namespaces.network import NotPossible
from tests.storm.namespaces.storm import blow


async def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.namespaces", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long it lasts (300)")
    parser.add_argument("--clients", type=int, default=500, help="number of clients (500)")
    parser.add_argument("--seed", type=int, default=1, help="chooses what happens (1)")
    parser.add_argument("--folder", type=Path, help="for logs and data; a temporary one if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            storm = await blow(folder, clients=options.clients, seconds=options.seconds, seed=options.seed, note=_print)
        except NotPossible as error:
            print(f"no network namespaces can be made here: {error}", file=sys.stderr)
            return 2
    happened = ", ".join(f"{name}: {count}" for name, count in sorted(storm.events.items()))
    wrong = storm.counts()["mismatches"] + len(storm.wrong)
    print(f"{happened}; {storm.counts()['verified']} checksums were equal, {wrong} were not")
    return 1 if wrong else 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(trio.run(_main))
