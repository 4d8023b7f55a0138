"""Errors and closing, through an independent client (tests/stranger/client.py): PROTOCOL.md, sections 7 and 8."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from tests.stranger.client import JSON, MSGPACK, PATIENCE, Client, RequestFailed, Service, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home"), "simulated?symbols=8&rate=400") as started:
        yield started


@pytest.mark.parametrize("encoding", [MSGPACK, JSON])
@pytest.mark.parametrize(
    ("code", "op", "keys"),
    [
        pytest.param(4, "suscribe", {"symbols": ["EURUSD"]}, id="unknown op"),
        pytest.param(5, "subscribe", {}, id="missing key"),
        pytest.param(5, "subscribe", {"symbols": ["EURUSD"], "intervall": 5}, id="unknown key"),
        pytest.param(5, "subscribe", {"symbols": "EURUSD"}, id="wrong type"),
        pytest.param(5, "subscribe", {"symbols": ["EURUSD"], "interval_ms": -1}, id="negative interval"),
        pytest.param(5, "instruments", {"match": "x" * 129}, id="long pattern"),
        pytest.param(10, "resume", {"epoch": "past", "cursor": 1, "symbols": ["EURUSD"]}, id="wrong epoch"),
        pytest.param(10, "resume", {"cursor": 2**53 - 1, "symbols": ["EURUSD"]}, id="cursor ahead"),
    ],
)
def test_an_error_that_is_not_fatal_leaves_the_connection_usable(
    service: Service, encoding: str, code: int, op: str, keys: dict[str, object]
) -> None:
    with Client(service, encoding=encoding) as client:
        with pytest.raises(RequestFailed) as failed:
            client.request(op, **({"epoch": client.welcome[2]} if op == "resume" else {}) | keys)
        assert (failed.value.id, failed.value.code, failed.value.fatal) == (1, code, False)
        assert client.request("subscriptions") == {"symbols": [], "interval_ms": 0}
        client.request("subscribe", symbols=["EURUSD"])
        client.read(1)
        assert client.copy.view().keys() == {"EURUSD"}


def test_a_resume_behind_a_subscribe_is_a_bad_request(service: Service) -> None:
    with Client(service) as client:
        client.request("subscribe", symbols=["EURUSD"])
        resume = {"op": "resume", "epoch": client.welcome[2], "cursor": client.copy.cursor, "symbols": ["MSFT"]}
        client.send_as_it_is(resume | {"id": 99})
        with pytest.raises(RequestFailed) as failed:
            client.answer(99)
        assert (failed.value.code, failed.value.fatal) == (5, False)
        assert client.request("subscriptions")["symbols"] == ["EURUSD"]
        client.read(3)
        client.verify()


@pytest.mark.parametrize("number", [None, "7", -1, 2**53, True, 7.5])
def test_a_request_without_a_readable_id_fails_with_an_error_that_has_none(service: Service, number: object) -> None:
    with Client(service) as client:
        client.send_as_it_is({"op": "ping"} if number is None else {"op": "ping", "id": number})
        with pytest.raises(RequestFailed) as failed:
            client.answer(None)
        assert (failed.value.id, failed.value.code, failed.value.fatal) == (None, 5, False)
        client.request("ping")


@pytest.mark.parametrize(
    ("encoding", "payload", "code", "close_code"),
    [
        pytest.param(MSGPACK, b"\xc1", 1, 1007, id="not msgpack"),
        pytest.param(MSGPACK, msgpack.packb(["ping", 1]), 1, 1007, id="not a map in msgpack"),
        pytest.param(MSGPACK, msgpack.packb({"op": "ping", "id": 1}) * 2, 1, 1007, id="two messages in one"),
        pytest.param(JSON, '{"op": "ping"', 1, 1007, id="not JSON"),
        pytest.param(JSON, "[]", 1, 1007, id="not a map in JSON"),
        pytest.param(MSGPACK, None, 2, 1009, id="too large in msgpack"),
        pytest.param(JSON, None, 2, 1009, id="too large in JSON"),
        pytest.param(MSGPACK, '{"op": "ping", "id": 1}', 3, 1003, id="text on a msgpack connection"),
        pytest.param(JSON, msgpack.packb({"op": "ping", "id": 1}), 3, 1003, id="binary on a JSON connection"),
    ],
)
def test_a_fatal_error_is_said_and_then_the_connection_closed_with_the_code_of_the_table(
    service: Service, encoding: str, payload: bytes | str | None, code: int, close_code: int
) -> None:
    with Client(service, encoding=encoding) as client:
        client.request("subscribe", symbols=["EURUSD"])
        too_long = client.welcome[7]["max_message_bytes"] + 1
        client.socket.send(payload or (" " * too_long if encoding == JSON else b" " * too_long))
        with pytest.raises(RequestFailed) as failed:
            client.answer(None)
        assert (failed.value.id, failed.value.code, failed.value.fatal) == (None, code, True)
        client.read_to_the_end()
        assert client.socket.close_code == close_code


@pytest.mark.parametrize(
    ("frame", "close_code"),
    [
        pytest.param(b"\x82\x00", 1002, id="not masked"),
        pytest.param(b"\xc2\x80\x00\x00\x00\x00", 1002, id="a reserved bit"),
        pytest.param(b"\x83\x80\x00\x00\x00\x00", 1002, id="an unknown opcode"),
        pytest.param(b"\x81\x81\x00\x00\x00\x00\xff", 1007, id="a text that is not UTF-8"),
    ],
)
def test_a_frame_that_breaks_rfc_6455_closes_with_the_code_of_the_table(
    service: Service, frame: bytes, close_code: int
) -> None:
    with Client(service, encoding=JSON) as client:
        client.socket.socket.sendall(frame)
        client.read_to_the_end()
        assert client.socket.close_code == close_code


def test_a_close_by_the_client_is_answered_in_kind(service: Service) -> None:
    with Client(service) as client:
        client.request("subscribe", symbols=["*"])
    assert client.socket.close_code == 1000


def test_a_service_that_stops_says_goodbye_and_closes_with_1001(tmp_path: Path) -> None:
    with running(tmp_path, "simulated?symbols=8&rate=400") as service:
        with Client(service) as busy, Client(service, encoding=JSON) as idle:
            busy.request("subscribe", symbols=["*"])
            service.process.send_signal(signal.SIGTERM)
            for client in (busy, idle):
                client.read_to_the_end()
                [(_, reason, retry, come_back, *_)] = [message for message in client.received if message[0] == 8]
                assert isinstance(reason, str)
                assert retry >= 0
                assert come_back is True
                assert client.socket.close_code == 1001
        assert service.process.wait(PATIENCE) == 0
