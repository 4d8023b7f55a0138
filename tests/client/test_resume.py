"""ticker/client/resume.py: when a copy is resumed."""

from __future__ import annotations

import pytest

from ticker.client.replica import Replica
from ticker.client.resume import MAX_REFUSALS, max_request_bytes, may_resume
from ticker.protocol.messages import Welcome


def welcome(epoch: str = "e", cut: int = 5, **limits: int) -> Welcome:
    return Welcome(1, epoch, "session", cut, 0, 0, limits)


def copy() -> Replica:
    replica = Replica()
    replica.welcome(welcome(), resumable=False)
    return replica


@pytest.mark.parametrize("cut", [4, 5, 6])
def test_confirmed_names_are_resumed_on_the_same_epoch_wherever_the_server_stands(cut: int) -> None:
    assert may_resume(copy(), welcome(cut=cut), {"A"}, b"request", 0)


def test_no_copy_is_resumed_on_another_epoch() -> None:
    assert not may_resume(copy(), welcome("other"), {"A"}, b"request", 0)


def test_nothing_is_resumed_without_confirmed_names() -> None:
    assert not may_resume(copy(), welcome(), set(), b"request", 0)


def test_a_resume_has_to_fit_into_one_request() -> None:
    assert may_resume(copy(), welcome(max_message_bytes=7), {"A"}, b"request", 0)
    assert not may_resume(copy(), welcome(max_message_bytes=6), {"A"}, b"request", 0)


def test_a_copy_of_which_two_messages_were_refused_is_not_resumed() -> None:
    assert may_resume(copy(), welcome(), {"A"}, b"request", MAX_REFUSALS)
    assert not may_resume(copy(), welcome(), {"A"}, b"request", MAX_REFUSALS + 1)


def test_a_server_that_names_no_limit_takes_64_kib() -> None:
    assert max_request_bytes({}) == 65_536
    assert max_request_bytes({"max_message_bytes": 9}) == 9
