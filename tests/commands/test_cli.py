"""ticker/commands/cli.py: the commands in processes of their own, as people and scripts start them."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.commands.terminal import in_terminal
from tests.conftest import serving
from tests.support import update
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00", trade_count=3, note="é"))
TICKER = [sys.executable, "-m", "ticker"]
COUNTING = ["--feed", "tests.feeds_for_tests:Counting", "--listen", "127.0.0.1:0"]


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[trio.Process]:
    """A command that runs; it is killed if it still does at the end."""
    process = await trio.lowlevel.open_process(
        [*TICKER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(20):
            async with process.stdout, process.stderr:
                yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def lines(process: trio.Process, count: int) -> list[str]:
    """The next lines of its stdout; what comes behind them in the same moment is lost."""
    assert process.stdout is not None
    received = b""
    while received.count(b"\n") < count:
        data = await process.stdout.receive_some()
        assert data, received
        received += data
    return received.decode().splitlines()[:count]


async def rest(stream: trio.abc.ReceiveStream | None) -> str:
    assert stream is not None
    return b"".join([data async for data in stream]).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_says_ready_with_its_url_and_a_signal_ends_it_well(number: signal.Signals) -> None:
    async with started("serve", *COUNTING) as process:
        (ready,) = await lines(process, 1)
        found = re.fullmatch(r"ready wss://127\.0\.0\.1:([0-9]+)/v1/stream", ready)
        assert found is not None
        (await trio.open_tcp_stream("127.0.0.1", int(found[1]))).socket.close()
        process.send_signal(number)
        assert await rest(process.stdout) == ""
        errors = await rest(process.stderr)
        assert await process.wait() == 0
    assert "Traceback" not in errors


async def test_serve_takes_its_settings_from_a_file_and_flags_win(tmp_path: Path) -> None:
    config = tmp_path / "ticker.toml"
    config.write_text('listen = "127.0.0.1:1"\nlog_format = "json"\nfeeds = ["tests.feeds_for_tests:Counting"]\n')
    async with started("serve", "--config", str(config), "--listen", "localhost:0", "--interval", "5") as process:
        assert (await lines(process, 1))[0].startswith("ready wss://")
        process.terminate()
        logged = [json.loads(line) for line in (await rest(process.stderr)).splitlines()]
        assert await process.wait() == 0
    assert logged[0]["event"].startswith("using a development certificate")
    assert logged[0].keys() >= {"level", "logger", "timestamp", "ca"}


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_a_feed_that_fails_is_logged_without_decoration(log_format: str) -> None:
    feed = ["--feed", "tests.feeds_for_tests:Failing", "--listen", "127.0.0.1:0"]
    async with started("serve", *feed, "--log-format", log_format) as process:
        await lines(process, 1)
        assert process.stderr is not None
        told = b""
        while b"OSError: the venue" not in told:
            told += await process.stderr.receive_some()
        process.terminate()
        told += (await rest(process.stderr)).encode()
        assert await process.wait() == 0
    assert told.isascii(), "tracebacks drawn in boxes take the service most of a second each"
    if log_format == "json":
        failures = [event for event in map(json.loads, told.splitlines()) if event["event"] == "feed failed"]
        assert failures[0]["feed"] == "tests.feeds_for_tests:Failing"
        assert failures[0]["level"] == "error"
        assert "OSError: the venue\nhung up" in failures[0]["exception"]


async def test_watch_prints_a_line_for_each_frame_the_snapshot_first() -> None:
    async with serving(*DECLARED) as service, started("watch", "--json", "--url", service.url, "A") as process:
        (line,) = await lines(process, 1)
        first = json.loads(line)
        assert first["changes"] == {"A": {"bid": "1.00", "trade_count": 3, "note": "é"}}
        assert first["cut"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
        await service.publish(update("A", bid="1.01", note=None))
        (line,) = await lines(process, 1)
        assert json.loads(line)["changes"] == {"A": {"bid": "1.01", "note": None}}
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        assert await rest(process.stderr) == f"connected {service.url}\n"


async def test_watch_tells_of_refused_names_and_lost_connections_on_stderr() -> None:
    async with serving(*DECLARED) as service, started("watch", "--url", service.url, "A", "Z", "a b") as process:
        await lines(process, 1)
        service.stop.set()
        assert process.stderr is not None
        told = ""
        while told.count("\n") < 4:
            told += (await process.stderr.receive_some()).decode()
        process.terminate()
        assert await process.wait() == 0
    connected, unknown, bad, lost = told.splitlines()[:4]
    assert connected == f"connected {service.url}"
    assert unknown.startswith("Z: there is no such instrument")
    assert bad.startswith("a b: neither a symbol")
    assert re.fullmatch(r"disconnected: the server is stopping; trying again in [0-9]\.[0-9] s", lost)


async def test_watch_stops_after_its_duration() -> None:
    async with (
        serving(*DECLARED) as service,
        started("watch", "--url", service.url, "--duration", "0.2", "--interval", "50", "A") as process,
    ):
        assert '"bid": "1.00"' in await rest(process.stdout)
        assert await process.wait() == 0


async def test_a_reader_that_goes_ends_watch_without_a_traceback() -> None:
    async with started("serve", *COUNTING) as server:
        url = (await lines(server, 1))[0].removeprefix("ready ")
        command = f"{shlex.join([*TICKER, 'watch', '--url', url, 'COUNT'])} | head -1"
        with trio.fail_after(15):
            done = await trio.run_process(["sh", "-c", command], capture_stdout=True, capture_stderr=True)
        assert done.stdout.count(b"\n") == 1
        assert done.stderr.decode() == f"connected {url}\n"


async def test_on_a_terminal_watch_is_a_live_table() -> None:
    async with serving(*DECLARED) as service, in_terminal("watch", "--url", service.url, "A") as terminal:
        await terminal.until(lambda rows: "1.00" in rows.get("A", ()) and "connected" in rows.get(service.url, ()))
        terminal.process.terminate()
        await terminal.rest()
        assert await terminal.process.wait() == 0
    assert b"Traceback" not in terminal.raw
    assert b"\x1b[?1049l" in terminal.raw  # the terminal's own content is back


# Mistakes


def complaint(*arguments: str, code: int = 2) -> str:
    """The one line on stderr with which a command is refused."""
    done = subprocess.run(
        [*TICKER, *arguments], capture_output=True, text=True, timeout=5, check=False, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if "using a development certificate" not in line]
    assert line.startswith("ticker: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("nonesuch", "nonesuch"),
        ("serve --nonesuch", "--nonesuch"),
        ("serve --interval soon", "soon"),
        ("serve --interval -1", "--interval -1"),
        ("serve --interval 60001", "--interval 60001"),
        ("serve --listen nowhere", "'nowhere'"),
        ("serve --listen ''", "listen ''"),
        ("serve --listen 127.0.0.1:99999", "'127.0.0.1:99999'"),
        ("serve --listen 192.0.2.1:1", "192.0.2.1"),
        ("serve --feed nonesuch --listen 127.0.0.1:0", "'nonesuch'"),
        ("serve --feed simulated?x=1 --listen 127.0.0.1:0", "'simulated?x=1'"),
        ("serve --config nowhere.toml", "nowhere.toml"),
        ("serve --tls-cert nowhere.pem", "--tls-key"),
        ("serve --tls-cert nowhere.pem --tls-key nowhere.key", "nowhere.pem"),
        ("serve --log-format xml", "xml"),
        ("serve extra", "extra"),
        ("watch", "at least one symbol"),
        ("watch A --url ws://localhost", "ws://localhost"),
        ("watch A --url localhost:1", "localhost:1"),
        ("watch A --ca nowhere.pem", "nowhere.pem"),
        ("watch A --interval -1", "--interval -1"),
        ("watch A --interval 99999999999999999999", "--interval 99999999999999999999"),
        ("watch A --duration -1", "-1"),
        ("watch A --duration nan", "nan"),
        ("watch A --duration long", "long"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(arguments: str, named: str) -> None:
    assert named in complaint(*shlex.split(arguments))


def test_a_port_in_use_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {address}: the port is in use" in complaint("serve", "--listen", address)


def test_a_service_that_is_not_there_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"wss://127.0.0.1:{free.getsockname()[1]}"
    assert f"{url}/v1/stream: nobody listens there" in complaint("watch", "A", "--url", url, code=1)


def test_help_is_no_mistake() -> None:
    for arguments in ([], ["--help"], ["serve", "--help"], ["watch", "--help"]):
        done = subprocess.run(
            [*TICKER, *arguments], capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL
        )
        assert "Usage: ticker" in done.stdout
