"""ticker/client/bounds.py: a message beyond a limit is refused whole, and a server cannot fill a client."""

from __future__ import annotations

from copy import copy

import pytest

from tests.client.test_session import A, Conversation
from tests.support import cut, market
from ticker.client.bounds import MAX_DEFINED_TEXT, MAX_DEFINITIONS, MOST_FIELDS
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_FIELDS, MAX_METADATA, MAX_TEXT, Stale, Update
from ticker.protocol.messages import Definition, Delta, Error, Instruments, Reply, ServerMessage, Snapshot


def talking() -> Conversation:
    talk = Conversation()
    talk.welcome()
    talk.session.add_names(["*"])
    talk.asked()
    talk.says(Instruments([A]))
    talk.says(Snapshot(0, 1, 1, [], [0, {1: 100}]))
    return talk


def refuses(talk: Conversation, message: ServerMessage, text: str) -> None:
    before = copied(talk)
    with pytest.raises(ProtocolError, match=text):
        talk.says(message)
    assert copied(talk) == before


def copied(talk: Conversation) -> tuple[object, ...]:
    """The state that a refused message leaves as it is. `deepcopy` takes seconds for a full client."""
    replica = talk.session.replica
    record = replica.find("A")
    assert record is not None
    definitions = {name: copy(value) for name, value in vars(replica._definitions).items()}
    metadata = [dict(definition.metadata) for definition in replica._definitions.by_id.values()]
    return definitions, metadata, replica.cursor, record.present()


def definitions(first: int, count: int, metadata: dict[str, str]) -> Instruments:
    return Instruments([Definition(number, f"S{number}", 0, 0, metadata) for number in range(first, first + count)])


@pytest.mark.untraced
def test_definitions_without_end_are_refused() -> None:
    talk, step = talking(), 50_000
    for first in range(1, MAX_DEFINITIONS - step, step):
        talk.session.replica.define(definitions(first, step, {}))
    refuses(talk, definitions(MAX_DEFINITIONS - step + 1, step, {}), f"more than {MAX_DEFINITIONS} instruments")
    talk.welcome(epoch="e2")
    talk.says(definitions(0, 10, {}))


@pytest.mark.untraced
def test_texts_of_definitions_without_end_are_refused_and_those_that_come_again_count_once() -> None:
    talk = talking()
    full = {f"{number:0{MAX_TEXT}}": "x" * MAX_TEXT for number in range(MAX_METADATA)}
    size = MAX_METADATA * 2 * MAX_TEXT + 5
    step = 1000
    for first in range(1, MAX_DEFINED_TEXT // size - step, step):
        talk.session.replica.define(definitions(first, step, full))
    for _ in range(20):
        talk.session.replica.define(definitions(1, step, full))
    last = definitions(MAX_DEFINED_TEXT // size, step, full)
    with pytest.raises(ProtocolError, match=f"more than {MAX_DEFINED_TEXT} characters"):
        talk.session.replica.define(last)
    talk.session.replica.define(definitions(1, step, {}))
    talk.session.replica.define(last)


@pytest.mark.parametrize("metadata", [{f"k{number}": "" for number in range(33)}, {"name": "x" * 257}, {"x" * 257: ""}])
def test_metadata_beyond_the_limits_are_refused(metadata: dict[str, str]) -> None:
    refuses(talking(), definitions(5, 1, metadata), "metadata")


@pytest.mark.parametrize("symbol", ["\x1b[2J", "\u202eDSU", "a b", "a,b", "A*", "[A"])
def test_what_cannot_be_a_symbol_is_refused(symbol: str) -> None:
    refuses(talking(), Instruments([Definition(5, symbol, 0, 0, {})]), "is no symbol")


def own(count: int) -> dict[int | str, int | str | None]:
    return {f"f{number}": 1 for number in range(count)}


def test_an_instrument_has_so_many_fields_and_no_more() -> None:
    talk = talking()
    refuses(talk, Delta(1, 2, 2, [0, own(MOST_FIELDS)]), "instrument 0: more than 66 fields")
    talk.says(Delta(1, 2, 2, [0, own(MOST_FIELDS - 1)]))
    refuses(talk, Delta(2, 3, 3, [0, {"one_more": 1}]), "more than 66 fields")
    talk.says(Delta(2, 3, 3, [0, {"one_more": 1, "f0": None}]))
    refuses(talk, Snapshot(3, 4, 4, [], [0, own(MOST_FIELDS + 1)]), "more than 66 fields")


def test_an_instrument_with_all_its_fields_can_be_marked_stale() -> None:
    cache = market("A")
    cut(cache, Update("A", {f"f{number}": 1 for number in range(MAX_FIELDS + 1)}))
    cut(cache, Stale("A", "gap"))
    talk = talking()
    talk.says(Snapshot(1, 2, 2, [], [0, cache.records[0].present()]))
    assert len(cache.records[0].present()) == MOST_FIELDS


@pytest.mark.parametrize("fields", [{"note": "x" * 257}, {"x" * 33: 1}, {14: "x" * 257}])
def test_names_and_texts_of_fields_are_bounded(fields: dict[int | str, int | str]) -> None:
    refuses(talking(), Delta(1, 2, 2, [0, fields]), "a value that it cannot have")


def test_replies_and_errors_without_end_leave_nothing_behind() -> None:
    talk = talking()
    session = talk.session
    before = repr(session)
    for number in range(100, 1000):
        talk.says(Error(number, Code.BAD_REQUEST, "no" * 100, fatal=False))
        talk.says(Reply(number, {"outcomes": [[f"N{number}", int(Code.BAD_SYMBOL), "no"]]}))
    assert repr(session) == before
    assert not session._declined
    assert not session._failed
