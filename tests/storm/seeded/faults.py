"""Faults of a service on a bus, planted on purpose: each stands for something that broke in a prototype."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest
import trio

from tests.following_faults import leave_changed_at_out_of_keyframes
from tests.storm.seeded.world import World
from ticker.bus.engine import Connection, Position
from ticker.bus_bounds import FOLLOW_SECONDS, SILENT_READS
from ticker.core.session import ServerSession
from ticker.server.bus_entries import Beat, Cut
from ticker.server.follower import Follower
from ticker.server.leader import Leader


def keep_the_epoch_whatever_the_engine_has_lost(patch: pytest.MonkeyPatch) -> None:
    """Rule 4 is off: a source that takes over does not ask whether the engine has lived on."""
    continues, repair = Leader._continues, Leader._repair

    def continues_anyway(leader: Leader, follower: Follower, last: Position, run: str) -> bool:
        stamp = follower.stamp
        return continues(leader, follower, last, run if stamp is None else stamp.run)

    async def repair_anyway(leader: Leader, connection: Connection) -> None:
        leader.writer.stamp = leader.writer.stamp._replace(run=connection.run)
        await repair(leader, connection)

    patch.setattr(Leader, "_continues", continues_anyway)
    patch.setattr(Leader, "_repair", repair_anyway)


def leave_gaps_between_cuts(patch: pytest.MonkeyPatch) -> None:
    """An append is then no compare-and-swap: any greater number is accepted, whoever wrote before."""
    close, gaps = Leader._close, Random(1)  # noqa: S311  # it has to be reproducible

    def close_later(leader: Leader) -> bool:
        leader.cache.cut += gaps.randrange(3)
        return close(leader)

    patch.setattr(Leader, "_close", close_later)


def tell_silence_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    """One that stands by takes a pause of its own for a silence of the other."""

    note_read, scopes = Follower._note_read, dict[Follower, trio.CancelScope]()

    def patience() -> float:
        return trio.current_time() + FOLLOW_SECONDS * SILENT_READS

    def heard_or_not(follower: Follower, *, heard: bool) -> None:
        note_read(follower, heard=heard)
        if heard and follower in scopes:
            scopes[follower].deadline = patience()

    async def stand_by(leader: Leader, connection: Connection) -> Position:
        with trio.CancelScope(deadline=patience()) as scopes[leader._follower]:
            await leader._follower.follow(connection)
        return await connection.last()

    patch.setattr(Follower, "_note_read", heard_or_not)
    patch.setattr(Leader, "_stand_by", stand_by)


def leave_repair_out(patch: pytest.MonkeyPatch) -> None:
    """Rule 5 is off: a source does not write again what the engine has lost."""

    async def without_repair(leader: Leader, connection: Connection) -> None:
        leader.writer.stamp = leader.writer.stamp._replace(run=connection.run)

    patch.setattr(Leader, "_repair", without_repair)


def accept_gaps(patch: pytest.MonkeyPatch) -> None:
    """A follower takes what comes next, as Redis gives it where entries were trimmed."""
    take = Follower._take

    async def take_anyway(follower: Follower, entry: Cut | Beat, at: int) -> None:
        if isinstance(entry, Cut) and entry.cut > follower._cut:
            entry = entry._replace(since=follower._cut)
        await take(follower, entry, min(at, follower._cut))

    patch.setattr(Follower, "_take", take_anyway)


def overlook_terms(patch: pytest.MonkeyPatch) -> None:
    """What a source wrote that was replaced counts as well; and such sources come back first."""
    take = Follower._take

    async def take_of_any(follower: Follower, entry: Cut | Beat, at: int) -> None:
        if follower.stamp is not None and follower.stamp.epoch == entry.stamp.epoch:
            follower.stamp = follower.stamp._replace(term=min(follower.stamp.term, entry.stamp.term))
        await take(follower, entry, at)

    patch.setattr(Follower, "_take", take_of_any)
    patch.setattr(World, "kill_replaced_sources", lambda _world: None)


def refuse_clients_that_are_ahead(patch: pytest.MonkeyPatch) -> None:
    """Rule 7 is off: an edge that is behind a client says so at once."""
    steps = ServerSession.steps

    def at_once(session: ServerSession, payload: bytes | str, now: int, *, last_try: bool = True) -> object:  # noqa: ARG001
        return steps(session, payload, now)

    patch.setattr(ServerSession, "steps", at_once)


class Finding(NamedTuple):
    """What a storm says of a fault."""

    words: str
    """Some of them."""
    seed: int
    """The first storm that says so, at present."""


FAULTS: dict[Callable[[pytest.MonkeyPatch], None], Finding] = {
    keep_the_epoch_whatever_the_engine_has_lost: Finding("should be", 11),
    leave_gaps_between_cuts: Finding("behind cut", 0),
    tell_silence_by_the_clock: Finding("is replaced, although", 17),
    leave_changed_at_out_of_keyframes: Finding("should be", 0),
    leave_repair_out: Finding("behind cut", 0),
    accept_gaps: Finding("should be", 46),
    overlook_terms: Finding("behind term", 84),
    refuse_clients_that_are_ahead: Finding("ERROR", 0),
}
