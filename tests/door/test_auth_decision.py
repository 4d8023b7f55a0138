"""ticker/door/auth.py: decisions on single requests, with the configuration and the clock of a test."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.tokens import key_file, token
from ticker.bounds import SHARED_WAIT_SECONDS
from ticker.config import Config, Limits, Tokens
from ticker.door.auth import Auth
from ticker.door.callers import Caller
from ticker.door.grants import ANYONE, Grant
from ticker.door.sender import Sender
from ticker.errors import BadToken, ConfigError, RefusalCause
from ticker.net.http1 import Refusal


def auth(**limits: int) -> Auth:
    return Auth(Config(origins=["https://dash.example.com"], limits=Limits(**limits)))


def refusal(caught: pytest.ExceptionInfo[Refusal]) -> tuple[HTTPStatus, RefusalCause, str | None]:
    return caught.value.status, caught.value.cause, caught.value.headers.get("Retry-After")


async def test_the_rate_is_limited_by_subject_or_else_by_address() -> None:
    door = auth(requests_per_second=1, request_burst=2)
    alice = Grant("alice")
    assert [door.spend("a", alice, 2), door.spend("a", ANYONE, 2), door.spend("b", ANYONE, 2)] == [0, 0, 0]
    assert door.spend("b", alice, 1) > 0
    assert door.spend("a", ANYONE, 1) > 0


async def test_whatever_others_of_an_address_have_spent_nobody_waits_for_hours(mock_clock: MockClock) -> None:
    """Such as a thousand dashboards behind one address that come back at once."""
    door, sender = auth(requests_per_second=100, request_burst=500), Sender("a", ANYONE)
    waits = [door.spend_shared(sender, 500) for _ in range(1000)]
    assert waits[:10] == [0] * 10
    assert waits[10] == 0.5
    assert max(waits) == waits[-1] == SHARED_WAIT_SECONDS
    mock_clock.jump(SHARED_WAIT_SECONDS)
    assert door.spend_shared(sender, 1) < 1


async def test_a_request_beyond_the_rate_is_refused_with_the_seconds_to_wait(mock_clock: MockClock) -> None:
    door = auth(requests_per_second=1, request_burst=2)
    door.check_rate("a", ANYONE)
    door.check_rate("a", ANYONE)
    with pytest.raises(Refusal) as caught:
        door.check_rate("a", ANYONE)
    assert refusal(caught) == (HTTPStatus.TOO_MANY_REQUESTS, RefusalCause.RATE, "1")
    assert str(caught.value) == "too many requests; try again later"
    mock_clock.jump(1.5)
    with pytest.raises(Refusal) as caught:
        door.check_rate("a", ANYONE)
    assert refusal(caught) == (HTTPStatus.TOO_MANY_REQUESTS, RefusalCause.RATE, "1")
    mock_clock.jump(1.5)
    door.check_rate("a", ANYONE)


async def test_only_the_latest_senders_are_remembered() -> None:
    door = auth(max_connections=2, requests_per_second=1, request_burst=1)
    door.spend("a", ANYONE, 5)
    door.spend("b", ANYONE, 5)
    assert door.spend("a", ANYONE, 0) > 0  # now b is the oldest
    assert len(door._rate_limiters) == 2
    door.spend("c", ANYONE, 5)
    assert list(door._rate_limiters) == ["a", "c"]
    assert door.spend("b", ANYONE, 0) == 0


async def test_each_limit_of_connections_has_its_status_and_a_time_to_try_again() -> None:
    door = auth(max_connections=3, max_per_address=2, max_per_subject=1)

    def caller(address: str) -> Caller:
        return Caller(address, door.proxies, door.connection_limits)

    for address in ("a", "a", "b", "c", "c", "c"):
        door.connection_limits.connected(address)
    await door.admit(caller("a"), Grant("alice"))
    with pytest.raises(Refusal, match=r"^all places of this subject are taken$") as caught:
        await door.admit(caller("b"), Grant("alice"))
    assert refusal(caught) == (HTTPStatus.TOO_MANY_REQUESTS, RefusalCause.SUBJECT, "5")
    with pytest.raises(Refusal, match=r"^all places of this address are taken$") as caught:
        await door.admit(caller("c"), ANYONE)
    assert refusal(caught) == (HTTPStatus.TOO_MANY_REQUESTS, RefusalCause.ADDRESS, "5")
    await door.admit(caller("a"), ANYONE)
    await door.admit(caller("b"), ANYONE)
    with pytest.raises(Refusal, match=r"^all places are taken$") as caught:
        await door.admit(caller("d"), ANYONE)
    assert refusal(caught) == (HTTPStatus.SERVICE_UNAVAILABLE, RefusalCause.FULL, "5")


class _Elsewhere:
    """A place that another process counts."""

    def __init__(self, cause: RefusalCause | None) -> None:
        self.cause = cause
        self.asked: list[tuple[str, str | None]] = []

    async def admit(self, address: str, subject: str | None) -> RefusalCause | None:
        self.asked.append((address, subject))
        await trio.sleep(1)
        return self.cause

    def leave(self) -> None:
        pass


async def test_where_several_processes_count_all_of_them_have_to_agree(autojump_clock: MockClock) -> None:
    del autojump_clock
    door = auth(max_per_subject=1)
    full, free = _Elsewhere(RefusalCause.ADDRESS), _Elsewhere(None)
    refused = Caller("a", door.proxies, door.connection_limits, full)
    with pytest.raises(Refusal, match=r"^all places of this address are taken$"):
        await door.admit(refused, Grant("alice"))
    with trio.move_on_after(0.5):
        await door.admit(Caller("a", door.proxies, door.connection_limits, free), Grant("alice"))
    assert door.connection_limits.admitted == 0, "neither who was refused nor who has gone meanwhile"
    await door.admit(Caller("a", door.proxies, door.connection_limits, free), Grant("alice"))
    with pytest.raises(Refusal, match=r"^all places of this subject are taken$"):
        await door.admit(Caller("a", door.proxies, door.connection_limits, free), Grant("alice"))
    assert (full.asked, free.asked) == ([("a", "alice")], [("a", "alice")] * 2), "what this one refuses is not asked"


async def test_a_page_of_an_allowed_origin_may_read_responses_and_others_may_not() -> None:
    door = auth()
    headers = door.cors_headers({b"origin": b"https://dash.example.com", b"host": b"localhost"})
    assert headers == {
        "Access-Control-Allow-Origin": "https://dash.example.com",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "ETag, Retry-After",
        "Vary": "Origin",
    }
    for origin in ({}, {b"origin": b"https://evil.example"}, {b"origin": b"null"}):
        assert door.cors_headers({**origin, b"host": b"localhost"}) == {}


async def test_a_request_of_another_origin_is_refused_with_its_cause() -> None:
    with pytest.raises(Refusal) as caught:
        await auth().authorize({b"origin": b"https://evil.example", b"host": b"localhost"}, "192.0.2.1")
    assert refusal(caught) == (HTTPStatus.FORBIDDEN, RefusalCause.ORIGIN, None)
    assert await auth().authorize({b"host": b"localhost"}, "192.0.2.1") is ANYONE


@pytest.mark.parametrize(
    ("headers", "cause"),
    [
        ({b"sec-fetch-site": b"same-origin"}, None),
        ({b"origin": b"https://localhost"}, None),
        ({b"origin": b"https://dash.example.com", b"sec-fetch-site": b"cross-site"}, None),
        ({}, RefusalCause.ORIGIN),
        ({b"sec-fetch-site": b"same-site"}, RefusalCause.ORIGIN),
        ({b"sec-fetch-site": b"cross-site"}, RefusalCause.ORIGIN),
        ({b"sec-fetch-site": b"none"}, RefusalCause.ORIGIN),
        ({b"origin": b"null"}, RefusalCause.ORIGIN),
        ({b"origin": b"file://", b"sec-fetch-site": b"cross-site"}, RefusalCause.ORIGIN),
    ],
    ids=["own page", "own origin", "allowed origin", "unknown", "same site", "another site", "typed", "null", "file"],
)
async def test_a_token_in_a_cookie_counts_only_for_a_page_that_may_send_it(
    headers: dict[bytes, bytes], cause: RefusalCause | None, tmp_path: Path
) -> None:
    origins = ["https://dash.example.com", "null", "file://"]
    door = Auth(Config(origins=origins, tokens=Tokens(key=key_file(tmp_path))))
    assert door.keys is not None
    await door.keys.start()
    whole = {b"host": b"localhost", b"cookie": b"ticker_token=" + token(sub="alice").encode(), **headers}
    if cause is None:
        assert (await door.authorize(whole, "192.0.2.1")).subject == "alice"
    else:
        with pytest.raises(Refusal) as caught:
            await door.authorize(whole, "192.0.2.1")
        assert refusal(caught) == (HTTPStatus.FORBIDDEN, cause, None)


async def test_without_tokens_none_is_good() -> None:
    door = auth()
    with pytest.raises(BadToken, match="no tokens are asked for here"):
        door.check_token("a.b.c")
    await door.find_unknown_key()
    assert repr(door) == "<Auth: no tokens, <ConnectionLimits: 0 admitted of 0 open>>"


@pytest.mark.parametrize("text", ["Null", "dash.example.com", "https://dash.example.com/"])
def test_an_origin_in_the_configuration_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=f"^origins '{text}': give scheme and host"):
        Auth(Config(origins=[text]))
