"""Runs by their seeds, for tests that simulate: one is repeated with every event, many are searched for violations."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Protocol

_CHUNK = 50


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, program: str, seed: int, problem: str) -> None:
        super().__init__(f"seed {seed}: {problem}; again, with every event: {command(program, seed)}")


class Run(Protocol):
    """One run of a seed."""

    def __call__(self, seed: int, note: Callable[[str], None] = ...) -> str:
        """Return a digest of it; `note` is called with a line for each event. Raises `Violation`."""
        ...


def silent(_line: str) -> None:
    """Drop a line of the log."""


def command(program: str, seed: int) -> str:
    """Return the command that repeats a run."""
    return f"python -m {program} --seed {seed} -v"


def main(program: str, description: str | None, run: Run) -> int:
    """Run seeds as the command line has it; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs (1000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="only this one; prints the digest of the run")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: print every event")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(run, options.seed, verbose=options.verbose)
    return _many(run, range(options.start, options.start + options.seeds), options.jobs)


def _one(run: Run, seed: int, *, verbose: bool) -> int:
    try:
        print(run(seed, print if verbose else silent))
    except Violation as violation:
        print(violation)
        return 1
    return 0


def _many(run: Run, seeds: range, jobs: int) -> int:
    began, done, failed = time.monotonic(), 0, 0
    for chunk, violations in _results(run, seeds, jobs):
        done += len(chunk)
        for violation in violations:
            failed += 1
            print(violation, flush=True)
        print(f"{done} of {len(seeds)} runs, {failed} violations", end="\r", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(f"{done} runs from seed {seeds.start}, {failed} with a violation, in {seconds:.0f} s")
    return 1 if failed else 0


def _results(run: Run, seeds: range, jobs: int) -> Iterator[tuple[range, list[str]]]:
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    if jobs == 1:
        yield from map(partial(run_chunk, run), chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(run_chunk, run), chunks)


def run_chunk(run: Run, seeds: range) -> tuple[range, list[str]]:
    """Run these seeds; return the violations."""
    failed = []
    for seed in seeds:
        try:
            run(seed)
        except Violation as violation:
            failed.append(str(violation))
    return seeds, failed
