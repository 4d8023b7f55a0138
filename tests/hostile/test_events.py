"""Attacks by way of the event stream, over real TLS, beside a client that has to be served (see test_list.py)."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Peer, Running
from tests.hostile.support import attacked
from ticker.config import Limits

ODD = {
    "no fields": "symbols=A&fields=",
    "fields in capitals": "symbols=A&fields=Bid",
    "a zero character among fields": "symbols=A&fields=bid%00",
    "an event's end among fields": "symbols=A&fields=bid%0A%0Adata:x",
    "thousands of fields": "symbols=A&fields=" + ",".join(f"f{number}" for number in range(2_000)),
    "a long field": "symbols=A&fields=" + "f" * 5_000,
    "fields that are no UTF-8": "symbols=A&fields=%FF",
    "fields twice": "symbols=A&fields=bid&fields=ask",
    "fields without symbols": "fields=bid",
    "another format": "symbols=A&format=" + "x" * 5_000,
    "an event's end in the format": "symbols=A&format=named%0A%0Adata:x",
    "an interval below 0": "symbols=A&interval_ms=-1&format=named",
    "an interval in other digits": "symbols=A&interval_ms=%D9%A3",
    "an interval beyond all numbers": "symbols=A&interval_ms=" + "9" * 5_000,
    "a long symbol": "symbols=" + "A" * 5_000 + "&format=named",
    "an event's end in a symbol": "symbols=A%0A%0Adata:x",
    "an id in the query": "symbols=A&last-event-id=x:1",
}
IDS = ["", ":", "EPOCH", "EPOCH:", "EPOCH:-1", "EPOCH:1e3", "EPOCH:\xb2", "EPOCH:" + "9" * 15, "EPOCH:" + "9" * 8_000]
IDS += ["EPOCH:1:1", "x" * 8_000 + ":1", "EPOCH:1, EPOCH:1"]


async def answer(service: Running, query: str, more: str = "") -> Peer:
    """A connection behind its request for events, and behind the head of the answer."""
    peer = await service.dial()
    await peer.send(f"GET /v1/events?{query} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode("latin-1"))
    assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
    return peer


async def test_an_odd_request_for_events_is_refused_in_brief() -> None:
    async with attacked() as service:
        for path in ("events", "snapshot"):
            for query in ODD.values():
                request = f"GET /v1/{path}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                head, _, body = (await service.refusal(request.encode())).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 400 "), query[:60]
                assert json.loads(body)["message"]
                assert len(body) < 600


@pytest.mark.parametrize("form", ["", "&format=named"])
async def test_with_any_last_event_id_everything_comes(form: str) -> None:
    async with attacked() as service:
        peer = await service.peer()
        assert peer.welcome is not None
        for last in IDS:
            line = f"Last-Event-ID: {last.replace('EPOCH', peer.welcome.epoch)}\r\n"
            with trio.fail_after(HANG_SECONDS):
                reader = await answer(service, f"symbols=A,B&interval_ms=60000{form}", line)
                while not any(each in reader._received for each in (b'"event":"reply"', b"data: [2,1,")):
                    await reader._more()
            values = (b'"bid":"2.00"', b'{"1":200}')
            assert any(each in reader._received for each in values), last[:40]
            await reader.close()


@pytest.mark.parametrize("behind", [b"\0" * 4_096, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100])
async def test_bytes_without_end_behind_a_request_for_events_end_it(behind: bytes) -> None:
    async with attacked(limits=Limits(max_message_bytes=50_000)) as service:
        peer = await answer(service, "symbols=*&format=named")
        with trio.fail_after(HANG_SECONDS):
            with suppress(trio.BrokenResourceError):
                while True:
                    await peer.send(behind)
            received = await peer.rest()
        assert b"HTTP/1.1" not in received
