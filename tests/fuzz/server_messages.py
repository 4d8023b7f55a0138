"""A server's messages, into a client's session: a refused message leaves the copy unchanged and raises one error."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz import Target
from tests.fuzz.values import ANYTHING, DAMAGE, as_json, as_msgpack, changed
from ticker.client.received import Received
from ticker.client.session import ClientSession
from ticker.client.table_state import TableState
from ticker.errors import ProtocolError
from ticker.protocol.tables import MAX_NAME
from ticker.protocol.wire import JSON, MSGPACK, Encoding

LIMITS = {"max_message_bytes": 65_536}
SYMBOLS = ["A", "AB", "B", "C", "A book:2", "A trades:2", "A candles:1m:2"]

_CUT = st.integers(0, 12)
NAMED = dict(zip([0, 1, 2, 3, -1, -2, -3], SYMBOLS, strict=True))
_NUMBER = st.integers(-4, 4)
_SCALE = st.integers(0, 4)
_KEY = st.one_of(st.integers(1, 16), st.sampled_from(["note", "bid", "x" * 40, ""]))
_VALUE = st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=3), st.none(), st.integers(0, 99))
_FIELDS = st.dictionaries(_KEY, _VALUE, max_size=4)
_PRICES = st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(0, 9999), max_size=3)
_CELL = st.one_of(st.integers(0, 3), st.integers(0, 3), st.sampled_from([None, "1.5", "x", 2**53, -1, True]))


def _rows(field: int, *columns: SearchStrategy[Any]) -> SearchStrategy[dict[Any, Any]]:
    """A field with rows, most of them right."""
    right = st.lists(st.tuples(*columns), max_size=3).map(lambda rows: [cell for row in rows for cell in row])
    return st.dictionaries(st.just(field), st.one_of(right, right, st.lists(_CELL, max_size=7)), min_size=1)


_KEYED = st.integers(0, 4)
_BOOK = st.one_of(
    _rows(16, _KEYED, st.sampled_from([None, 1, 2])), _rows(17, st.sampled_from([1, "1.5", "0.25"]), _KEYED)
)
_TRADES = _rows(18, _KEYED, _KEYED, _KEYED, _KEYED, st.sampled_from([1, -1, None]), st.sampled_from([1, "x", None]))
_CANDLES = _rows(19, _KEYED, *[_KEYED] * 4, st.sampled_from([None, 1]), st.sampled_from([None, 1]))
_ENTRY = st.one_of(
    st.tuples(_NUMBER, st.one_of(_PRICES, _FIELDS)),
    st.tuples(st.just(-1), _BOOK),
    st.tuples(st.just(-2), _TRADES),
    st.tuples(st.just(-3), _CANDLES),
)
_ENTRIES = st.lists(_ENTRY, max_size=3).map(lambda pairs: [each for pair in pairs for each in pair])
_DEFINITION = st.tuples(_NUMBER, st.sampled_from(SYMBOLS), _SCALE, _SCALE, st.just({})).map(list)
_RIGHT = st.tuples(st.sampled_from(sorted(NAMED)), _SCALE).map(
    lambda pair: [pair[0], NAMED[pair[0]], pair[1], pair[1], {}]
)
_OUTCOMES = st.lists(
    st.tuples(st.sampled_from([*SYMBOLS, "B*", "A*"]), st.integers(0, 11), st.just("why")).map(list), max_size=3
)

_MESSAGES: SearchStrategy[list[Any]] = st.one_of(
    st.tuples(st.just(4), st.lists(_RIGHT, max_size=4)).map(list),
    st.tuples(st.just(4), st.lists(_DEFINITION, max_size=4)).map(list),
    st.tuples(st.just(5), _CUT, _CUT, _CUT, _ENTRIES, _ENTRIES).map(list),
    st.tuples(st.just(6), _CUT, _CUT, _CUT, _ENTRIES).map(list),
    st.tuples(st.just(7), _CUT, _CUT).map(list),
    st.tuples(st.just(2), st.integers(1, 5), st.fixed_dictionaries({"outcomes": _OUTCOMES})).map(list),
    st.tuples(st.just(2), st.integers(1, 5), st.fixed_dictionaries({"cut": _CUT, "digest": _CUT})).map(list),
    st.tuples(
        st.just(3), st.one_of(st.none(), st.integers(1, 5)), st.integers(0, 11), st.just("no"), st.booleans()
    ).map(list),
    st.tuples(st.just(8), st.just("bye"), st.integers(0, 9), st.booleans()).map(list),
    st.tuples(st.just(9), _CUT).map(list),
    st.tuples(st.just(10), _CUT, _CUT, st.lists(_NUMBER, max_size=3)).map(list),
    st.tuples(st.just(11), st.one_of(st.none(), _CUT)).map(list),
)

_ANY: SearchStrategy[Any] = st.one_of(
    _MESSAGES,
    _MESSAGES,
    st.builds(changed, _MESSAGES, st.lists(st.integers(0, 9), min_size=1, max_size=4), ANYTHING),
    st.builds(lambda message, more: [*message, more], _MESSAGES, ANYTHING),
    ANYTHING,
)


class Case(NamedTuple):
    """The messages to one client over its connections: None begins a new connection."""

    encoding: Encoding
    payloads: list[bytes | str | None]


CASES = st.one_of(
    st.builds(Case, st.just(MSGPACK), st.lists(st.one_of(st.builds(as_msgpack, _ANY, DAMAGE), st.none()), max_size=10)),
    st.builds(Case, st.just(JSON), st.lists(st.one_of(st.builds(as_json, _ANY, DAMAGE), st.none()), max_size=10)),
    st.builds(Case, st.sampled_from([MSGPACK, JSON]), st.lists(st.one_of(st.binary(), st.text()), max_size=3)),
)


def said(encoding: Encoding, message: list[Any]) -> bytes | str:
    return as_json(message, []) if encoding.text else as_msgpack(message, [])


def welcome(encoding: Encoding, epoch: str, cut: int) -> bytes | str:
    return said(encoding, [1, 1, epoch, "session", cut, cut, 10_000, LIMITS])


def connect(session: ClientSession, encoding: Encoding, epoch: str, cut: int) -> None:
    session.begin(welcome(encoding, epoch, cut))
    for payload in session.requests():
        assert isinstance(encoding.decode_request(payload), dict)


def copy_of(session: ClientSession) -> object:
    """Return the state that a refused message must not change."""
    replica = session.replica
    records = {held.definition.symbol: (held.definition, held.wire()) for held in replica}
    state = (replica.epoch, replica.cursor, replica.time, vars(replica._definitions), replica._rows, records)
    return deepcopy(state)


def check(case: Case) -> None:
    encoding = case.encoding
    session = ClientSession(encoding)
    session.add_names(["A", "B*", "AB", "A book:2", "* trades:2"])
    session.verify()
    connect(session, encoding, "epoch", 3)
    for payload in case.payloads:
        if payload is None:
            connect(session, encoding, "epoch", 12)
            continue
        before, cursor = copy_of(session), session.replica.cursor
        try:
            received = session.receive(payload)
        except ProtocolError:
            assert copy_of(session) == before
            connect(session, encoding, "epoch", 12)
        else:
            assert isinstance(received, Received)
            assert session.replica.cursor >= cursor or received.error is not None
        check_tables(session)
    recovers(session, encoding)


def check_tables(session: ClientSession) -> None:
    """Names and numbers of rows are within their limits; the room that is counted is that of the tables."""
    room = 0
    for held in session.replica:
        assert len(held.definition.symbol) <= MAX_NAME
        if isinstance(held, TableState):
            assert all(len(rows) <= held.table.rows for rows in held.rows.values())
            room += held.table.rows * len(held.rows)
    assert session.replica._rows == room
    assert 0 <= session.replica.digest() < 2**32


def recovers(session: ClientSession, encoding: Encoding) -> None:
    """After any messages, a new connection to a correct server gives the right copy."""
    connect(session, encoding, "another", 1)
    session.receive(said(encoding, [4, [[0, "A", 2, 0, {}], [1, "BB", 1, 0, {}]]]))
    session.receive(said(encoding, [5, 1, 2, 7, [], [0, {1: 150}, 1, {3: 25, "note": "n"}]]))
    held = {each.definition.symbol: each.values for each in session.replica}
    assert held == {"A": {1: 150}, "BB": {3: 25, "note": "n"}}
    assert (session.replica.cursor, session.replica.epoch) == (2, "another")


TARGET = Target("a server's messages into a client's session", CASES, check)
