"""The service from outside, through an independent client (tests/stranger/client.py): PROTOCOL.md by section."""

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.stranger.client import JSON, MSGPACK, PATIENCE, Client, Service, decode, meet, running
from tests.stranger.values import Message

# ---- The service -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home"), "simulated?symbols=8&rate=400") as started:
        yield started


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home"), "simulated?symbols=1200&rate=50") as started:
        yield started


def kinds(messages: list[Message]) -> list[int]:
    return [message[0] for message in messages]


def data(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message[0] in {5, 6}]


def changed(messages: list[Message]) -> dict[tuple[int, int | str], object]:
    """Return the sum of the changes in data messages: the last value of each field of each instrument."""
    return {
        (number, key): value
        for message in data(messages)
        for number, fields in zip(message[4][::2], message[4][1::2], strict=True)
        for key, value in fields.items()
    }


# ---- Connecting (section 2) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "taken", "encoded"),
    [
        ([], None, bytes),
        ([MSGPACK], MSGPACK, bytes),
        ([JSON], JSON, str),
        (["ticker.v9.morse", JSON, MSGPACK], JSON, str),
        ([MSGPACK, JSON], MSGPACK, bytes),
    ],
)
def test_the_first_known_subprotocol_is_taken_and_msgpack_where_none_is_offered(
    service: Service, offered: list[str], taken: str | None, encoded: type
) -> None:
    subprotocols = [Subprotocol(name) for name in offered] or None
    with connect(service.url, ssl=service.trust, subprotocols=subprotocols, proxy=None) as connection:
        welcome = connection.recv(timeout=PATIENCE)
        assert connection.subprotocol == taken
        assert isinstance(welcome, encoded)
        match decode(welcome):
            case [1, 1, str(), str(), int(), int(), int(), dict(limits), dict(features), *_]:
                assert {"max_message_bytes", "max_symbols", "max_patterns", "max_tables", "min_interval_ms"} <= {
                    *limits
                }
                assert features.keys() <= {"book", "trades", "candles", "digest", "delay", "fields"}
            case other:
                pytest.fail(f"{other} is no WELCOME")


def test_no_extension_is_negotiated_though_one_is_offered(service: Service) -> None:
    with connect(service.url, ssl=service.trust, compression="deflate", proxy=None) as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


UPGRADE = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
OPEN = "GET /v1/stream HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        pytest.param("what is this", UPGRADE, 400, id="no HTTP"),
        pytest.param(OPEN, UPGRADE | {"Sec-WebSocket-Key": "short"}, 400, id="no WebSocket key"),
        pytest.param(OPEN, UPGRADE | {"Sec-WebSocket-Protocol": "ticker.v9.morse"}, 400, id="no known subprotocol"),
        pytest.param("GET /v1/steam HTTP/1.1", UPGRADE, 404, id="another path"),
        pytest.param("POST /v1/stream HTTP/1.1", UPGRADE | {"Content-Length": "0"}, 405, id="another method"),
        pytest.param(OPEN, {"Host": "localhost"}, 426, id="no upgrade"),
        pytest.param(OPEN, UPGRADE | {"Sec-WebSocket-Version": "8"}, 426, id="another version"),
        pytest.param(OPEN, UPGRADE | {"Cookie": "x" * 2**14}, 431, id="too long"),
    ],
)
def test_a_request_that_cannot_be_upgraded_is_refused_in_http(
    service: Service, line: str, headers: dict[str, str], status: int
) -> None:
    where = urlsplit(service.url)
    assert where.hostname is not None
    head = "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
    with (
        socket.create_connection((where.hostname, where.port), PATIENCE) as plain,
        service.trust.wrap_socket(plain, server_hostname=where.hostname) as secure,
    ):
        secure.sendall(head.encode())
        with http.client.HTTPResponse(secure) as response:
            response.begin()
            body = json.loads(response.read())
    assert (response.status, response.headers.get_content_type()) == (status, "application/json")
    assert body["code"] == status
    assert isinstance(body["message"], str)


# ---- Subscribing (sections 3 and 5) ----------------------------------------------------------------------------------


def test_a_subscribe_brings_definitions_then_records_and_then_its_reply(service: Service) -> None:
    with Client(service) as client:
        assert client.copy.cursor == client.welcome[4]
        result = client.request("subscribe", symbols=["EURUSD", "XAU*", "[BE]T?USD"])
        assert [kind for kind in kinds(client.received) if kind != 6] == [1, 4, 5, 2]
        assert result == {"outcomes": [[name, 0, ""] for name in ["EURUSD", "XAU*", "[BE]T?USD"]], "interval_ms": 0}
        assert client.copy.view().keys() == {"EURUSD", "XAUUSD", "BTCUSD", "ETHUSD"}
        assert all("bid" in record for record in client.copy.view().values())
        replied = len(client.received)
        client.read(3)
        assert kinds(client.received[replied:]) == [6, 6, 6]


@pytest.mark.parametrize("encoding", [MSGPACK, JSON])
def test_a_copy_kept_by_changes_equals_one_taken_fresh(service: Service, encoding: str) -> None:
    with Client(service, encoding=encoding) as old, Client(service) as fresh:
        old.request("subscribe", symbols=["*USD"])
        old.read(20)
        old.request("subscribe", symbols=["MSFT", "AAPL"])
        old.read(20)
        fresh.request("subscribe", symbols=["AAPL", "*USD", "MSFT"])
        assert fresh.copy.cursor >= old.copy.cursor
        meet(old, fresh)
        assert old.copy.view() == fresh.copy.view()
        assert len(old.copy.records) == 7


def test_requests_sent_in_one_go_are_answered_in_their_order_and_leave_the_copy_whole(service: Service) -> None:
    with Client(service) as client, Client(service) as fresh:
        numbers = [
            client.send("subscribe", symbols=["*"]),
            client.send("unsubscribe", symbols=["*"]),
            client.send("ping"),
            client.send("subscribe", symbols=["E*"]),
            client.send("subscriptions"),
        ]
        client.answer(numbers[-1])
        assert [message[1] for message in client.received if message[0] == 2] == numbers
        fresh.request("subscribe", symbols=["E*"])
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()
        assert client.copy.confirmed == ["E*"]


def test_unknown_and_bad_names_have_their_outcomes_and_the_others_go_through(service: Service) -> None:
    names = ["NOPE", "EURUSD", "EUR USD", "", "x" * 129, "a,b", "MS*"]
    with Client(service) as client:
        result = client.request("subscribe", symbols=names)
        assert [(name, code) for name, code, *_ in result["outcomes"]] == list(
            zip(names, [6, 0, 12, 7, 7, 7, 0], strict=True)
        )
        assert client.copy.view().keys() == {"EURUSD", "MSFT"}
        assert client.request("subscriptions")["symbols"] == ["EURUSD", "NOPE", "MS*"]


def test_names_beyond_the_limit_have_outcome_8_and_those_that_are_there_stay(service: Service) -> None:
    with Client(service) as client:
        limit = client.welcome[7]["max_symbols"]
        client.request("subscribe", symbols=["EURUSD"])
        result = client.request("subscribe", symbols=[f"NOPE{number}" for number in range(limit)])
        assert [code for _, code, *_ in result["outcomes"]] == [6] * (limit - 1) + [8]
        result = client.request("subscribe", symbols=["EURUSD", "MSFT"])
        assert [code for _, code, *_ in result["outcomes"]] == [0, 8]


def test_there_is_a_limit_of_patterns_within_that_of_names(service: Service) -> None:
    with Client(service) as client:
        limit = client.welcome[7]["max_patterns"]
        patterns = [f"NOPE{number}*" for number in range(limit)]
        result = client.request("subscribe", symbols=[*patterns, "EUR*", "EURUSD"])
        assert [code for _, code, *_ in result["outcomes"]] == [0] * limit + [8, 0]
        client.request("unsubscribe", symbols=patterns[:1])
        assert client.request("subscribe", symbols=["EUR*"])["outcomes"] == [["EUR*", 0, ""]]


def test_unsubscribed_instruments_come_no_more_but_those_that_another_name_matches_do(service: Service) -> None:
    with Client(service) as client, Client(service) as fresh:
        client.request("subscribe", symbols=["*", "EUR*", "GBPUSD"])
        client.read(3)
        result = client.request("unsubscribe", symbols=["*", "MSFT"])
        assert [(name, code) for name, code, *_ in result["outcomes"]] == [("*", 0), ("MSFT", 9)]
        assert client.copy.view().keys() == {"EURUSD", "GBPUSD"}
        *_, removed, reply = [kind for kind in kinds(client.received) if kind not in {5, 6}]
        assert (removed, reply) == (10, 2)
        replied = len(client.received)
        client.read(10)
        assert {number for number, _ in changed(client.received[replied:])} <= client.copy.records.keys()
        assert client.copy.view().keys() == {"EURUSD", "GBPUSD"}
        fresh.request("subscribe", symbols=["EURUSD", "GBPUSD"])
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()


def test_an_interval_makes_messages_that_skip_cuts_and_lose_nothing(service: Service) -> None:
    with Client(service) as slow, Client(service) as fast:
        fast.request("subscribe", symbols=["*"])
        assert slow.request("subscribe", symbols=["*"], interval_ms=150)["interval_ms"] == 150
        replied = len(slow.received)
        # On a busy machine a whole step of the interval may be one cut.
        while not any(cut - since > 1 for _, since, cut, *_ in data(slow.received[replied:])):
            slow.receive()
        meet(slow, fast)
        assert slow.copy.view() == fast.copy.view()
        assert len(data(slow.received)) < len(data(fast.received))


def test_an_interval_does_not_hold_back_the_data_that_answers_a_request(service: Service) -> None:
    with Client(service) as client, Client(service) as fresh:
        assert client.request("subscribe", symbols=["EURUSD"], interval_ms=10**9)["interval_ms"] == 60000 > PATIENCE
        client.request("subscribe", symbols=["XAU*"])
        assert client.copy.view().keys() == {"EURUSD", "XAUUSD"}
        assert client.request("subscriptions") == {"symbols": ["EURUSD", "XAU*"], "interval_ms": 60000}
        fresh.request("subscribe", symbols=["EURUSD", "XAUUSD"])
        assert client.request("subscribe", symbols=[], interval_ms=0) == {"outcomes": [], "interval_ms": 0}
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()


def test_many_instruments_come_in_several_snapshots_before_the_one_reply(crowded: Service) -> None:
    with Client(crowded) as client, Client(crowded) as fresh:
        client.request("subscribe", symbols=["*"])
        assert kinds(client.received).count(5) > 1
        assert kinds(client.received).count(2) == 1
        assert len(client.copy.records) == 1200
        client.read(5)
        fresh.request("subscribe", symbols=["*"])
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()


# ---- Resuming --------------------------------------------------------------------------------------------------------


def test_a_resume_after_a_lost_connection_brings_exactly_what_changed_since_the_cursor(service: Service) -> None:
    with Client(service) as witness:
        witness.request("subscribe", symbols=["*"])
        with Client(service) as lost:
            lost.request("subscribe", symbols=["*"])
            lost.read(5)
            meet(lost, witness)
            lost.lose_the_connection()
        cut, seen = lost.copy.cursor, len(witness.received)
        witness.read(10)
        with Client(service, copy=lost.copy) as back, Client(service) as fresh:
            assert kinds(back.received)[:2] == [1, 6]
            assert set(kinds(back.received)[2:-1]) <= {6}
            assert back.received[1][1] == cut
            assert back.copy.cursor > cut
            meet(back, witness)
            assert changed(back.received) == changed(witness.received[seen:])
            fresh.request("subscribe", symbols=["*"])
            meet(back, fresh)
            assert back.copy.view() == fresh.copy.view()


def test_names_whose_reply_was_lost_with_the_connection_are_forgotten_and_subscribed_after_the_resume(
    service: Service,
) -> None:
    with Client(service) as lost:
        lost.request("subscribe", symbols=["EURUSD", "GBPUSD", "NOPE"])
        lost.send("unsubscribe", symbols=["GBPUSD"])
        lost.send("subscribe", symbols=["MS*"])
        while kinds(lost.received)[-1] != 5 or "MSFT" not in lost.copy.view():
            lost.receive()
        # The reply to this one has not been read.
        lost.lose_the_connection()
    assert (lost.copy.confirmed, lost.copy.wanted) == (["EURUSD", "NOPE"], ["EURUSD", "NOPE", "MS*"])
    with Client(service, copy=lost.copy) as back, Client(service) as fresh:
        resumed = [message for message in back.received if message[0] in {2, 10}]
        assert resumed[0][0] == 10, "what is forgotten leaves the copy first"
        assert back.request("subscriptions")["symbols"] == ["EURUSD", "NOPE", "MS*"]
        fresh.request("subscribe", symbols=["MS*", "EURUSD"])
        meet(back, fresh)
        assert back.copy.view() == fresh.copy.view()
        back.verify()


def test_a_copy_of_another_servers_life_is_forgotten_and_subscribed_anew(service: Service, crowded: Service) -> None:
    with Client(crowded) as lost:
        lost.request("subscribe", symbols=["EURUSD", "MSFT"])
        lost.lose_the_connection()
    assert lost.copy.epoch == lost.welcome[2]
    with Client(service, copy=lost.copy) as back, Client(service) as fresh:
        assert back.copy.epoch == back.welcome[2] != lost.welcome[2]
        assert [kind for kind in kinds(back.received) if kind != 6] == [1, 4, 5, 2]
        fresh.request("subscribe", symbols=["EURUSD", "MSFT"])
        meet(back, fresh)
        assert back.copy.view() == fresh.copy.view()


# ---- The other requests ----------------------------------------------------------------------------------------------


def test_instruments_can_be_searched_without_subscribing(service: Service) -> None:
    with Client(service) as client:
        result = client.request("instruments", match="*USD", after="BTCUSD")
        assert result["more"] is False
        assert [symbol for _, symbol, *_ in result["instruments"]] == ["ETHUSD", "EURUSD", "GBPUSD", "XAUUSD"]
        assert [symbol for _, symbol, *_ in client.request("instruments", match="MSFT")["instruments"]] == ["MSFT"]
        assert client.request("instruments", match="NOPE") == {"instruments": [], "more": False}
        assert client.request("subscriptions")["symbols"] == []


def test_a_long_search_goes_on_behind_the_last_symbol_of_each_page(crowded: Service) -> None:
    with Client(crowded) as client:
        pages = [client.request("instruments")]
        while pages[-1]["more"]:
            pages.append(client.request("instruments", match="*", after=pages[-1]["instruments"][-1][1]))
        assert [len(page["instruments"]) for page in pages] == [500, 500, 200]
        found = [(symbol, number) for page in pages for number, symbol, *_ in page["instruments"]]
        assert found == sorted(set(found))
        client.request("subscribe", symbols=["*"])
        defined = {(definition.name, number) for number, definition in client.copy.definitions.items()}
        assert set(found) == defined


def test_pings_of_both_kinds_are_answered(service: Service) -> None:
    with Client(service) as client:
        first, second = client.request("ping"), client.request("ping")
        assert client.welcome[4] <= first["cut"] <= second["cut"]
        assert client.welcome[5] <= first["time"] <= second["time"]
        assert client.socket.ping().wait(PATIENCE)
