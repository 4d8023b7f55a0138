"""ticker/core/pieces.py, preparation.py, checksums.py, discarded.py: what is made in steps is what is made at once."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest

from tests.core.harness import Harness
from tests.support import cut, market, messages, update
from ticker.bounds import FREED_PER_PASS, REMOVED_PER_PART
from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.discarded import Discarded
from ticker.core.encode_cache import EncodeCache, Share
from ticker.core.pieces import PIECE
from ticker.core.preparation import Preparation
from ticker.core.selections import Portions, selection_of
from ticker.market import Instrument
from ticker.protocol.messages import Delta, Instruments, Removed, ServerMessage, Snapshot
from ticker.protocol.named_events import NamedEvents
from ticker.protocol.wire import ENCODINGS, MSGPACK, Encoding, Events

COUNT = 5 * PIECE + 7
SYMBOLS = [f"S{number}" for number in range(COUNT)]


def content(sent: list[ServerMessage]) -> tuple[dict[int, object], dict[int, object], dict[int, object]]:
    """Return changes, complete records and definitions by id: their order is nobody's business."""
    definitions: dict[int, object] = {}
    *before, data = sent
    for message in before:
        assert isinstance(message, Instruments)
        definitions |= {each.id: each for each in message.definitions}
    assert isinstance(data, Delta | Snapshot)
    flat = data.records if isinstance(data, Snapshot) else []
    changes = dict(zip(data.changes[::2], data.changes[1::2], strict=True))
    return changes, dict(zip(flat[::2], flat[1::2], strict=True)), definitions


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=["msgpack", "json"])
@pytest.mark.parametrize("seed", range(5))
def test_a_message_made_in_steps_is_that_made_at_once(seed: int, encoding: Encoding) -> None:
    random = Random(seed)  # noqa: S311  # a test's
    cache = market(*SYMBOLS)
    entries, since = EncodeCache(cache, encoding), cache.cut

    def change(count: int) -> None:
        some = random.sample(SYMBOLS, count)
        cut(
            cache,
            *(update(symbol, bid=str(random.randrange(9)), ask="1.125"[: random.choice((3, 5))]) for symbol in some),
        )
        if random.random() < 0.3:
            cut(cache, Instrument(f"NEW{len(cache.records)}"), Instrument(SYMBOLS[0], metadata={"n": str(cache.cut)}))

    def wanted(least: int) -> Portions:
        numbers = range(len(cache.records))
        half = bitmap_of([number for number in numbers if number % 2 and number >= least])
        rest = bitmap_of([number for number in numbers if number % 3 == 0]) & ~half
        return {None: half, selection_of(["bid"]): rest}

    change(COUNT if seed else 20)
    preparation = Preparation(entries, since)
    whole = bitmap_of(range(10, 40))
    portions = wanted(COUNT // 2)
    while not preparation.advance(portions, whole, PIECE):
        change(3)
        portions = wanted(COUNT // 2 if random.random() < 0.5 else 0)  # an audience gets further instruments
    change_set = entries.change_set(since)
    shares = []
    for selection, bits in portions.items():
        known, taken = change_set.bits & bits & ~whole, change_set.bits & bits & whole
        shares.append(Share(change_set.of(selection), numbers_in(known), numbers_in(taken)))
    at_once = messages([entries.frame(since, shares)], encoding)
    in_steps = messages([entries.frame(since, (), preparation.parts())], encoding)
    assert content(in_steps) == content(at_once)
    assert preparation.sent_whole() == change_set.bits & whole & (portions[None] | portions[selection_of(["bid"])])


@pytest.mark.parametrize("encoding", [Events("e"), NamedEvents("e")], ids=["events", "named"])
def test_events_made_in_steps_are_those_made_at_once_and_the_last_has_the_id(encoding: Encoding) -> None:
    cache = market(*SYMBOLS)
    entries, since = EncodeCache(cache, encoding), cache.cut
    cut(cache, *(update(symbol, bid="1") for symbol in SYMBOLS))
    preparation, everything = Preparation(entries, since), (1 << COUNT) - 1
    while not preparation.advance({None: everything}, 0, PIECE):
        cut(cache, update("S3", bid="2"))
    in_steps = entries.frame(since, (), preparation.parts())
    at_once = entries.frame(since, [Share(entries.change_set(since), range(COUNT))])
    assert len(in_steps) == len(at_once)
    for frame in (in_steps, at_once):
        *_, last, end = frame.split(b"\n\n")
        assert end == b""
        assert last.startswith(b"id: e:%d\ndata: " % cache.cut)
        assert frame.count(b"id: ") == 1
    assert sorted(re.findall(rb"\{[^{}]*\}", in_steps)) == sorted(re.findall(rb"\{[^{}]*\}", at_once))


def test_a_checksum_made_in_steps_is_that_of_the_present_cut_and_only_changed_records_are_made_anew() -> None:
    harness = Harness(*SYMBOLS)
    hub, cache = harness.hub, harness.cache
    everything: Portions = {None: (1 << COUNT) - 1}
    sums, step = hub.checksums.sums(), 0
    while not sums.advance(everything, 0, PIECE):
        step += 1
        cut(cache, update(SYMBOLS[step], bid=str(step)))
        assert hub.checksums.made <= (step + 1) * PIECE * 3
    assert step >= COUNT // PIECE // 2
    assert sums.total(everything) == hub.checksums.sums().total(everything)
    made = hub.checksums.made
    cut(cache, update("S1", bid="77"))
    before = sums.total(everything)
    assert hub.checksums.made == made + 1
    cut(cache, update("S1", bid="78"))
    assert sums.total(everything) != before


def test_a_message_of_parts_tells_the_cut_at_which_they_were_made() -> None:
    cache = market(*SYMBOLS)
    entries, since = EncodeCache(cache, MSGPACK), cache.cut
    entries.frame(since, [])
    cut(cache, update("S1", bid="1"))
    preparation = Preparation(entries, since)
    assert preparation.advance({None: 7}, 0, PIECE)
    (delta,) = messages([entries.frame(since, (), preparation.parts())], MSGPACK)
    assert delta == Delta(since, cache.cut, cache.time, [1, {1: 100}])


def test_records_leave_a_copy_in_parts() -> None:
    count = 2 * REMOVED_PER_PART + 1
    harness = Harness(*(f"S{number}" for number in range(count)))
    client = harness.client("*")
    while not harness.hub.catch_up(client.subscriber):
        pass
    client.take()
    client.subscribe("S7")
    while not harness.hub.catch_up(client.subscriber):
        pass
    removed = [message for message in client.take() if isinstance(message, Removed)]
    assert [len(message.ids) for message in removed] == [REMOVED_PER_PART, REMOVED_PER_PART]
    assert {number for message in removed for number in message.ids} == set(range(count)) - {7}
    harness.publish(update("S7", bid="1"), update("S8", bid="1"))
    (delta,) = client.take()
    assert isinstance(delta, Delta)
    assert delta.changes == [7, {1: 100}]


def test_a_large_dict_is_freed_in_steps() -> None:
    discarded = Discarded()
    large, small = dict.fromkeys(range(5000)), dict.fromkeys(range(10))
    discarded.add(large, small)
    sizes = []
    while large:
        discarded.free(2000)
        sizes.append(len(large))
    assert sizes == [3000, 1000, 0]
    assert len(small) == 10
    discarded.free(2000)


def test_what_was_encoded_for_the_last_client_of_an_encoding_is_freed_in_steps() -> None:
    harness = Harness(*(f"S{number}" for number in range(FREED_PER_PASS + 500)))
    client = harness.client("*")
    while not harness.hub.catch_up(client.subscriber):
        pass
    (encode_cache,) = harness.hub._encode_caches.values()
    encoded = encode_cache._records, encode_cache._definitions
    kept = [some for each in encoded for some in (each.parts, each.changed_at)]
    left = [sum(map(len, kept))]
    client.leave()
    while any(kept):
        harness.run()
        left.append(sum(map(len, kept)))
    assert [before - after for before, after in pairwise(left)] == [FREED_PER_PASS] * 5
