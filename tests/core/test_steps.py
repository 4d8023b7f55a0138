"""No step of a request, of a pass or of a slow client's delivery does more than a bounded piece of work.

Work is counted here, not timed: comparisons with patterns, joins of the watch index, encoded entries.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.core.harness import SECOND, Client, Harness
from tests.core.talk import Talk
from tests.support import cut, market, update
from ticker.bounds import COMPARISONS_PER_STEP, ENCODED_PER_STEP, ROWS_PER_PART
from ticker.config import Limits
from ticker.core.audience_index import BROAD_LEAST
from ticker.core.session import Answer
from ticker.core.work import at_once
from ticker.market import Field, Instrument, Trade
from ticker.protocol.messages import Delta, Reply, Snapshot

MANY = 5 * COMPARISONS_PER_STEP
SYMBOLS = [f"S{number}" for number in range(MANY)]


def talk() -> Talk:
    return Talk(market(*SYMBOLS), limits=Limits())


def comparisons_of_steps(talk: Talk, op: str, **keys: object) -> list[int]:
    """Carry out a request; return the comparisons of each of its steps."""
    steps: Generator[None, None, Answer] = talk.session.steps(
        talk.sink.encoding.encode_request({"op": op, "id": 1, **keys}), 0
    )
    index, made = talk.hub.index, list[int]()
    answer: Answer | None = None
    while answer is None:
        before = index.comparisons
        try:
            next(steps)
        except StopIteration as done:
            answer = done.value
        made.append(index.comparisons - before)
    assert isinstance(talk.read(answer)[0], Reply)
    return made


@pytest.mark.parametrize(
    ("op", "keys"),
    [
        ("subscribe", {"symbols": [f"*{number}*" for number in range(32)]}),
        ("instruments", {"match": "*nothing*"}),
    ],
)
def test_patterns_are_compared_in_steps(op: str, keys: dict[str, object]) -> None:
    made = comparisons_of_steps(talk(), op, **keys)
    assert sum(made) >= MANY
    assert max(made) <= 2 * COMPARISONS_PER_STEP


def test_a_pattern_that_was_used_lately_is_not_compared_again() -> None:
    first = talk()
    comparisons_of_steps(first, "subscribe", symbols=["*7*"])
    before = first.hub.index.comparisons
    comparisons_of_steps(first, "unsubscribe", symbols=["*7*"])
    comparisons_of_steps(first, "subscribe", symbols=["*7*"])
    assert first.hub.index.comparisons == before


def test_a_pattern_with_a_prefix_is_compared_with_few_instruments() -> None:
    assert sum(comparisons_of_steps(talk(), "subscribe", symbols=["S1999*"])) < 20


def test_another_interval_of_a_large_subscription_joins_and_leaves_nothing() -> None:
    client = talk()
    client.ask("subscribe", symbols=["*", "S1*"])
    joins, comparisons = client.hub.index.joins, client.hub.index.comparisons
    for interval in range(100):
        client.ask("subscribe", symbols=[], interval_ms=1000 + interval)
    assert (client.hub.index.joins, client.hub.index.comparisons) == (joins, comparisons)


def test_a_request_costs_the_work_that_it_makes() -> None:
    client = talk()

    def cost(op: str, **keys: object) -> float:
        payload = client.sink.encoding.encode_request({"op": op, "id": 1, **keys})
        return client.session.receive(payload, 0).cost

    assert cost("ping") < 2
    assert cost("instruments", match="*nothing*") > MANY / 1000
    assert cost("subscribe", symbols=[f"*{number}*" for number in range(32)]) > 32 * MANY / 1000
    assert cost("subscribe", symbols=SYMBOLS[:1900]) > 9
    assert cost("subscriptions") > 3
    assert cost("stats") > 10


def test_new_instruments_are_compared_in_steps_and_come_whole_to_everybody() -> None:
    """Also to clients that have every cut before they are visible."""
    harness = Harness("A")
    clients = [harness.client(f"*{number}*") for number in range(100)]
    everything = harness.client("*")
    cut(harness.cache, *(Instrument(symbol) for symbol in SYMBOLS[:1000]), update("S7", bid="1"))
    index, passes = harness.hub.index, 0
    while index.behind:
        before = index.comparisons
        harness.run()
        passes += 1
        assert index.comparisons - before <= 2 * COMPARISONS_PER_STEP
    assert passes > 10
    got = {number: record for message in everything.take() if isinstance(message, Snapshot)
           for number, record in zip(message.records[::2], message.records[1::2], strict=True)}  # fmt: skip
    assert set(got) == set(range(1, 1001))
    assert got[8] == {1: 100}
    told = [message.records[::2] for message in clients[77].take() if isinstance(message, Snapshot)]
    assert [number for numbers in told for number in numbers] == [
        number for number, symbol in enumerate(SYMBOLS[:1000], 1) if "77" in symbol
    ]


def behind(changes: int) -> tuple[Harness, Client]:
    """A client of everything, throttled or slow, and so many changes that it lacks."""
    harness = Harness(*SYMBOLS[:changes])
    return harness, complete(harness.client("*", interval_us=SECOND))


def complete(client: Client) -> Client:
    """The same client, once it has its whole snapshot."""
    while not client.hub.catch_up(client.subscriber):
        pass
    client.take()
    return client


def encoded(harness: Harness) -> int:
    return sum(encode_cache.encoded for encode_cache in harness.hub._encode_caches.values())


def test_many_changes_of_a_throttled_client_are_encoded_in_steps_and_come_in_one_message() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness, client = behind(count)
    harness.publish(update("S0", bid="1"))
    client.take()
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    harness.now += SECOND
    waiting = [("S1", "3"), ("S2", "4")]

    def refresh() -> None:
        """A price that arrives between two steps is in the message as well."""
        if waiting:
            symbol, bid = waiting.pop()
            cut(harness.cache, update(symbol, bid=bid))

    before = encoded(harness)
    for _ in harness.hub.publish(harness.now, refresh):
        assert encoded(harness) - before <= 2 * ENCODED_PER_STEP
        before = encoded(harness)
    (delta,) = client.take()
    assert isinstance(delta, Delta)
    changes = dict(zip(delta.changes[::2], delta.changes[1::2], strict=True))
    assert len(changes) == count
    assert (changes[1], changes[2], changes[3]) == ({1: 300}, {1: 400}, {1: 200})
    assert delta.cut == harness.cache.cut


def test_others_are_sent_new_prices_while_many_changes_are_encoded() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness, _ = behind(count)
    brisk = harness.client("S1")
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    harness.publish(*(update(symbol, bid="3") for symbol in SYMBOLS[:count]))
    brisk.take()
    harness.now += SECOND
    waiting = ["4"]

    def refresh() -> None:
        if waiting:
            cut(harness.cache, update("S1", bid=waiting.pop()))

    steps = harness.hub.publish(harness.now, refresh)
    next(steps)
    next(steps)
    assert [type(message) for message in brisk.take()] == [Delta]
    list(steps)


def test_many_changes_of_a_slow_client_are_encoded_in_steps_and_come_in_one_message() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness = Harness(*SYMBOLS[:count])
    client, other = complete(harness.client("*")), complete(harness.client("*", "S1*"))
    for each in (client, other):
        harness.hub.pause_delivery(each.subscriber)
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    steps = 0
    left = [client, other]
    while left:
        left = [each for each in left if not harness.hub.catch_up(each.subscriber)]
        steps += 1
        harness.publish(update("S1", bid=f"{steps}.5"))
    assert steps >= 3
    for each in (client, other):
        (delta,) = each.take()[:1]
        assert isinstance(delta, Delta)
        assert len(delta.changes) == 2 * count


def test_a_small_client_far_behind_a_large_market_looks_at_its_own_instruments_only() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness = Harness(*SYMBOLS[:count])
    client = harness.client("S1", "S2", "LATER")
    harness.hub.pause_delivery(client.subscriber)
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    harness.publish(Instrument("LATER"))
    assert harness.hub.catch_up(client.subscriber)
    _definitions, snapshot = client.take()
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.changes, snapshot.records) == ([1, {1: 200}, 2, {1: 200}], [count, {}])
    (encode_cache,) = harness.hub._encode_caches.values()
    assert all(len(change_set.changed) < count for change_set in encode_cache._change_sets.values())


def test_a_client_that_leaves_while_its_message_is_encoded_holds_nobody_up() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness = Harness(*SYMBOLS[:count])
    client, other = complete(harness.client("*")), complete(harness.client("*", "S1*"))
    for each in (client, other):
        harness.hub.pause_delivery(each.subscriber)
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    assert not harness.hub.catch_up(client.subscriber)
    client.leave()
    while not harness.hub.catch_up(other.subscriber):
        pass
    assert other.subscriber.is_member


def test_a_part_of_a_snapshot_has_a_number_of_rows() -> None:
    cache = market(*SYMBOLS[:10])
    cut(cache, *(Trade(symbol, "1.00", 5) for symbol in SYMBOLS[:10]))
    client = Talk(cache, limits=Limits())
    client.ask("subscribe", symbols=[f"{symbol} trades:1000" for symbol in SYMBOLS[:10]] + SYMBOLS[:10])
    while not client.hub.catch_up(client.subscriber):
        cut(cache, *(Trade(symbol, "1.01", 5) for symbol in SYMBOLS[:10]))
    parts = [message for message in client.sink.take() if isinstance(message, Snapshot)]
    tables = [[fields[Field.TRADES] for fields in part.records[1::2] if Field.TRADES in fields] for part in parts]
    assert [len(each) for each in tables if each] == [ROWS_PER_PART // 1000] * 5
    assert [[len(rows) // 6 for rows in each] for each in tables if each] == [[cuts, cuts] for cuts in (1, 1, 2, 3, 4)]


def test_the_matches_of_a_page_come_in_pieces_in_their_order() -> None:
    hub = Harness(*SYMBOLS).hub
    pieces = list(hub.index.search("*99", "", 100, lambda _: True))
    found = [symbol for piece in pieces for symbol in piece]
    assert found == sorted(symbol for symbol in SYMBOLS if symbol.endswith("99"))[:100]
    assert at_once(_all(hub.index.search("S5", "", 1, lambda _: True))) == ["S5"]


def _all(pieces: object) -> Generator[None, None, list[str]]:
    yield from ()
    return [symbol for piece in pieces for symbol in piece]  # type: ignore[attr-defined]


def test_the_updates_of_a_large_subscription_are_counted() -> None:
    harness = Harness(*SYMBOLS[: 2 * BROAD_LEAST])
    client = complete(harness.client("*"))
    assert client.subscriber.audience.broad
    harness.publish(*(update(symbol, bid="2") for symbol in ("S0", "S1", "S2000", "S1")))
    assert harness.hub.traffic(client.subscriber).offered == 4


def large_gap() -> tuple[Harness, Client, Client]:
    """Two clients of everything whose sockets took nothing while everything changed; both are to be caught up."""
    count = 2 * ENCODED_PER_STEP
    harness = Harness(*SYMBOLS[:count])
    clients = [complete(harness.client("*")) for _ in range(2)]
    for client in clients:
        client.block()
    harness.publish(update("S0", bid="1"))
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    for client in clients:
        client.full = False
    return harness, clients[0], clients[1]


def test_a_client_whose_message_is_prepared_and_that_does_not_come_for_it_holds_up_nobody() -> None:
    harness, absent, other = large_gap()
    assert not harness.hub.catch_up(absent.subscriber)
    assert any(harness.hub.catch_up(other.subscriber) for _ in range(10))
    assert harness.hub.catch_up(absent.subscriber) or harness.hub.catch_up(absent.subscriber)


def test_each_of_several_has_its_own_turn_with_what_was_prepared_for_it() -> None:
    harness, first, second = large_gap()
    turns = [first, second] * 4
    caught_up = [client for client in turns if harness.hub.catch_up(client.subscriber)]
    assert caught_up[0] is first
    assert second in caught_up


def test_a_client_is_caught_up_however_fast_everything_changes() -> None:
    """Between two steps comes more than a step encodes."""
    harness, client, _ = large_gap()
    for number in range(20):
        if harness.hub.catch_up(client.subscriber):
            break
        cut(harness.cache, *(update(symbol, bid=str(number)) for symbol in SYMBOLS[: ENCODED_PER_STEP + 1]))
    assert client.subscriber.is_member


def test_a_throttled_client_gets_its_frame_however_fast_everything_changes() -> None:
    count = max(4 * ENCODED_PER_STEP, BROAD_LEAST)
    harness, client = behind(count)
    harness.publish(update("S0", bid="1"))
    client.take()
    harness.publish(*(update(symbol, bid="2") for symbol in SYMBOLS[:count]))
    harness.now += SECOND
    cuts = iter(range(20))

    def refresh() -> None:
        if (number := next(cuts, None)) is not None:
            cut(harness.cache, *(update(symbol, bid=str(number)) for symbol in SYMBOLS[: ENCODED_PER_STEP + 1]))

    for _ in harness.hub.publish(harness.now, refresh):
        pass
    assert client.take()
    assert next(cuts, None) is not None
