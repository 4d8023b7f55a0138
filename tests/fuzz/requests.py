"""A client's messages, into a real session at a real hub with a second client.

Any payload gets an answer; the subscriptions stay consistent; the second client gets its prices and nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz import Target
from tests.fuzz.values import ANYTHING, DAMAGE, as_json, as_msgpack, changed
from tests.support import Sink, cut, market, messages, update
from ticker.config import MAX_INTERVAL_MS, Limits
from ticker.core.audiences import Subscriber
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.core.selections import selection_of
from ticker.core.session import Answer, ServerSession, Terms
from ticker.market import Instrument
from ticker.protocol.messages import Delta, Error, Instruments, Removed, Reply, Snapshot
from ticker.protocol.symbols import matcher
from ticker.protocol.wire import JSON, MSGPACK, Encoding

SYMBOLS = ["A", "AB", "B", "C", "LATER"]
LIMITS = Limits(max_symbols=6, max_patterns=3)

_NAMES = st.lists(
    st.one_of(
        st.sampled_from([*SYMBOLS, "A*", "*", "?", "[AB]", "[!A]*", "[", "[[A]", "[]-A]", "[B-A]", "[A--]", "a b", ""]),
        st.text(alphabet="AB*?[]!-^&~|\\ ,", max_size=8),
        st.text(max_size=70),
    ),
    max_size=8,
)
_ID = st.integers(0, 5)
_INTERVAL = st.sampled_from([0, 0, 0, 1, 250, 10**9])
_FIELDS = st.lists(st.sampled_from(["bid", "bid", "ask", "own", "status", "Bid", ""]), max_size=3)

_REQUESTS: SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["subscribe", "unsubscribe"]), "id": _ID, "symbols": _NAMES},
        optional={"interval_ms": _INTERVAL},
    ),
    st.fixed_dictionaries(
        {"op": st.just("subscribe"), "id": _ID, "symbols": _NAMES, "interval_ms": _INTERVAL},
        optional={"fields": _FIELDS},
    ),
    st.fixed_dictionaries(
        {
            "op": st.just("resume"),
            "id": _ID,
            "epoch": st.sampled_from(["epoch", "other"]),
            "cursor": st.integers(0, 6),
            "symbols": _NAMES,
        },
        optional={"forget": _NAMES, "selected": st.lists(st.tuples(_FIELDS, _NAMES).map(list), max_size=3)},
    ),
    st.fixed_dictionaries(
        {"op": st.just("instruments"), "id": _ID}, optional={"match": st.text(max_size=8), "after": st.text(max_size=3)}
    ),
    st.fixed_dictionaries({"op": st.sampled_from(["subscriptions", "ping", "stats"]), "id": _ID}),
    st.fixed_dictionaries({"op": st.just("auth"), "id": _ID, "token": st.text(max_size=20)}),
)

_MESSAGES: SearchStrategy[Any] = st.one_of(
    _REQUESTS,
    st.builds(changed, _REQUESTS, st.lists(st.integers(0, 9), min_size=1, max_size=4), ANYTHING),
    st.builds(lambda request, key, value: {**request, key: value}, _REQUESTS, st.text(max_size=4), ANYTHING),
    ANYTHING,
)


class Case(NamedTuple):
    """One client's conversation."""

    encoding: Encoding
    payloads: list[bytes | str]


_MSGPACK = st.lists(st.builds(as_msgpack, _MESSAGES, DAMAGE), min_size=1, max_size=6)
_JSON = st.lists(st.builds(as_json, _MESSAGES, DAMAGE), min_size=1, max_size=6)

CASES = st.one_of(
    st.builds(Case, st.just(MSGPACK), _MSGPACK),
    st.builds(Case, st.just(JSON), _JSON),
    st.builds(Case, st.sampled_from([MSGPACK, JSON]), st.lists(st.one_of(st.binary(), st.text()), max_size=3)),
)


class Floor:
    """A market with two clients: the fuzzed one, and a neighbour that must not notice."""

    def __init__(self, encoding: Encoding) -> None:
        self.cache: LastValueCache = market("A", "AB", "B", "C")
        self.hub = Hub(self.cache, snapshot_part=2)
        self.now = 0
        self.other, self.neighbour = self.join(MSGPACK)
        self.neighbours_session = self.session(self.neighbour)
        self.neighbours_session.receive(request("subscribe", MSGPACK, symbols=["A", "A?"]), self.now)
        self.settle(self.neighbour)
        self.other.take()
        self.audiences = set(self.hub._audiences)
        self.sink, self.subscriber = self.join(encoding)
        self.client = self.session(self.subscriber)

    def join(self, encoding: Encoding) -> tuple[Sink, Subscriber]:
        sink = Sink(encoding)
        return sink, self.hub.connect(sink, encoding, self.now)

    def session(self, subscriber: Subscriber) -> ServerSession:
        return ServerSession(self.hub, subscriber, "name", Terms(LIMITS))

    def settle(self, subscriber: Subscriber) -> None:
        for _ in range(100):
            if self.hub.catch_up(subscriber):
                return
        raise AssertionError("it never gets in step")

    def publish(self, price: int) -> None:
        self.now += 1000
        cut(self.cache, update("A", bid=price))
        for _ in self.hub.publish(self.now):
            pass


def request(op: str, encoding: Encoding, **fields: object) -> bytes | str:
    return encoding.encode_request({"op": op, "id": 99, **fields})


def check(case: Case) -> None:
    floor = Floor(case.encoding)
    for number, payload in enumerate(case.payloads, 1):
        answer = floor.client.receive(payload, floor.now)
        well_formed(answer, case.encoding)
        floor.settle(floor.subscriber)
        if answer.close is not None:
            break
        names = consistent(floor)
        seen(floor, names, floor.sink.take())
        floor.publish(number)
        sent = floor.sink.take()
        seen(floor, names, sent)
        if names.interval_ms == 0:
            changes = [each.changes for each in sent if isinstance(each, Delta)]
            assert changes == ([[0, {1: number * 100}]] if names.has_bids_of("A") else [])
        (delta,) = floor.other.take()
        assert isinstance(delta, Delta)
        assert delta.changes == [0, {1: number * 100}]
    floor.hub.disconnect(floor.subscriber)
    nothing_is_left(floor)


def well_formed(answer: Answer, encoding: Encoding) -> None:
    (message,) = messages([answer.frame], encoding)
    assert isinstance(message, Reply | Error)
    assert (answer.close is not None) == (isinstance(message, Error) and message.fatal)
    assert answer.cost >= 1


class Held(NamedTuple):
    """Subscriptions as the session reports them."""

    names: list[str]
    interval_ms: int
    selected: dict[str, list[str]]
    """By name: the fields that are wanted, if not all."""

    def has_bids_of(self, symbol: str) -> bool:
        matching = [name for name in self.names if matcher([name])(symbol)]
        return any("bid" in self.selected.get(name, ["bid"]) for name in matching)


def consistent(floor: Floor) -> Held:
    encoding = floor.subscriber.encoding
    answer = floor.client.receive(request("subscriptions", encoding), floor.now)
    (reply,) = messages([answer.frame], encoding)
    assert isinstance(reply, Reply)
    names, interval = reply.result["symbols"], reply.result["interval_ms"]
    assert len(names) == len(set(names)) <= LIMITS.max_symbols
    assert all(1 <= len(name) <= 64 and " " not in name and "," not in name for name in names)
    assert sum(any(sign in name for sign in "*?[") for name in names) <= LIMITS.max_patterns
    assert 0 <= interval <= MAX_INTERVAL_MS
    watch = floor.subscriber.audience.subscription_set
    assert [*watch.symbols, *watch.patterns] == names
    assert watch.interval_us == interval * 1000
    selected = {name: fields for fields, some in reply.result.get("selected", []) for name in some}
    assert selected.keys() <= set(names)
    assert all({"status", "reason"} <= set(fields) for fields in selected.values())
    assert dict(watch.selected) == {name: selection_of(fields) for name, fields in selected.items()}
    return Held(names, interval, selected)


def seen(floor: Floor, held: Held, sent: list[Any]) -> None:
    """Only instruments that match a name are sent, and others are taken away."""
    allowed = {record.number for record in floor.cache.records if matcher(held.names)(record.symbol)}
    for message in sent:
        if isinstance(message, Delta | Snapshot):
            records = message.records if isinstance(message, Snapshot) else []
            assert {*message.changes[::2], *records[::2]} <= allowed
        elif isinstance(message, Removed):
            assert not {*message.ids} & allowed
        else:
            assert isinstance(message, Instruments)


def nothing_is_left(floor: Floor) -> None:
    assert set(floor.hub._audiences) == floor.audiences
    left = floor.hub.index.leftovers()
    assert set(left["patterns"]) == {"A?"}
    assert not left["waiting"]
    assert floor.neighbour.is_member
    cut(floor.cache, Instrument("LATER"), Instrument("AC"))
    for _ in floor.hub.publish(floor.now + 1000):
        pass
    floor.settle(floor.neighbour)
    assert [type(each) for each in floor.other.take()] == [Instruments, Snapshot]


TARGET = Target("a client's messages into a session at a hub", CASES, check)
