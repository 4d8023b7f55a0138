"""ticker/client/reconnect.py: the retry rule of each way in which a connection can end."""

from __future__ import annotations

import json

import pytest

from ticker.client.events import Disconnected
from ticker.client.reconnect import LOST, NOT_COMPLETED, Backoff, ConnectionEnd, rejected
from ticker.protocol.messages import Goodbye

NOT_RETRIED = {1002, 1003, 1007, 1009}


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 4001, 4008, 4999])
def test_a_close_code_is_carried_and_decides_by_its_row_in_the_table(code: int) -> None:
    end = LOST.after_close(code)
    assert (end.reason, end.close_code, end.status) == ("the connection was lost", code, None)
    assert end.retryable == (code not in NOT_RETRIED)


@pytest.mark.parametrize("code", [None, 1005, 1006])
def test_a_connection_lost_without_a_close_code_carries_none_and_is_retried(code: int | None) -> None:
    assert LOST.after_close(code) == LOST
    assert LOST.retryable
    assert (LOST.retry_seconds, LOST.status, LOST.close_code) == (0, None, None)


def test_a_goodbye_gives_reason_delay_and_whether_to_come_back() -> None:
    end = LOST.after_goodbye(Goodbye("maintenance", 1500, come_back=True)).after_close(1001)
    assert end == ConnectionEnd("maintenance", retryable=True, retry_seconds=1.5, close_code=1001)
    assert not LOST.after_goodbye(Goodbye("moved", 0, come_back=False)).after_close(1001).retryable


RETRIED = [408, 425, 429, 500, 502, 503, 504]
STATUSES = [200, 301, 400, 401, 403, 404, 405, 426, 431, 501, 505, *RETRIED]


def own(status: int, message: str = "no") -> bytes:
    return json.dumps({"code": status, "message": message}).encode()


@pytest.mark.parametrize("status", STATUSES)
def test_an_http_status_is_carried_and_only_a_passing_condition_is_retried(status: int) -> None:
    end = rejected(status, "", own(status))
    assert end == ConnectionEnd(
        f"the server answered with HTTP status {status}: no", retryable=status in RETRIED, status=status
    )


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><title>Log in</title>",
        b"{",
        b"[]",
        b'{"code": 418, "message": "of another status"}',
        b'{"message": "no"}',
        b'{"code": "404"}',
        b'{"error": "login"}',
        b"\xff",
        b"[" * 100_000,
        b"7",
    ],
)
def test_an_answer_that_is_not_the_services_own_may_pass(status: int, body: bytes) -> None:
    end = rejected(status, "", body)
    assert end.retryable
    assert end.reason == f"something in between answered, with HTTP status {status}; it is not a Ticker service"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("7", 7),
        (" 12 ", 12),
        ("0", 0),
        ("99999999", 86_400),
        ("9" * 400, 86_400),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("٣", 0),
    ],
)
def test_retry_after_is_the_shortest_wait_in_seconds(header: str, seconds: float) -> None:
    assert rejected(503, header, b"").retry_seconds == seconds


def test_the_message_of_a_body_is_part_of_the_reason_printable_and_not_without_end() -> None:
    assert rejected(404, "", own(404, "not here")).reason == "the server answered with HTTP status 404: not here"
    assert rejected(404, "", own(404, "\x1b[2J\u202e")).reason.endswith("404: \\x1b[2J\\u202e")
    assert rejected(404, "", own(404, "x" * 10_000)).reason.endswith("404: " + "x" * 299 + "…")


def test_the_reason_of_a_goodbye_is_printable_and_not_without_end() -> None:
    assert LOST.after_goodbye(Goodbye("\x1b]0;title\x07", 0, come_back=True)).reason == "\\x1b]0;title\\x07"
    assert len(LOST.after_goodbye(Goodbye("x" * 10**6, 0, come_back=True)).reason) == 300


def test_no_server_sends_a_client_away_for_longer_than_a_day() -> None:
    assert LOST.after_goodbye(Goodbye("later", 2**53 - 1, come_back=True)).retry_seconds == 86_400


def test_error_and_event_carry_the_data_of_the_end() -> None:
    end = ConnectionEnd("no", retryable=True, retry_seconds=2, status=503, close_code=None)
    error = end.failure("wss://host")
    assert str(error) == "wss://host: no"
    assert (error.status, error.close_code, error.retryable, error.retry_seconds) == (503, None, True, 2)
    assert end.event(2.5) == Disconnected("no", 2.5, status=503, close_code=None)
    closed = ConnectionEnd("no", retryable=False, close_code=1009)
    error = closed.failure("wss://host")
    assert (error.status, error.close_code, error.retryable, error.retry_seconds) == (None, 1009, False, 0)
    assert closed.event(1) == Disconnected("no", 1, status=None, close_code=1009)


def test_waits_double_up_to_fifteen_seconds_with_a_jitter_of_half() -> None:
    for _ in range(50):
        backoff = Backoff()
        for top in (0.25, 0.5, 1, 2, 4, 8, 15, 15):
            assert top / 2 <= backoff.next_wait() <= top
        backoff.reset()
        assert backoff.next_wait() <= 0.25


def test_waits_of_clients_are_spread() -> None:
    assert len({Backoff().next_wait() for _ in range(20)}) > 10


def test_the_servers_wait_counts_where_it_is_longer() -> None:
    backoff = Backoff()
    assert backoff.next_wait(at_least=30) == 30
    assert 0.25 <= backoff.next_wait(at_least=0.1) <= 0.5


def test_clients_that_hear_the_same_retry_after_come_back_at_different_moments() -> None:
    end = rejected(503, "5", own(503))
    waits = [Backoff().next_wait(end.retry_seconds, end.spread_seconds) for _ in range(200)]
    assert all(5 <= wait <= 10 for wait in waits)
    assert max(waits) - min(waits) > 2.5
    assert end.failure("wss://host").retry_seconds == 5


@pytest.mark.parametrize("code", [1002, 1007, 1009])
def test_a_fault_found_before_the_welcome_is_tried_again_because_it_may_come_from_a_proxy(code: int) -> None:
    assert NOT_COMPLETED.before_welcome(code) == NOT_COMPLETED
    assert not NOT_COMPLETED.after_close(code).retryable
    assert not NOT_COMPLETED.before_welcome(1003).retryable
