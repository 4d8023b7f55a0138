"""The event stream of the service, through an independent client: PROTOCOL.md, section 9."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import pytest

from tests.stranger.client import PATIENCE, Client, Service, decode, running
from tests.stranger.held_copy import Copy
from tests.stranger.values import Message

NAMES = ["EURUSD", "XAU*", "EURUSD book:10", "*USD trades:20"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home"), "simulated?symbols=8&rate=400") as started:
        yield started


@contextmanager
def answer(service: Service, query: str, last: str = "") -> Iterator[http.client.HTTPResponse]:
    where = urlsplit(service.url)
    assert where.hostname is not None
    connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=PATIENCE, context=service.trust)
    try:
        connection.request("GET", f"/v1/events?{query}", headers={"Last-Event-ID": last} if last else {})
        yield connection.getresponse()
    finally:
        connection.close()


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Message]]:
    """Each event's id, empty if it has none, and its message."""
    number, text = "", ""
    while line := response.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name == "id":
            number = value
        elif name == "data":
            text = value
        elif not line.strip() and text:
            yield number, decode(text)
            number, text = "", ""


def follow(copy: Copy, response: http.client.HTTPResponse, op: str, changes: int) -> str:
    """Apply events until so many have come behind the reply. Returns the last id."""
    stream = events(response)
    _, welcome = next(stream)
    copy.apply(welcome)
    copy.begin(welcome)
    copy.sent({"op": op, "id": 1, "symbols": NAMES})
    last = ""
    while changes:
        number, message = next(stream)
        copy.apply(message)
        waits = bool(copy.asked)
        assert not (waits and number), "there is no id before the reply"
        changes -= not waits and message[0] == 6
        last = number or last
    assert last == f"{copy.epoch}:{copy.cursor}"
    return last


def test_a_copy_made_of_events_is_exact_and_goes_on_from_the_last_id(service: Service) -> None:
    copy, query = Copy(), "symbols=" + ",".join(map(quote, NAMES))
    with answer(service, query) as response:
        assert response.headers.get_content_type() == "text/event-stream"
        last = follow(copy, response, "subscribe", 10)
    kept = dict(copy.definitions)
    copy.lost()
    with answer(service, query, last) as response, Client(service) as fresh:
        follow(copy, response, "resume", 5)
        assert set(copy.definitions.values()) == set(kept.values())
        fresh.request("subscribe", symbols=NAMES)
        stream = events(response)
        while copy.cursor != fresh.copy.cursor:
            if copy.cursor < fresh.copy.cursor:
                copy.apply(next(stream)[1])
            else:
                fresh.receive()
        assert copy.view() == fresh.copy.view()


@pytest.mark.parametrize(
    "query",
    ["", "symbols=", "symbols=A&symbols=B", "symbols=A&names=B", "symbols=%ff", "symbols=A&interval_ms=x"],
)
def test_a_query_that_cannot_be_is_refused_in_http(service: Service, query: str) -> None:
    with answer(service, query) as response:
        assert response.status == 400
        assert json.loads(response.read())["code"] == 400


def test_names_that_are_not_there_have_their_outcomes_in_the_reply(service: Service) -> None:
    with answer(service, "symbols=EURUSD,,EURUSD,NOPE,EURUSD+book:7&interval_ms=50") as response:
        reply = next(message for _, message in events(response) if message[0] == 2)
    outcomes = [[name, code] for name, code, _ in reply[2]["outcomes"]]
    assert outcomes == [["EURUSD", 0], ["NOPE", 6], ["EURUSD book:7", 12]]
    assert reply[2]["interval_ms"] == 50
