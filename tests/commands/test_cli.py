"""ticker/commands/cli.py, serve.py and watch.py: running commands in processes of their own, refusals in this one."""

from __future__ import annotations

import json
import math
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.commands.conftest import Outcome, RunTicker
from tests.commands.terminal import in_terminal
from tests.conftest import serving
from tests.support import update
from ticker.commands.flags import check_interval, seconds_or_forever, token_reader
from ticker.commands.serve import serve
from ticker.commands.watch import watch
from ticker.config import MAX_INTERVAL_MS
from ticker.errors import ConfigError
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00", trade_count=3, note="é"))
TICKER = [sys.executable, "-m", "ticker"]
COUNTING = ["--feed", "tests.feeds_for_tests:Counting", "--listen", "127.0.0.1:0"]


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[trio.Process]:
    """A running command; it is killed if it still runs at the end."""
    process = await trio.lowlevel.open_process(
        [*TICKER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(HANG_SECONDS):
            async with process.stdout, process.stderr:
                yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def lines(process: trio.Process, count: int) -> list[str]:
    """The next lines of its stdout; further output in the same read is dropped."""
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


class Output:
    """The output of a command in this process, read as it comes."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.stdout = self.stderr = ""

    def read(self) -> None:
        out, err = self._capsys.readouterr()
        self.stdout += out
        self.stderr += err

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(HANG_SECONDS):
            while not condition():
                await trio.sleep(0.01)
                self.read()


@pytest.fixture
def output(process_settings: None, capsys: pytest.CaptureFixture[str]) -> Output:
    del process_settings
    return Output(capsys)


async def test_serve_takes_its_settings_from_a_file_and_flags_win(tmp_path: Path, output: Output) -> None:
    config = tmp_path / "ticker.toml"
    config.write_text('listen = "127.0.0.1:1"\nlog_format = "json"\nfeeds = ["tests.feeds_for_tests:Counting"]\n')
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, config=config, listen=["localhost:0"], interval=5))
        await output.until(lambda: output.stdout.startswith("ready wss://"))
        signal.raise_signal(signal.SIGTERM)
    output.read()
    logged = [json.loads(line) for line in output.stderr.splitlines()]
    (named,) = [line for line in logged if line["event"].startswith("using a development certificate")]
    assert named.keys() >= {"level", "logger", "timestamp", "ca"}


async def test_flags_and_files_reach_the_service_and_the_client_as_processes(tmp_path: Path) -> None:
    config = tmp_path / "ticker.toml"
    config.write_text('listen = "127.0.0.1:1"\nlog_format = "console"\nfeeds = ["tests.feeds_for_tests:Counting"]\n')
    flags = ("--config", str(config), "--listen", "localhost:0", "--interval", "5", "--log-format", "json")
    async with started("serve", *flags) as server:
        url = (await lines(server, 1))[0].removeprefix("ready ")
        shown = ("--json", "--url", url, "--interval", "50", "--duration", "1.5")
        async with started("watch", *shown, "COUNT") as client:
            (line,) = await lines(client, 1)
            assert json.loads(line)["changes"].keys() == {"COUNT"}
            assert await client.wait() == 0
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
        assert [json.loads(line)["level"] for line in (await rest(server.stderr)).splitlines()]


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_a_feed_whose_code_is_at_fault_has_one_traceback_without_decoration(
    log_format: Literal["console", "json"], output: Output
) -> None:
    feed = "tests.feeds_for_tests:Faulty"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, feed=[feed], listen=["127.0.0.1:0"], log_format=log_format))
        await output.until(lambda: output.stderr.count("feed failed") >= 3)
        signal.raise_signal(signal.SIGTERM)
    output.read()
    assert output.stderr.count("Traceback") == 1
    assert output.stderr.isascii(), "tracebacks drawn in boxes take the service most of a second each"
    if log_format == "json":
        failures = [event for event in map(json.loads, output.stderr.splitlines()) if event["event"] == "feed failed"]
        assert failures[0]["feed"] == feed
        assert failures[0]["level"] == "error"
        assert "ValueError: no\nprice" in failures[0]["exception"]
        assert "again at " in failures[1]["cause"]


async def test_a_venue_that_cannot_be_reached_is_one_line_with_feed_cause_and_next_try(output: Output) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        refused = f"coinbase?symbols=BTC-USD&url=wss://127.0.0.1:{free.getsockname()[1]}"
    unknown = "kraken?symbols=BTC/USD&url=wss://nosuchhost.invalid"
    failing = "tests.feeds_for_tests:Failing"
    feeds = [refused, unknown, failing]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, feed=feeds, listen=["127.0.0.1:0"], log_format="json"))
        await output.until(lambda: all(output.stderr.count(f'"feed": "{feed}"') >= 2 for feed in feeds))
        signal.raise_signal(signal.SIGTERM)
    output.read()
    logged = [json.loads(line) for line in output.stderr.splitlines()]
    assert not any("exception" in line for line in logged)
    causes = {refused: "Connection refused", unknown: "Name or service not known", failing: "the venue hung up"}
    for line in logged:
        if line["event"] == "feed failed":
            assert causes[line["feed"]] in line["cause"]
            assert line["retry_seconds"] >= 0


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
    async with serving(*DECLARED) as service, started("watch", "--url", service.url, "A", "Z", "a,b") as process:
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
    assert bad.startswith("a,b: neither a symbol")
    assert re.fullmatch(r"disconnected: the server is stopping; trying again in [0-9]\.[0-9] s", lost)


async def test_watch_stops_after_its_duration(output: Output, fast_clock: MockClock) -> None:
    async with serving(*DECLARED) as service:
        with trio.fail_after(7200):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(watch, "A", url=[service.url], interval=50, duration=3600))
                await output.until(lambda: '"bid": "1.00"' in output.stdout)
                fast_clock.jump(3600)


async def test_a_reader_that_goes_ends_watch_without_a_traceback() -> None:
    async with started("serve", *COUNTING) as server:
        url = (await lines(server, 1))[0].removeprefix("ready ")
        command = f"{shlex.join([*TICKER, 'watch', '--url', url, 'COUNT'])} | head -1"
        with trio.fail_after(HANG_SECONDS):
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


async def test_on_a_dumb_terminal_watch_prints_lines() -> None:
    """Such as a shell within an editor: nothing can be drawn anew there."""
    async with serving(*DECLARED) as service, in_terminal("watch", "--url", service.url, "A", kind="dumb") as terminal:
        with trio.fail_after(HANG_SECONDS):
            while b'"changes": {"A": {' not in terminal.raw:
                assert await terminal.read()
        terminal.process.terminate()
        await terminal.rest()
        assert await terminal.process.wait() == 0
    assert b"\x1b" not in terminal.raw


async def test_watch_ends_once_all_of_its_names_are_refused_for_good() -> None:
    async with started("serve", *COUNTING) as server:
        url = (await lines(server, 1))[0].removeprefix("ready ")
        with trio.fail_after(HANG_SECONDS):
            done = await trio.run_process(
                [*TICKER, "watch", "--url", url, "COUNT book:11", "COUNT candles:7m:5"],
                capture_stdout=True, capture_stderr=True, check=False,
            )  # fmt: skip
            async with started("watch", "--url", url, "COUNT book:11", "COUNT") as one_is_left:
                assert one_is_left.stderr is not None
                said = b""
                while b"COUNT book:11: " not in said:
                    said += await one_is_left.stderr.receive_some()
                for _ in range(3):
                    await lines(one_is_left, 1)
                one_is_left.send_signal(signal.SIGINT)
                assert await one_is_left.wait() == 0
    assert (done.returncode, done.stdout) == (2, b"")
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("ticker: watch: nothing is left to watch: ")
    assert "COUNT book:11: " in last
    assert "COUNT candles:7m:5: " in last


async def test_watch_says_that_there_was_no_connection_in_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"wss://127.0.0.1:{silent.getsockname()[1]}"
        command = [*TICKER, "watch", "A", "--url", url, "--duration", "0.5"]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"ticker: {url}: there was no connection within 0.5 s\n"


# Refusals


def one_line(outcome: Outcome, code: int = 2) -> str:
    """The one line on stderr with which a command was refused."""
    assert outcome.code == code, outcome
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    (line,) = [line for line in outcome.stderr.splitlines() if "using a development certificate" not in line]
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
        ("serve --listen 127.0.0.1:0 --history-file ''", "--history-file is empty: name a file, or leave it out"),
        ("serve --listen 127.0.0.1:0 --tls-cert '' --tls-key a", "--tls-cert is empty"),
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
def test_an_unusable_argument_is_named_in_one_line(
    arguments: str, named: str, run_ticker: RunTicker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in one_line(run_ticker(*shlex.split(arguments)))


def test_a_refusal_in_a_process_of_its_own_is_one_line_as_well() -> None:
    done = subprocess.run(
        [*TICKER, "serve", "--listen", "nowhere"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "'nowhere'" in one_line(Outcome(done.returncode, done.stdout, done.stderr))


def test_a_port_in_use_is_named_in_one_line(run_ticker: RunTicker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refusal = one_line(run_ticker("serve", "--listen", address))
    assert f"cannot listen on {address}: the port is in use" in refusal


def test_a_service_that_does_not_listen_is_named_in_one_line(run_ticker: RunTicker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"wss://127.0.0.1:{free.getsockname()[1]}"
    assert f"{url}/v1/stream: nobody listens there" in one_line(run_ticker("watch", "A", "--url", url), 1)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "No such file or directory; give a readable file"),
        ("tökén", "not ASCII text; give a file that holds only the token"),
    ],
)
async def test_an_unusable_token_file_is_named_with_the_remedy(content: str | None, cause: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    read = token_reader(file)
    assert read is not None
    with pytest.raises(ConfigError) as refused:
        await read()
    assert str(refused.value) == f"--token-file {file}: {cause}"


async def test_a_token_file_is_read_anew_for_each_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    read = token_reader(file)
    assert read is not None
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert await read() == token


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("serve", "--help"), ("watch", "--help"), ("token", "--help"), ("trust", "--help")]
)
def test_help_is_no_error(arguments: tuple[str, ...], run_ticker: RunTicker) -> None:
    code, stdout, stderr = run_ticker(*arguments)
    assert (code, stderr) == (0, "")
    assert " ".join(["Usage: ticker", *arguments[:-1]]) in stdout


def test_help_names_units_and_defaults_of_flags(run_ticker: RunTicker) -> None:
    told = " ".join(run_ticker("serve", "--help").stdout.split())
    assert "[default: 127.0.0.1:8443]" in told
    assert "Conflation interval in milliseconds" in told


def test_the_version_is_that_of_the_package(run_ticker: RunTicker) -> None:
    assert run_ticker("--version") == (0, f"{metadata.version('ticker-push')}\n", "")


@pytest.mark.parametrize(("duration", "seconds"), [(None, math.inf), (0.0, 0.0), (0.5, 0.5), (math.inf, math.inf)])
def test_a_duration_may_be_any_number_of_seconds(duration: float | None, seconds: float) -> None:
    assert seconds_or_forever(duration) == seconds


@pytest.mark.parametrize("interval", [None, 0, 1, MAX_INTERVAL_MS])
def test_an_interval_may_be_the_shortest_and_the_longest(interval: int | None) -> None:
    check_interval(interval)
