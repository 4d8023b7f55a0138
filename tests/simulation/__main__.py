"""`python -m tests.simulation --seeds 10000`: many runs, and the seeds of those with a violation."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import run, silent
from tests.simulation.world import Violation

_CHUNK = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs (1000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="only this one; prints the digest of the run")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: print every event")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(options.seed, verbose=options.verbose)
    return _many(range(options.start, options.start + options.seeds), options.jobs)


def _one(seed: int, *, verbose: bool) -> int:
    try:
        print(run(seed, print if verbose else silent))
    except Violation as violation:
        print(violation)
        return 1
    return 0


def _many(seeds: range, jobs: int) -> int:
    began, done, failed = time.monotonic(), 0, 0
    for chunk, violations in _results(seeds, jobs):
        done += len(chunk)
        for violation in violations:
            failed += 1
            print(violation, flush=True)
        print(f"{done} of {len(seeds)} runs, {failed} violations", end="\r", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(f"{done} runs from seed {seeds.start}, {failed} with a violation, in {seconds:.0f} s")
    return 1 if failed else 0


def _results(seeds: range, jobs: int) -> Iterator[tuple[range, list[str]]]:
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    if jobs == 1:
        yield from map(run_chunk, chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run_chunk, chunks)


def run_chunk(seeds: range) -> tuple[range, list[str]]:
    """Run these seeds; return the violations."""
    failed = []
    for seed in seeds:
        try:
            run(seed)
        except Violation as violation:
            failed.append(str(violation))
    return seeds, failed


if __name__ == "__main__":
    sys.exit(main())
