"""Copies of a copy: all follow over one connection to the engine, whatever befalls it, the one between, and them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from tests.storm.memory import Bus, Copy, Middle, Relay, Source, until
from tests.storm.test_election import follows, leading, stamp, standing_by
from tests.support import update
from ticker.bus import fan_out
from ticker.bus.engine import Position
from ticker.bus_bounds import FOLLOW_SECONDS, FOLLOWERS_GONE_SECONDS, KEYFRAME_SECONDS
from ticker.market import Instrument


async def chained(bus: Bus, count: int = 3) -> tuple[Source, Middle, Relay, Sequence[Copy]]:
    """A source, a copy, and copies of that."""
    source, first = await leading(bus)
    first.kill()
    middle = Middle(bus)
    await middle.equals(source)
    relay = Relay(bus.nursery, middle)
    copies = [Copy(relay) for _ in range(count)]
    for copy in copies:
        await copy.equals(source)
    return source, middle, relay, copies


async def all_follow(source: Source, *copies: Copy) -> None:
    await source.publish(update("A", bid=str(source.cache.cut)))
    for copy in copies:
        await copy.equals(source)


async def test_there_is_one_connection_to_the_engine_however_many_follow(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, _, copies = await chained(bus)
    assert bus.log.connections == 2, "of the source, and of the copy between"
    asked, passed_on = dict(middle.reach.asked), middle.fan_out.passed_on
    for _ in range(30):
        await all_follow(source, middle, *copies)
    assert middle.fan_out.passed_on == passed_on
    assert middle.reach.asked["Read"] - asked["Read"] < 60, "about one for each cut"
    assert [middle.reach.asked[kind] for kind in ("Part", "LatestKeyframe")] == [
        asked[kind] for kind in ("Part", "LatestKeyframe")
    ]


async def test_those_that_begin_together_cost_the_engine_one_keyframe(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, _ = await chained(bus, 0)
    before = middle.reach.asked["Part"]
    copies = [Copy(relay) for _ in range(10)]
    await copies[0].equals(source)
    once = middle.reach.asked["Part"]
    copies += [Copy(relay) for _ in range(10)]
    await all_follow(source, *copies)
    assert middle.reach.asked["Part"] == once
    assert once > before


async def test_there_is_a_log_only_while_others_follow(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, _ = await chained(bus, 0)
    asked = middle.reach.asked
    for _ in range(2):
        assert middle.fan_out.log is None
        before = asked["Find"], asked["LatestKeyframe"], asked["Part"]
        await all_follow(source, middle)
        assert before == (asked["Find"], asked["LatestKeyframe"], asked["Part"]), "it costs nothing"
        copy = Copy(relay)
        await copy.equals(source)
        assert middle.fan_out.log is not None
        copy.kill()
        await trio.sleep(FOLLOWERS_GONE_SECONDS / 2)
        assert middle.fan_out.log is not None, "it may come back"
        await trio.sleep(FOLLOWERS_GONE_SECONDS)


async def test_the_copy_between_is_replaced_and_they_go_on(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, copies = await chained(bus)
    for number in range(1, 4):
        middle.kill()
        for _ in range(20 * number):
            await source.publish(update("A", bid=str(source.cache.cut)))
        relay.middle = middle = Middle(bus)
        await all_follow(source, middle, *copies)


async def test_another_copy_takes_its_place_that_nobody_followed_and_they_go_on(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, copies = await chained(bus)
    others = [Middle(bus) for _ in range(2)]
    await all_follow(source, *others)
    copies[0].reach.hold()  # it is behind the others when it comes
    for _ in range(30):
        await source.publish(update("A", bid=str(source.cache.cut)))
    for other in others:
        middle.kill()
        relay.middle = middle = other
        copies[0].reach.go_on()
        await all_follow(source, *copies)


async def test_the_engine_is_away_and_they_are_told_why_and_go_on(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, _, copies = await chained(bus)
    middle.reach.away = True
    await bus.restart(source.cache.cut)
    await until(lambda: all(str(copy.follower.trouble).endswith("the bus is away") for copy in copies))
    await until(lambda: all(copy.follower.silent for copy in copies))
    await source.publish(update("A", bid="9"))
    middle.reach.away = False
    await all_follow(source, middle, *copies)
    assert all(copy.follower.trouble is None for copy in copies)


@pytest.mark.parametrize("lost", [1, 5, None])
async def test_the_engine_loses_its_end_and_its_source_writes_it_again(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    lost: int | None,
) -> None:
    source, middle, _, copies = await chained(bus)
    for number in range(20):
        await source.publish(update("A", bid=str(number)))
    await bus.restart(source.cache.cut - lost if lost else 0, keyframes=lost is not None)
    await all_follow(source, middle, *copies)


async def test_another_source_leads(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, _, copies = await chained(bus)
    standby = await standing_by(bus, source)
    source.kill()
    await standby.begun()
    await all_follow(standby, middle, *copies)
    assert {stamp(copy) for copy in copies} == {("first", 2)}


async def test_one_that_lags_behind_the_log_is_given_what_the_engine_still_has(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "FAN_OUT_LOG_BYTES", 500)
    source, middle, _, copies = await chained(bus)
    copies[0].reach.hold()
    for _ in range(40):
        await all_follow(source, *copies[1:])
    assert middle.fan_out.log is not None
    assert middle.fan_out.log.bytes <= 500
    passed_on = middle.fan_out.passed_on
    copies[0].reach.go_on()
    await all_follow(source, *copies)
    assert middle.fan_out.passed_on > passed_on


async def test_the_copy_between_jumps_and_they_begin_with_a_keyframe(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    small = Bus(bus.nursery, max_entries=5)
    source, middle, relay, copies = await chained(small)
    middle.reach.hold()
    for number in range(30):
        await source.publish(update("A", bid=str(number)))
    middle.reach.go_on()
    assert "the log has a gap" in await middle.lost()
    for copy in copies:
        assert "the log has a gap" in await copy.lost()
    await until(lambda: small.log.keyframes.latest() is not None)
    await trio.sleep(KEYFRAME_SECONDS + 1)
    relay.middle = middle = Middle(small)
    await all_follow(source, middle, Copy(relay), Copy(relay))


async def test_a_source_begins_another_epoch_and_so_do_they(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, copies = await chained(bus)
    source.kill()
    await bus.restart(keyframes=False)
    source = await Source(bus, "second").begun()
    await source.publish(Instrument("A"), update("A", bid="1"))
    assert await middle.lost()
    relay.middle = middle = Middle(bus)
    await middle.equals(source)
    for copy in copies:
        assert "another" in await copy.lost()
    copy = Copy(relay)
    await copy.equals(source)
    assert stamp(copy)[0] == "second"


async def test_one_that_asks_while_the_engine_is_slow_is_answered_and_nobody_is_silent(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, copies = await chained(bus)
    middle.reach.delays |= {"Read": FOLLOW_SECONDS / 5, "Part": FOLLOW_SECONDS / 5}
    await trio.sleep(KEYFRAME_SECONDS + 1)
    new = [Copy(relay) for _ in range(5)]
    await all_follow(source, middle, *copies, *new)
    assert not any(copy.follower.silent for copy in (middle, *copies, *new))


async def test_who_asks_for_what_no_position_is_waits(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, middle, relay, _ = await chained(bus, 1)
    async with middle.fan_out.others.connect() as connection:
        began = trio.current_time()
        assert await connection.read(Position(source.cache.cut + 1_000), 2) == []
        assert trio.current_time() - began >= 2
        assert await connection.part(10**9, 0) is None
        assert await connection.entry(Position(10**9)) is None
        assert (await connection.read(Position(0), 0))[0].position.cut <= source.cache.cut
    await follows(Copy(relay), source)


def let_go(held: set[Copy]) -> None:
    while held:
        held.pop().reach.go_on()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_befalls_them_in_any_order_they_are_the_same_in_the_end(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    seed: int,
) -> None:
    choose = random.Random(seed)  # noqa: S311  # a run is repeated by its seed
    source, middle, relay, made = await chained(bus)
    copies, held = list(made), set[Copy]()
    for _ in range(30):
        match choose.randrange(8):
            case 0:
                middle.kill()
                relay.middle = middle = Middle(bus)
            case 1:
                middle.reach.away = not middle.reach.away
            case 2:
                await bus.restart(source.cache.cut)
            case 3:
                copy = choose.choice(copies)
                if copy not in held:
                    copy.reach.hold()
                held.add(copy)
            case 4:
                let_go(held)
            case 5 if len(copies) < 6:
                copies.append(Copy(relay))
            case 6:
                await trio.sleep(choose.random() * KEYFRAME_SECONDS / 3)
            case _:
                for _ in range(choose.randrange(20)):
                    await source.publish(update("A", bid=str(source.cache.cut)))
        await trio.sleep(choose.random())
    middle.reach.away = False
    let_go(held)
    await all_follow(source, middle, *copies)
    assert bus.log.connections <= 3
