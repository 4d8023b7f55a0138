"""ticker/client/resume.py: when a copy is resumed, and the fields that are gone where it is not."""

from __future__ import annotations

import pytest

from ticker.client.replica import InstrumentState, Replica
from ticker.client.resume import VanishedFields, max_request_bytes, may_resume
from ticker.protocol.messages import Definition, Welcome
from ticker.protocol.symbols import matcher


def welcome(epoch: str = "e", cut: int = 5, **limits: int) -> Welcome:
    return Welcome(1, epoch, "session", cut, 0, 0, limits)


def copy() -> Replica:
    replica = Replica(lambda _: True)
    replica.welcome(welcome(), resumable=False)
    return replica


def state(symbol: str, **own: int) -> InstrumentState:
    made = InstrumentState(Definition(0, symbol, 0, 0, {}))
    made.values.update(own)
    return made


@pytest.mark.parametrize("cut", [5, 6])
def test_confirmed_names_are_resumed_on_the_same_epoch_from_a_server_that_is_not_behind(cut: int) -> None:
    assert may_resume(copy(), welcome(cut=cut), {"A"}, b"request")


def test_no_copy_is_resumed_on_another_epoch_or_from_a_server_behind_it() -> None:
    assert not may_resume(copy(), welcome("other"), {"A"}, b"request")
    assert not may_resume(copy(), welcome(cut=4), {"A"}, b"request")


def test_nothing_is_resumed_without_confirmed_names() -> None:
    assert not may_resume(copy(), welcome(), set(), b"request")


def test_a_resume_has_to_fit_into_one_request() -> None:
    assert may_resume(copy(), welcome(max_message_bytes=7), {"A"}, b"request")
    assert not may_resume(copy(), welcome(max_message_bytes=6), {"A"}, b"request")


def test_a_server_that_names_no_limit_takes_64_kib() -> None:
    assert max_request_bytes(welcome()) == max_request_bytes(None) == 65_536
    assert max_request_bytes(welcome(max_message_bytes=9)) == 9


def test_fields_that_do_not_come_again_are_withdrawn_with_the_changes_of_their_instrument() -> None:
    vanished = VanishedFields()
    vanished.add([state("A", x=1, y=2), state("B", x=3)])
    changes = {"A": {"x": 4}, "C": {"x": 5}}
    vanished.complete(changes)  # type: ignore[arg-type]
    assert changes == {"A": {"x": 4, "y": None}, "C": {"x": 5}}
    assert vanished
    assert vanished.take_withdrawals(matcher(["B*"])) == {}
    assert vanished.take_withdrawals(matcher(["A"])) == {"B": {"x": None}}
    assert not vanished
    assert vanished.take_withdrawals(matcher([])) == {}


def test_an_instrument_is_completed_once() -> None:
    vanished = VanishedFields()
    vanished.add([state("A", x=1)])
    vanished.complete({"A": {}})
    changes: dict[str, dict[str, None]] = {"A": {}}
    vanished.complete(changes)  # type: ignore[arg-type]
    assert changes == {"A": {}}
