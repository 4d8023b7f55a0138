"""One run: a seed in, a digest or a violation out."""

from __future__ import annotations

import gc
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

import pytest
import structlog
import trio
from trio.testing import MockClock

from tests.seeds import Violation, silent
from tests.simulation.chance import drawn_from
from tests.storm.seeded.script import Script
from tests.storm.seeded.world import World
from ticker.server.bus_entries import Cut
from ticker.server.follower import Follower
from ticker.server.leader import Leader

PROGRAM = "tests.storm"

_LOOK = 1e-7
_BEGINNING = 1_700_000_000_000_000_000
_KEYFRAME_SECONDS = 3.0
_KEYFRAME_PIECE_BYTES = 300
"""A keyframe has several parts, and cuts go on between them."""


class Outcome(NamedTuple):
    """The end of a run without a violation."""

    digest: str
    counts: Counter[str]


def run(seed: int, note: Callable[[str], None] = silent) -> str:
    """Run one seed; return a digest of all that clients heard, and counts. Raises `Violation`.

    `note` is called with a line for each event.
    """
    with drawn_from(seed) as chance, structlog.testing.capture_logs(), _without_collections():
        world = World(chance, note)
        try:
            with _in_this_world(world):
                trio.run(_play, world, chance, clock=_clock())
        except Exception as error:
            note("".join(traceback.format_exception(error)))
            raise Violation(PROGRAM, seed, repr(error)) from error
    if world.violations:
        raise Violation(PROGRAM, seed, world.violations[0])
    return f"{world.digest.hexdigest()} {dict(sorted(world.counts.items()))}"


def _time(skews: Random) -> int:
    """The clocks of two hosts are never quite the same."""
    return _BEGINNING + int(trio.current_time() * 1e9) + skews.randrange(1_000_000)


def _clock() -> MockClock:
    """Simulated time, which jumps when all tasks wait, and advances a little at each reading (`ticking_clock`)."""
    clock = MockClock(autojump_threshold=0)

    def look() -> float:
        clock._virtual_base += _LOOK
        return clock._virtual_base

    clock.current_time = look  # type: ignore[method-assign]  # reading the clock would be a tenth of a run
    return clock


@contextmanager
def _without_collections() -> Iterator[None]:
    """Garbage is collected after the run: it was a quarter of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _in_this_world(world: World) -> Iterator[None]:
    """The clocks are that of the run, nearly, keyframes are small and often, and cuts are noted as they are closed."""
    note_closed, skews = Leader._note_closed, Random(f"clocks {world.chance.random()}")  # noqa: S311  # reproducible

    def closed(leader: Leader, since: int) -> None:
        note_closed(leader, since)
        world.note_closed(leader)

    apply = Follower.apply

    def applied(follower: Follower, cut: Cut) -> None:
        world.note_applied(follower, cut.stamp)
        apply(follower, cut)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Follower, "apply", applied)
        patch.setattr(time, "time_ns", lambda: _time(skews))
        patch.setattr(Leader, "_note_closed", closed)
        patch.setattr("ticker.server.cut_writer.KEYFRAME_SECONDS", _KEYFRAME_SECONDS)
        patch.setattr("ticker.server.cut_writer.KEYFRAME_PIECE_BYTES", _KEYFRAME_PIECE_BYTES)
        yield


async def _play(world: World, chance: Random) -> None:
    async with trio.open_nursery() as nursery:
        world.begin(nursery)
        script = Script(world)
        await script.play(chance.randint(20, 60))
        if not world.violations:
            await script.end_well()
        if not world.violations:
            for user in world.users:
                user.leave()
            await trio.sleep(0.1)
            world.check_released()
        nursery.cancel_scope.cancel()
