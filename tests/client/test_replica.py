"""ticker/client/replica.py: a client's copy, rule by rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.client.replica import InstrumentState, Replica
from ticker.errors import Code, Gap, ProtocolError
from ticker.market import FieldKey, WireValue
from ticker.protocol.messages import Definition, Delta, Heartbeat, Instruments, Removed, Snapshot, Welcome

A, B = Definition(0, "A", 2, 0, {}), Definition(1, "B", 2, 0, {})
BID, BID_SIZE, TIME, STATUS = 1, 2, 13, 14


def welcome(epoch: str = "epoch", cut: int = 5) -> Welcome:
    return Welcome(1, epoch, "session", cut, cut * 1000, 10_000, {})


def copy() -> Replica:
    """A copy at cut 5 that holds A (bid 1.00, live) and knows of B, which it does not hold."""
    replica = Replica()
    replica.welcome(welcome(), resumable=False)
    replica.define(Instruments([A, B]))
    replica.apply(Snapshot(5, 5, 5000, [], [0, {BID: 100, STATUS: "live"}]))
    return replica


def held(replica: Replica) -> dict[str, dict[FieldKey, WireValue]]:
    for each in replica:
        assert replica.find(each.definition.symbol) is each
    return {each.definition.symbol: dict(each.values) for each in replica}


def state(replica: Replica) -> object:
    definitions = {each.definition.symbol: each.definition for each in replica}
    return replica.epoch, replica.cursor, replica.time, held(replica), definitions


def brought(replica: Replica, message: Snapshot | Delta) -> dict[str, dict[FieldKey, WireValue]]:
    return {each.definition.symbol: fields for each, fields in replica.apply(message).items()}


def the(replica: Replica, symbol: str) -> InstrumentState:
    found = replica.find(symbol)
    assert found is not None
    return found


# Rule 1: the welcome


def test_a_new_copy_is_empty_and_begins_where_the_server_is() -> None:
    replica = Replica()
    assert not replica.welcome(welcome(cut=7), resumable=True)
    assert (replica.epoch, replica.cursor, replica.time) == ("epoch", 7, 7000)
    assert held(replica) == {}
    assert replica.find("A") is None


def test_a_copy_of_the_same_epoch_is_kept_to_be_resumed() -> None:
    replica = copy()
    assert replica.welcome(welcome(cut=9), resumable=True)
    assert replica.resuming
    assert (replica.cursor, replica.time) == (5, 5000)
    assert held(replica) == {"A": {BID: 100, STATUS: "live"}}


@pytest.mark.parametrize(
    ("message", "resumable"), [(welcome("other", 9), True), (welcome("other", 4), True), (welcome(cut=9), False)]
)
def test_any_other_copy_is_forgotten(message: Welcome, *, resumable: bool) -> None:
    """One of another epoch, one that is ahead of its server, and one that its client does not want resumed."""
    replica = copy()
    assert not replica.welcome(message, resumable=resumable)
    assert not replica.resuming
    assert state(replica) == (message.epoch, message.cut, message.time, {}, {})
    with pytest.raises(ProtocolError, match="which was not defined"):
        replica.apply(Delta(message.cut, message.cut, 0, [0, {}]))


# Rule 2: definitions


def test_a_higher_scale_changes_no_value() -> None:
    replica = copy()
    replica.apply(Delta(5, 6, 6000, [0, {BID_SIZE: 7, TIME: 12, "own": 3, "note": "x", 99: [4]}]))
    replica.define(Instruments([Definition(0, "A", 4, 1, {"name": "x"})]))
    instrument = the(replica, "A")
    assert instrument.values == {BID: 10000, BID_SIZE: 70, STATUS: "live", TIME: 12, "own": 3, "note": "x"}
    assert instrument.definition.metadata == {"name": "x"}
    assert instrument.fields(instrument.values)["bid"] == Decimal(1)


def test_fields_of_a_later_version_are_ignored_whatever_they_are() -> None:
    replica = copy()
    assert brought(replica, Delta(5, 6, 6000, [0, {BID: 200, 99: 4, 100: [1, {}], -1: None}])) == {"A": {BID: 200}}


def test_an_instrument_has_one_entry_in_a_message() -> None:
    replica = copy()
    with pytest.raises(ProtocolError):
        replica.apply(Delta(5, 6, 6000, [0, {BID: 200}, 0, {BID: 300}]))
    assert held(replica)["A"][BID] != 200


def test_a_definition_counts_for_an_instrument_that_is_held_only_later() -> None:
    replica = copy()
    replica.define(Instruments([Definition(1, "B", 3, 0, {})]))
    replica.apply(Snapshot(5, 6, 6000, [], [1, {BID: 1}]))
    assert the(replica, "B").fields({BID: 1}) == {"bid": Decimal("0.001")}


@pytest.mark.parametrize(
    "definition",
    [
        Definition(0, "A", 1, 0, {}),
        Definition(0, "B", 2, 0, {}),
        Definition(0, "C", 2, 0, {}),
        Definition(1, "C", 2, 0, {}),
    ],
)
def test_a_definition_that_contradicts_an_earlier_one_is_refused(definition: Definition) -> None:
    replica = copy()
    before = state(replica)
    with pytest.raises(ProtocolError, match="a scale was lowered or the symbol changed") as caught:
        replica.define(Instruments([definition]))
    assert caught.value.code == Code.MALFORMED
    assert state(replica) == before


def test_a_lowered_scale_of_sizes_is_refused_too() -> None:
    replica = copy()
    replica.define(Instruments([Definition(0, "A", 2, 3, {})]))
    with pytest.raises(ProtocolError):
        replica.define(Instruments([Definition(0, "A", 2, 2, {})]))


def test_two_instruments_cannot_have_one_symbol() -> None:
    replica = copy()
    with pytest.raises(ProtocolError):
        replica.define(Instruments([Definition(2, "A", 2, 0, {})]))


# Rule 3: data is applied whole


def test_changes_are_merged_into_what_is_held() -> None:
    replica = copy()
    changes = [0, {BID: 200, "own": 7}]
    assert brought(replica, Delta(5, 8, 8000, changes)) == {"A": {BID: 200, "own": 7}}
    assert held(replica) == {"A": {BID: 200, STATUS: "live", "own": 7}}
    assert (replica.cursor, replica.time) == (8, 8000)


def test_a_field_that_is_nil_was_withdrawn() -> None:
    replica = copy()
    assert brought(replica, Delta(5, 6, 6000, [0, {BID: None, BID_SIZE: None}])) == {"A": {BID: None, BID_SIZE: None}}
    assert held(replica) == {"A": {STATUS: "live"}}


def test_a_record_replaces_whatever_there_was() -> None:
    replica = copy()
    assert brought(replica, Snapshot(5, 6, 6000, [], [0, {BID: 300}])) == {"A": {BID: 300, STATUS: None}}
    assert held(replica) == {"A": {BID: 300}}


def test_a_snapshot_brings_changes_and_records_at_once() -> None:
    replica = copy()
    snapshot = Snapshot(5, 6, 6000, [0, {BID: 200}], [1, {BID: 700}])
    assert brought(replica, snapshot) == {"A": {BID: 200}, "B": {BID: 700}}
    assert held(replica) == {"A": {BID: 200, STATUS: "live"}, "B": {BID: 700}}


@pytest.mark.parametrize("since", [0, 4, 5])
def test_what_begins_at_or_before_the_cursor_is_applied(since: int) -> None:
    replica = copy()
    replica.apply(Delta(since, 6, 6000, [0, {BID: 200}]))
    assert replica.cursor == 6


def test_receiving_the_same_twice_is_harmless() -> None:
    replica = copy()
    delta = Delta(5, 6, 6000, [0, {BID: 200}])
    replica.apply(delta)
    after = state(replica)
    replica.apply(delta)
    assert state(replica) == after


def test_what_begins_after_the_cursor_is_a_gap() -> None:
    replica = copy()
    before = state(replica)
    for message in (Delta(6, 7, 7000, [0, {BID: 200}]), Snapshot(6, 7, 7000, [], [1, {}])):
        with pytest.raises(Gap, match="a delta since cut 6 cannot follow cut 5") as caught:
            replica.apply(message)
        assert caught.value.code == Code.MALFORMED
    assert state(replica) == before
    replica.apply(Delta(5, 7, 7000, [0, {BID: 200}]))
    assert replica.cursor == 7


def test_a_cut_before_the_cursor_is_refused() -> None:
    replica = copy()
    before = state(replica)
    with pytest.raises(ProtocolError, match="cut 4 after cut 5"):
        replica.apply(Delta(3, 4, 4000, [0, {BID: 200}]))
    assert state(replica) == before


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


MALFORMED: list[list[Any]] = [
    [0],
    [0, {BID: 200}, 0],
    [{BID: 200}, 0],
    [2, {BID: 200}],
    [-1, {BID: 200}],
    ["0", {BID: 200}],
    [0.0, {BID: 200}],
    [False, {BID: 200}],
    [None, {BID: 200}],
    [[], {BID: 200}],
    [deep(1010), {}],
    [10**5000, {}],
    [0, None],
    [0, []],
    [0, [BID, 200]],
    [0, {BID: "1e5"}],
    [0, {BID: ".5"}],
    [0, {BID: ""}],
    [0, {BID: "1" * 41}],
    [0, {BID: "NaN"}],
    [0, {BID: "00"}],
    [0, {BID: "+1"}],
    [0, {BID: ["1.00"]}],
    [0, {"own": ["x"]}],
    [0, {"own": ["1", "2"]}],
    [0, {"own": []}],
    [0, {"own": [1]}],
    [0, {BID: 1.5}],
    [0, {BID: True}],
    [0, {BID: [200]}],
    [0, {TIME: "noon"}],
    [0, {STATUS: 5}],
    [0, {STATUS: b"live"}],
    [0, {"own": 1.5}],
    [0, {"own": {}}],
    [0, {BID: 2**53}],
    [0, {TIME: -(2**53)}],
    [0, {"own": 2**53}],
    [0, {1.0: 5}],
    [0, {True: 5}],
    [0, {None: 5}],
    [0, {b"own": 5}],
]


@pytest.mark.parametrize("entries", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_entries_leave_the_copy_unchanged(entries: list[Any]) -> None:
    good = [0, {BID: 999}]
    for message in (
        Delta(5, 6, 6000, entries),
        Delta(5, 6, 6000, [*good, *entries]),
        Snapshot(5, 6, 6000, entries, []),
        Snapshot(5, 6, 6000, good, entries),
        Snapshot(5, 6, 6000, [], [1, {}, *entries]),
    ):
        replica = copy()
        before = state(replica)
        with pytest.raises(ProtocolError) as caught:
            replica.apply(message)
        assert state(replica) == before
        assert len(str(caught.value)) <= 200
        assert not isinstance(caught.value, Gap)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 16)
    | st.floats()
    | st.sampled_from(["own", "x"])
    | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-1, 16) | st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.lists(anything, max_size=4), st.lists(anything, max_size=4), st.integers(0, 7), st.integers(0, 7))
def test_anything_is_applied_whole_or_refused(changes: list[Any], records: list[Any], since: int, cut: int) -> None:
    replica = copy()
    before = state(replica)
    try:
        replica.apply(Snapshot(since, cut, 6000, changes, records))
    except ProtocolError:
        assert state(replica) == before
    else:
        assert replica.cursor == cut
        assert since <= 5 <= cut


# Rule 4: the cursor


def test_a_message_without_entries_moves_the_cursor() -> None:
    replica = copy()
    assert replica.apply(Delta(5, 9, 9000, [])) == {}
    assert (replica.cursor, replica.time) == (9, 9000)


def test_a_heartbeat_moves_the_cursor_forward() -> None:
    replica = copy()
    replica.heartbeat(Heartbeat(7, 7000))
    assert (replica.cursor, replica.time) == (7, 7000)
    replica.heartbeat(Heartbeat(7, 7500))
    replica.heartbeat(Heartbeat(6, 9000))
    assert (replica.cursor, replica.time) == (7, 7500)


def test_a_copy_that_waits_to_be_resumed_ignores_heartbeats() -> None:
    """The cut of a heartbeat is the server's, and the new connection has sent no data yet."""
    replica = copy()
    replica.welcome(welcome(cut=9), resumable=True)
    replica.heartbeat(Heartbeat(9, 9000))
    assert replica.cursor == 5
    replica.apply(Delta(5, 9, 9000, [0, {BID: 200}]))
    replica.resuming = False
    replica.heartbeat(Heartbeat(10, 10_000))
    assert replica.cursor == 10


# Records that the client does not hold, and those that leave the copy


def test_changes_of_what_is_not_held_are_ignored() -> None:
    replica = copy()
    assert brought(replica, Delta(5, 6, 6000, [1, {BID: 700}, 0, {BID: 200}])) == {"A": {BID: 200}}
    assert held(replica) == {"A": {BID: 200, STATUS: "live"}}


def test_records_are_always_taken() -> None:
    replica = copy()
    assert brought(replica, Snapshot(5, 6, 6000, [], [1, {BID: 700}])) == {"B": {BID: 700}}
    assert held(replica)["B"] == {BID: 700}


def test_what_was_removed_is_forgotten_and_can_come_again() -> None:
    replica = copy()
    replica.apply(Snapshot(5, 6, 6000, [], [1, {BID: 700}]))
    assert [state.definition.symbol for state in replica.remove(Removed(6, 7, [0]))] == ["A"]
    assert held(replica) == {"B": {BID: 700}}
    assert replica.find("A") is None
    assert (replica.cursor, replica.time) == (7, 6000)
    assert brought(replica, Delta(7, 8, 8000, [0, {BID: 200}])) == {}
    replica.apply(Snapshot(8, 9, 9000, [], [0, {BID: 300}]))
    assert held(replica) == {"B": {BID: 700}, "A": {BID: 300}}


def test_ids_that_are_not_held_or_not_known_are_removed_without_a_word() -> None:
    replica = copy()
    assert replica.remove(Removed(5, 5, [1, 77, 1])) == []
    assert held(replica) == {"A": {BID: 100, STATUS: "live"}}


def test_what_is_removed_beyond_the_cursor_or_before_it_is_refused() -> None:
    replica = copy()
    before = state(replica)
    with pytest.raises(Gap):
        replica.remove(Removed(6, 7, [0]))
    with pytest.raises(ProtocolError, match="cut 4 after cut 5"):
        replica.remove(Removed(4, 4, [0]))
    assert state(replica) == before


# For people


def test_values_have_names_and_numbers_their_decimals() -> None:
    instrument = InstrumentState(Definition(0, "A", 2, 3, {}))
    values: dict[FieldKey, WireValue] = {
        BID: 19025,
        BID_SIZE: 1500,
        12: 7,
        TIME: 10**15,
        STATUS: "live",
        "own": 5,
        3: None,
    }
    assert instrument.fields(values) == {
        "bid": Decimal("190.25"),
        "bid_size": Decimal("1.500"),
        "trade_count": 7,
        "time": 10**15,
        "status": "live",
        "own": 5,
        "ask": None,
    }
    assert str(instrument.fields(values)["bid_size"]) == "1.500"
    assert [instrument.text(key, value) for key, value in values.items()] == [
        *["190.25", "1.500", 7, 10**15, "live", 5, None],
    ]
