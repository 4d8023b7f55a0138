"""ticker/net/failures.py: which failures come from outside, their causes in a line, and each fault's one traceback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest
import structlog
import trio
from trio_websocket import open_websocket_url

from tests.conftest import Logs
from ticker.errors import BadPublication, ConnectionFailed
from ticker.net.failures import FailureLog, cause_of, is_expected


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def name_not_found() -> None:
    await trio.open_tcp_stream("nosuchhost.invalid", 443)


async def connection_refused() -> None:
    await trio.open_tcp_stream("127.0.0.1", refused_port())


async def refused_within_groups() -> None:
    async with trio.open_nursery() as outer, trio.open_nursery():
        outer.start_soon(connection_refused)
        await trio.sleep_forever()


async def websocket_refused() -> None:
    async with open_websocket_url(f"ws://127.0.0.1:{refused_port()}"):
        pass


async def no_tls() -> None:
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(trio.serve_tcp, _say_hello, 0)
        host, port = listeners[0].socket.getsockname()[:2]
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1" if host == "0.0.0.0" else host, port)  # noqa: S104
        try:
            await stream.do_handshake()
        finally:
            await trio.aclose_forcefully(stream)


async def _say_hello(stream: trio.SocketStream) -> None:
    await stream.send_all(b"hello\r\n")


async def too_slow() -> None:
    with trio.fail_after(0):
        await trio.sleep_forever()


async def file_missing() -> None:
    await trio.Path("/nowhere/prices.json").read_text()


async def refused_by_peer() -> None:
    raise ConnectionFailed("the server refused it: 503", status=503)


@pytest.mark.parametrize(
    ("fail", "named"),
    [
        (name_not_found, "Name or service not known"),
        (connection_refused, "Connection refused"),
        (refused_within_groups, "Connection refused"),
        (websocket_refused, "Connection refused"),
        (no_tls, "WRONG_VERSION_NUMBER"),
        (too_slow, "TooSlowError"),
        (file_missing, "/nowhere/prices.json: No such file or directory"),
        (refused_by_peer, "the server refused it: 503"),
    ],
)
async def test_what_happens_outside_is_one_line_with_its_cause(
    fail: Callable[[], Awaitable[None]], named: str, logs: Logs
) -> None:
    failures = FailureLog(structlog.get_logger())
    for _ in range(2):
        with pytest.raises(Exception) as raised:  # noqa: PT011  # of any type
            await fail()
        assert is_expected(raised.value)
        failures.write("it failed", raised.value, next_try="soon")
    for entry in logs:
        assert named in entry["cause"]
        assert "\n" not in entry["cause"]
        assert (entry["log_level"], entry["next_try"]) == ("warning", "soon")
        assert "exc_info" not in entry
    assert len(logs) == 2


def fault(number: int) -> None:
    if number:
        raise KeyError("price")
    raise KeyError("price")


def test_a_fault_of_code_has_a_traceback_once_for_each_place(logs: Logs) -> None:
    failures = FailureLog(structlog.get_logger())
    for number in (0, 1, 0, 1, 0):
        try:
            fault(number)
        except KeyError as error:
            failures.write("it failed", ExceptionGroup("tasks", [error, OSError("lost")]))
    assert ["exc_info" in entry for entry in logs] == [True, True, False, False, False]
    assert all(entry["log_level"] == "error" for entry in logs)
    assert logs[0]["cause"] == "KeyError: 'price'; lost"
    assert "again at " in logs[2]["cause"]
    assert "test_failures.py:" in logs[2]["cause"]


def test_a_thousand_different_faults_have_a_hundred_tracebacks(logs: Logs) -> None:
    failures = FailureLog(structlog.get_logger())
    for number in range(1000):
        failures.write("it failed", type(f"Fault{number}", (Exception,), {})("no"))
    assert sum("exc_info" in entry for entry in logs) == 100
    assert len(logs) == 1000


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), BadPublication("a batch"), trio.ClosedResourceError()]
)
def test_faults_of_a_feeds_code_are_not_expected(error: Exception) -> None:
    assert not is_expected(error)


def test_a_cause_is_printable_and_bounded() -> None:
    assert cause_of(ssl.SSLError(1, "bad\x1b[2J\nthing")) == "bad\\x1b[2J thing"
    assert len(cause_of(ValueError("x" * 10_000))) <= 300
    assert cause_of(ExceptionGroup("all", [OSError(str(number)) for number in range(9)])) == "0; 1; 2; and 6 more"
