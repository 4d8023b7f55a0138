"""`python -m tests.fuzz [NAME...] [--minutes N]`: fuzz for long. Exit code 1 and the smallest case on a finding."""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
import warnings
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import Target
from tests.fuzz.targets import TARGETS

_ROUND = 400
"""Examples from one seed; the memory that Hypothesis needs for them is then released."""


class Progress:
    """Progress of a target on the terminal."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.cases = 0
        self._began = self._shown = time.monotonic()
        self._seconds = seconds

    @property
    def over(self) -> bool:
        return time.monotonic() - self._began >= self._seconds

    def count(self) -> None:
        self.cases += 1
        now = time.monotonic()
        if now - self._shown >= 0.5:
            self._shown = now
            print(f"\r{self}", end="", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.cases} cases in {time.monotonic() - self._began:.0f} s"


def hunt(target: Target, progress: Progress) -> bool:
    """Try cases until the time is over. Return False if one failed; it has been printed."""
    while not progress.over:
        first = random.getrandbits(64)

        @seed(first)
        @settings(
            max_examples=_ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.target, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(target.cases)
        def attempt(case: Any) -> None:  # noqa: ANN401  # a case of any target
            progress.count()
            target.check(case)

        try:
            attempt()
        except Exception:  # noqa: BLE001  # any failure is a finding
            print(f"\n{progress.name}: FOUND, from seed {first}", file=sys.stderr)
            traceback.print_exc(file=sys.stdout)
            return False
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Fuzz the parsers of input from outside. Ctrl-C ends the run. Exit code 1 on a finding.",
        epilog="\n".join(f"{name}: {target.about}" for name, target in TARGETS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)} (all of them)")
    parser.add_argument("--minutes", type=float, default=5, help="for each (5)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in TARGETS:
            parser.error(f"there is no {name!r}; there are {', '.join(TARGETS)}")
    warnings.simplefilter("error")
    clean = True
    for name in options.names or TARGETS:
        progress = Progress(name, options.minutes * 60)
        try:
            clean &= hunt(TARGETS[name], progress)
        except KeyboardInterrupt:
            print(f"\r{progress}, then interrupted", file=sys.stderr)
            break
        print(f"\r{progress}", file=sys.stderr)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
