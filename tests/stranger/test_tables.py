"""Order books, trades and candles of the service, through an independent client (tests/stranger/client.py)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stranger.client import JSON, MSGPACK, Client, Service, meet, running
from tests.stranger.values import Message

TABLES = ["EURUSD book:10", "*USD book:25", "EURUSD trades:50", "XAUUSD trades:20", "EURUSD candles:1m:300"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home"), "simulated?symbols=8&rate=400") as started:
        yield started


def rows(client: Client, name: str, field: str) -> list[list[Any]]:
    held: list[list[Any]] = client.copy.view()[name].get(field, [])
    return held


def trades_in(message: Message, number: int) -> list[int]:
    """The numbers of the trades of this table in a data message."""
    if message[0] not in {5, 6}:
        return []
    found: list[int] = []
    for entries in message[4:6] if message[0] == 5 else [message[4]]:
        for each, fields in zip(entries[::2], entries[1::2], strict=True):
            found += fields.get(18, [])[::6] if each == number else []
    return found


def test_the_service_says_which_tables_there_are(service: Service) -> None:
    with Client(service) as client:
        features = client.welcome[8]
        assert {10, 25} <= set(features["book"])
        assert {20, 50} <= set(features["trades"])
        assert "1m" in features["candles"]["periods"]
        assert 300 in features["candles"]["rows"]
        assert features["digest"] is True


@pytest.mark.parametrize("encoding", [MSGPACK, JSON])
def test_tables_kept_by_changes_equal_those_taken_fresh(service: Service, encoding: str) -> None:
    with Client(service, encoding=encoding) as old, Client(service) as fresh:
        result = old.request("subscribe", symbols=["*", *TABLES])
        assert [code for _, code, *_ in result["outcomes"]] == [0] * 6
        old.read(60)
        fresh.request("subscribe", symbols=["*", *TABLES])
        meet(old, fresh)
        assert old.copy.view() == fresh.copy.view()
        old.verify()
        for name, depth in (("EURUSD book:10", 10), ("EURUSD book:25", 25), ("XAUUSD book:25", 25)):
            for side in ("bids", "asks"):
                assert 0 < len(rows(old, name, side)) <= depth
        assert 0 < len(rows(old, "XAUUSD trades:20", "trades")) <= 20
        assert 0 < len(rows(old, "EURUSD candles:1m:300", "candles")) <= 300
        assert "GBPUSD book:10" not in old.copy.view()


def test_tables_are_exact_through_reconnects_stalls_and_intervals(service: Service) -> None:
    client = Client(service)
    client.request("subscribe", symbols=["EURUSD", *TABLES])
    for interval, missed in ((0, 5), (80, 40), (0, 40)):
        client.read(5)
        client.lose_the_connection()
        with Client(service) as meanwhile:
            meanwhile.request("subscribe", symbols=["EURUSD"])
            meanwhile.read(missed)
        client = Client(service, copy=client.copy)
        defined = [each[0] for kind, *rest in client.received if kind == 4 for each in rest[0]]
        assert all(number < 0 for number in defined), "those of instruments are kept"
        assert len(defined) >= len(TABLES)
        client.request("subscribe", symbols=[], interval_ms=interval)
        client.read(10)
        client.verify()
    with client, Client(service) as fresh:
        client.request("subscribe", symbols=[], interval_ms=0)
        fresh.request("subscribe", symbols=["EURUSD", *TABLES])
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()


def test_a_client_that_keeps_up_gets_every_trade_and_in_changes_none_twice(service: Service) -> None:
    with Client(service) as client:
        client.request("subscribe", symbols=["BTCUSD trades:50"])
        (number,) = client.copy.records
        seen: list[int] = []
        while len(seen) < 80:
            message = client.receive()
            numbers = sorted(trades_in(message, number))
            fresh = [each for each in numbers if not seen or each > seen[-1]]
            assert message[0] == 5 or fresh == numbers
            seen += fresh
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert [message[0] for message in client.received].count(4) == 1


def test_tables_that_cannot_be_have_their_outcomes(service: Service) -> None:
    names = ["EURUSD book:7", "EURUSD candles:7m:10", "EURUSD tape:10", "* book:7", "NOPE book:10", "EURUSD  book:10"]
    with Client(service) as client:
        result = client.request("subscribe", symbols=[*names, "EURUSD book:10"])
        assert [(name, code) for name, code, *_ in result["outcomes"]] == [
            *zip(names, [12, 12, 12, 12, 6, 12], strict=True),
            ("EURUSD book:10", 0),
        ]
        texts = [text for _, code, text in result["outcomes"] if code == 12]
        assert all("book:10" in text or "10" in text for text in texts)
        assert client.copy.view().keys() == {"EURUSD book:10"}


def test_a_table_that_is_given_up_leaves_and_its_instrument_stays(service: Service) -> None:
    with Client(service) as client, Client(service) as fresh:
        client.request("subscribe", symbols=["EURUSD", "EURUSD book:10", "E* book:10"])
        assert client.copy.view().keys() == {"EURUSD", "EURUSD book:10", "ETHUSD book:10"}
        client.request("unsubscribe", symbols=["E* book:10"])
        assert client.copy.view().keys() == {"EURUSD", "EURUSD book:10"}
        client.request("unsubscribe", symbols=["EURUSD book:10"])
        assert client.copy.view().keys() == {"EURUSD"}
        client.read(5)
        client.request("subscribe", symbols=["EURUSD book:10"])
        client.read(5)
        fresh.request("subscribe", symbols=["EURUSD", "EURUSD book:10"])
        meet(client, fresh)
        assert client.copy.view() == fresh.copy.view()
        client.verify()
