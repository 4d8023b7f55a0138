"""tests/storm/seeded: a hundred storms hold all invariants, and a storm finds planted faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bounds import HANG_SECONDS
from tests.seeds import Violation, command
from tests.storm.seeded.faults import FAULTS, Finding
from tests.storm.seeded.run import PROGRAM, run

ROOT = Path(__file__).parents[2]
CHUNK = 25
FOUND_WITHIN = 200


@pytest.mark.parametrize(
    "start", [0, *(pytest.param(each, marks=pytest.mark.untraced) for each in range(CHUNK, 100, CHUNK))]
)
def test_whatever_dies_every_copy_is_the_market_of_its_cut(start: int) -> None:
    for seed in range(start, start + CHUNK):
        run(seed)


@pytest.mark.untraced
def test_a_seed_is_the_same_storm_in_every_process() -> None:
    done = subprocess.run(
        [sys.executable, *command(PROGRAM, 7).split()[1:-1]],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.stdout == run(7) + "\n"
    assert run(7) != run(8)


@pytest.mark.untraced
@pytest.mark.parametrize(("plant", "finding"), FAULTS.items(), ids=[plant.__name__ for plant in FAULTS])
def test_a_planted_fault_is_found(plant: Callable[[pytest.MonkeyPatch], None], finding: Finding) -> None:
    """The search begins at the seed that finds the fault, and goes on where a change has moved it to another one."""
    found: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for seed in range(finding.seed, finding.seed + FOUND_WITHIN):
            try:
                run(seed)
            except Violation as violation:
                found.append(str(violation))
                if finding.words in found[-1]:
                    break
    assert any(finding.words in text for text in found), found
