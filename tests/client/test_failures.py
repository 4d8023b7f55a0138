"""Failures carry data: the HTTP status or close code with which the real service ends a connection, and its delay."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.support import update
from tests.tokens import key_file
from ticker import Disconnected, Event, connect
from ticker.config import Limits, Tokens
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


async def refusal(url: str, **options: object) -> ConnectionFailed:
    """The error of a first connection."""
    with pytest.raises(ConnectionFailed) as caught:
        async with connect(url, **options):  # type: ignore[arg-type]
            pytest.fail("it connected")
    return caught.value


async def test_without_a_token_the_error_carries_status_401_and_no_retry(tmp_path: Path) -> None:
    async with serving(*DECLARED, tokens=Tokens(key=key_file(tmp_path))) as service:
        for options in ({}, {"token": "not.a.token"}):
            error = await refusal(service.url, **options)
            assert (error.status, error.close_code, error.retryable) == (401, None, False)


async def test_an_unknown_path_carries_status_404_and_no_retry() -> None:
    async with serving(*DECLARED) as service:
        error = await refusal(service.url + "/elsewhere")
        assert (error.status, error.retryable, error.retry_seconds) == (404, False, 0)


@pytest.mark.parametrize(("limits", "status"), [(Limits(max_per_address=1), 429), (Limits(max_connections=1), 503)])
async def test_a_full_service_carries_its_status_and_the_delay_of_retry_after(limits: Limits, status: int) -> None:
    async with serving(*DECLARED, limits=limits) as service, connect(service.url):
        error = await refusal(service.url)
    assert (error.status, error.close_code, error.retryable) == (status, None, True)
    assert error.retry_seconds >= 1


async def test_a_host_that_cannot_be_reached_carries_neither_and_may_be_retried() -> None:
    error = await refusal("wss://nowhere.invalid")
    assert (error.status, error.close_code, error.retryable, error.retry_seconds) == (None, None, True, 0)


async def test_a_fatal_error_carries_the_close_code_that_follows_it() -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=100)) as service, connect(service.url) as client:
        with pytest.raises(ConnectionFailed, match="100 bytes") as caught:
            await anext(client.subscribe("A" * 120))
    error = caught.value
    assert (error.status, error.close_code, error.retryable) == (None, 1009, False)


async def test_a_service_that_stops_carries_1001_and_the_delay_of_its_goodbye() -> None:
    events: list[Event] = []
    lost = trio.Event()

    def happened(event: Event) -> None:
        events.append(event)
        if isinstance(event, Disconnected):
            lost.set()

    async with serving(*DECLARED, retry_ms=(7000, 7000)) as service, connect(service.url, on_event=happened):
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            await lost.wait()
    assert events[-1] == Disconnected("the server is stopping", 7.0, status=None, close_code=1001, url=service.url)
