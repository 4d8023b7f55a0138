"""What the engine loses, and what copies need to go on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.storm.memory import Bus, Copy, Source, until
from tests.storm.test_election import follows, leading, stamp, standing_by
from tests.support import update
from ticker.bus.engine import MOST_READ, Position
from ticker.bus_bounds import BUS_BEAT_SECONDS, FOLLOW_SECONDS, KEYFRAME_SECONDS, SILENT_READS
from ticker.core.following import digest
from ticker.market import Field, Instrument


@pytest.mark.parametrize("lost", [1, 5, None])
async def test_a_source_writes_again_what_the_engine_has_lost(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    lost: int | None,
) -> None:
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    for number in range(20):
        await source.publish(update("A", bid=str(number)))
    await copy.equals(source)
    await bus.restart(source.cache.cut - lost if lost else 0, keyframes=lost is not None)
    await follows(copy, source)
    await Copy(bus).equals(source)
    await trio.sleep(2 * BUS_BEAT_SECONDS)  # it is known by a beat that it is in the engine's new life
    source.kill()
    await standby.begun()
    await follows(copy, standby)
    assert stamp(copy) == ("first", 2), "the one that stands by has seen all of it"


async def test_a_source_that_has_nothing_to_say_writes_another_keyframe_for_one_that_was_lost(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, _ = await leading(bus)
    await until(lambda: source.leader.keyframes > 0)
    cut = source.cache.cut
    await bus.restart(keyframes=False)
    await Copy(bus).equals(source)
    assert source.cache.cut == cut, "without a change of the market"


async def test_a_source_that_takes_long_to_write_it_again_is_heard(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    for number in range(20):
        await source.publish(update("A", bid=str(number)))
    await standing_by(bus, source)
    source.reach.delays["Append"] = FOLLOW_SECONDS * SILENT_READS / 5
    await bus.restart()
    await until(lambda: bus.log.last >= Position(source.cache.cut))
    source.reach.delays.clear()
    assert source.leads
    await follows(copy, source)
    assert stamp(copy) == ("first", 1)


async def test_one_that_begins_beside_an_engine_that_was_emptied_waits_for_its_source(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    other = Source(bus, "second")
    other.reach.away = source.reach.away = True
    await trio.sleep(1)
    await bus.restart(keyframes=False)
    other.reach.away = False
    await trio.sleep(FOLLOW_SECONDS)
    source.reach.away = False
    await trio.sleep(10)
    assert source.leads
    await follows(copy, source)
    assert stamp(copy) == ("first", 1)


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_answer_that_is_lost_changes_nothing(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    restarts: bool,  # noqa: FBT001
) -> None:
    """Of a cut or of a beat; also where the engine begins another life with all that it had."""
    source, copy = await leading(bus)
    for number in range(10):
        source.reach.lost_answers = 1
        if number % 2:
            source.say(update("A", bid=str(number)))
        await until(lambda: source.reach.lost_answers == 0)
        if restarts:
            await bus.restart(source.cache.cut)
        await trio.sleep(2)
        assert source.leads
    await follows(copy, source)
    assert stamp(copy) == ("first", 1)


async def test_a_copy_that_was_stopped_goes_on(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    copy.reach.hold()
    for number in range(30):
        await source.publish(update("A", bid=str(number)))
    copy.reach.go_on()
    await copy.equals(source)


async def test_a_copy_that_begins_is_there_once_it_has_what_the_log_had(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, _ = await leading(bus)
    for number in range(3 * MOST_READ):
        await source.publish(update("A", bid=str(number)))
    end, copy = source.cache.cut, Copy(bus)
    there: list[int] = []
    copy.follower.on_there = lambda: there.append(copy.follower.cache.wire_cut(copy.follower.cache.cut))
    await until(lambda: bool(there))
    assert there[0] >= end, "clients that come from another copy have later cuts"


async def test_a_copy_that_was_stopped_for_longer_than_the_log_reaches_back_is_lost(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    small = Bus(bus.nursery, max_entries=5)
    source, copy = await leading(small)
    copy.reach.hold()
    for number in range(30):
        await source.publish(update("A", bid=str(number)))
    copy.reach.go_on()
    assert "a gap between cut" in await copy.lost()


async def test_a_copy_begins_beside_a_source_that_fell_silent_although_the_log_has_dropped_entries(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    small = Bus(bus.nursery, max_entries=5)
    source, _ = await leading(small)
    for number in range(30):
        await source.publish(update("A", bid=str(number)))
    await trio.sleep(KEYFRAME_SECONDS)
    cut, keyframes = source.cache.cut, source.leader.keyframes
    await Copy(small).equals(source)
    await trio.sleep(3 * KEYFRAME_SECONDS)
    assert source.cache.cut == cut
    assert source.leader.keyframes <= keyframes + 1, "where nothing changes, one is enough"


async def test_a_copy_beside_entries_of_another_program_says_so(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    source.kill()
    bus.log.append(Position(source.cache.cut + 1), b"\x81\xa4what\x01")
    assert await copy.lost() == "an entry that no source wrote: give the bus a key of its own"


async def test_a_copy_that_differs_is_found_with_the_next_keyframe(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    await until(lambda: source.leader.keyframes > 0)
    record = copy.follower.cache.instrument("A")
    assert record is not None
    record.values[Field.BID] = 42
    await trio.sleep(KEYFRAME_SECONDS)
    for _ in range(20):
        await source.publish(update("A", last=str(source.cache.cut)))
    assert "the copy differs from its source" in copy.cause


async def test_a_keyframe_that_is_made_while_cuts_go_on_is_whole(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticker.server.cut_writer.KEYFRAME_PIECE_BYTES", 300)
    source = await Source(bus).begun()
    names = [f"N{number}" for number in range(60)]
    await source.publish(*map(Instrument, names), *(update(name, bid="1.00") for name in names))
    number, before = 0, source.leader.keyframes
    await trio.sleep(KEYFRAME_SECONDS)
    while source.leader.keyframes == before:
        number += 1
        await source.publish(*(update(name, bid=f"{number}.50") for name in names[number % 7 :: 7]))
    assert number > 5
    copy = Copy(bus)
    await copy.equals(source)
    await source.publish(update("N7", bid="0.01"))
    await copy.equals(source)


async def test_a_copy_whose_bars_are_looked_at_more_often_equals_its_source(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """A client watches bars there, so values of quotes are taken into them in each cut: that counts for no checksum."""
    source, copy = await leading(bus)
    for number in range(10):
        await copy.at(await source.publish(update("A", bid=f"{number}.50")))
        digest(copy.follower.cache, 0, 1)
    await trio.sleep(KEYFRAME_SECONDS)
    for number in range(5):
        await copy.at(await source.publish(update("A", bid=f"{number}.25")))
    assert source.leader.keyframes == 2
    await copy.equals(source)
