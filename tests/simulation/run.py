"""One run: a seed in, a digest or a violation out."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import structlog
import trio

from tests.seeds import Violation, silent
from tests.simulation.chance import drawn_from, ticking_clock
from tests.simulation.script import Script
from tests.simulation.world import GONE_SECONDS, World

PROGRAM = "tests.simulation"

_EXPECTED = frozenset({"feed failed", "client dropped: it does not answer", "client dropped: its socket took nothing"})
"""Warnings and errors that the script causes."""


_EXPECTED_STARTS = ("part of an update left out", "publication refused", "turned away")


def run(seed: int, note: Callable[[str], None] = silent) -> str:
    """Run one seed; return a digest of every byte on every link and of the final copies. Raises `Violation`.

    `note` is called with a line for each event.
    """
    with drawn_from(seed) as chance, structlog.testing.capture_logs() as logs:
        world = World(chance, note)
        try:
            trio.run(_play, world, clock=ticking_clock())
        except Exception as error:
            note("".join(traceback.format_exception(error)))
            raise Violation(PROGRAM, seed, repr(error)) from error
    for entry in logs:
        unusual = entry["log_level"] in {"warning", "error", "critical"} and entry["event"] not in _EXPECTED
        if unusual and not entry["event"].startswith(_EXPECTED_STARTS):
            world.violations.append(f"logged: {entry}")
    if world.violations:
        raise Violation(PROGRAM, seed, world.violations[0])
    return world.digest.hexdigest()


async def _play(world: World) -> None:
    async with trio.open_nursery() as serving:
        await serving.start(world.serve)
        async with trio.open_nursery() as using:
            script = Script(world, using, serving)
            script.begin()
            await script.play(world.chance.randint(20, 60))
            if not world.violations:
                await script.end_well()
            copies = [*(user.session.replica for user in world.users), *(each.replica for each in world.listeners)]
            for copy in copies:
                for holding in copy:
                    world.digest.update(repr((holding.definition, sorted(map(str, holding.values.items())))).encode())
            using.cancel_scope.cancel()
        if not world.violations:
            await trio.sleep(GONE_SECONDS)
            world.check_released()
        serving.cancel_scope.cancel()
