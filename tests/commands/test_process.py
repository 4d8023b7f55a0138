"""ticker/commands/cli.py, streams.py, signals.py: every command, whatever its standard streams and its signals are."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from tests.bounds import HANG_SECONDS
from ticker.config import History
from ticker.history.history_file import HistoryFile
from ticker.market import Instrument, Update
from ticker_feeds.recordings import Capture, CaptureWriter, Moment

TICKER = [sys.executable, "-m", "ticker"]
pytestmark = pytest.mark.untraced

ROOT = Path(__file__).parents[2]
SYMBOL = "ÄÖ"


class Place(NamedTuple):
    """The surroundings of a command: a folder of its own, and a service with one instrument."""

    folder: Path
    url: str
    feed: str
    """A feed with the same instrument."""
    address: str
    """A free address."""


Command: TypeAlias = Callable[[Place], list[str | Path]]


def _capture(place: Place) -> Path:
    path = place.folder / "capture"
    writer = CaptureWriter(path, None)
    writer.write([Moment(1_000_000, [Instrument(SYMBOL), Update(SYMBOL, {"last": "1.50"})])])
    writer.close()
    return path


def _history(place: Place) -> Path:
    path = place.folder / "history.sqlite"
    file = HistoryFile(History(file=str(path)), "UTC")
    file.open()
    file.write([(SYMBOL, "1m", 2, 0, [0, 150, 150, 150, 150, 1, 1])], 0)
    file.close()
    return path


def _key(place: Place) -> Path:
    path = place.folder / "secret"
    path.write_text("ab" * 32)
    return path


COMMANDS: dict[str, Command] = {
    "help": lambda _: ["--help"],
    "help of a command": lambda _: ["serve", "--help"],
    "version": lambda _: ["--version"],
    "feeds": lambda _: ["feeds"],
    "feeds check": lambda place: ["feeds", "check", place.feed, "--seconds", "0.3"],
    "token keys": lambda place: ["token", "keys", place.folder],
    "token issue": lambda place: ["token", "issue", "--key", _key(place), "--subject", SYMBOL],
    "export": lambda place: ["export", _capture(place), "--csv", place.folder / "table.csv"],
    "history export": lambda place: [
        "history", "export", "--file", _history(place), "--csv", place.folder / "table.csv"
    ],
    "record a feed": lambda place: ["record", place.feed, "--out", place.folder / "recording", "--duration", "2"],
    "record a service": lambda place: [
        "record", place.url, "--out", place.folder / "recording", "--duration", "4"
    ],
    "watch": lambda place: ["watch", SYMBOL, "NOPE", "--url", place.url, "--duration", "4"],
    "serve": lambda place: ["serve", "--feed", place.feed, "--listen", place.address],
}  # fmt: skip

PRINTS = COMMANDS.keys() - {"token keys", "export", "history export", "record a feed", "record a service", "serve"}
"""Commands whose purpose is their output on stdout."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("process")
    (folder / "prices.json").write_text(json.dumps({SYMBOL: {"last": "1.50"}}))
    feed = f"tests.feeds_for_tests:FromFile?path={folder / 'prices.json'}"
    command = [*TICKER, "serve", "--feed", feed, "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        try:
            yield Place(folder, process.stdout.readline().split()[1], feed, "")
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


@pytest.fixture
def place(service: Place, tmp_path: Path) -> Place:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return service._replace(folder=tmp_path, address=f"127.0.0.1:{free.getsockname()[1]}")


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


def run(name: str, place: Place, redirections: str = "", *, no_reader: str = "", encoding: str = "utf-8") -> Ended:
    """Run a command with these redirections of a shell; the stream `no_reader` is a pipe that nobody reads.

    A service is stopped with SIGTERM once it listens.
    """
    reading, writing = os.pipe()
    os.close(reading)
    out, err = (writing if no_reader == stream else subprocess.PIPE for stream in ("stdout", "stderr"))
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", *TICKER, *COMMANDS[name](place)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    process = subprocess.Popen(shell, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    os.close(writing)
    try:
        if name == "serve":
            _wait_until_it_listens(place.address, process)
            process.terminate()
        stdout, stderr = process.communicate(timeout=HANG_SECONDS)
    finally:
        process.kill()
    ended = Ended(process.returncode, (stdout or b"").decode(encoding), (stderr or b"").decode(encoding))
    assert "Traceback" not in ended.stdout + ended.stderr, ended
    assert "Exception ignored" not in ended.stderr, ended
    assert "Error" not in ended.stderr, ended
    return ended


def _wait_until_it_listens(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    for _ in range(20 * HANG_SECONDS):
        assert process.poll() is None, process.communicate()
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("it does not listen")


def _did_its_work(name: str, place: Place) -> bool:
    """Whether the command wrote its files, for those that write any."""
    if name.startswith("record"):
        publications = [each for moments in Capture(str(place.folder / "recording")).chunks() for _, each in moments]
        return bool(publications)
    if name in {"export", "history export"}:
        return SYMBOL in (place.folder / "table.csv").read_text(encoding="utf-8")
    return name != "token keys" or (place.folder / "token-public.pem").exists()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_works_with_closed_streams(name: str, closed: str, place: Place) -> None:
    ended = run(name, place, closed)
    assert ended.code == 0, ended
    assert _did_its_work(name, place)
    if closed == "2>&-" and name in PRINTS:
        assert ended.stdout
        assert not re.search(r"connected|no such instrument", ended.stdout), "messages for stderr are not output"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_of_stdout_that_goes_ends_only_a_command_that_prints(name: str, place: Place) -> None:
    ended = run(name, place, no_reader="stdout")
    assert ended.code == (1 if name in PRINTS else 0), ended
    assert _did_its_work(name, place)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_of_stderr_that_goes_ends_no_command(name: str, place: Place) -> None:
    ended = run(name, place, no_reader="stderr")
    assert ended.code == 0, ended
    assert _did_its_work(name, place)
    assert bool(ended.stdout) == (name in PRINTS | {"serve", "token keys"})


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_symbols_that_the_encoding_does_not_have(name: str, place: Place) -> None:
    ended = run(name, place, encoding="ascii")
    assert ended.code == 0, ended
    assert _did_its_work(name, place)
    if name == "watch":
        assert json.loads(ended.stdout.splitlines()[0])["changes"] == {SYMBOL: {"last": "1.50"}}


STOPPED_AT_AN_IMPORT = """
import os, sys

wanted, number = sys.argv[1:3]
sys.argv[:3] = ["ticker"]

def stop(event, arguments):
    if event == "import" and arguments[0] == wanted:
        os.kill(os.getpid(), int(number))

sys.addaudithook(stop)
from ticker.commands.cli import main
main()
"""
"""`ticker`, which gets a signal when it imports a module."""

IMPORTED = (
    "ticker.commands.streams", "ticker.commands.app", "cyclopts", "structlog", "msgspec", "trio",
    "trio._core._run", "trio_websocket", "cryptography.x509", "structlog.dev", "prometheus_client", "tomllib",
)  # fmt: skip


@pytest.mark.parametrize("module", IMPORTED)
def test_ctrl_c_during_the_imports_is_no_traceback(module: str, place: Place) -> None:
    command = COMMANDS["serve"](place)
    arguments = [sys.executable, "-c", STOPPED_AT_AN_IMPORT, module, str(int(signal.SIGINT)), *command]
    done = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, timeout=HANG_SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


STOPPED_AT_A_CALL = """
import os, sys
from ticker.commands import cli, app

module, function, number = sys.argv[1:4]
sys.argv[:4] = ["ticker"]

def stop(frame, event, _argument):
    code = frame.f_code
    if event == "call" and code.co_name == function and code.co_filename.endswith(module):
        sys.setprofile(None)
        os.kill(os.getpid(), int(number))

sys.setprofile(stop)
cli.main()
"""
"""`ticker`, which gets a signal when a function is called."""

MOMENTS = [
    ("app.py", "run"),
    ("cyclopts/core.py", "__call__"),
    ("cyclopts/bind.py", "create_bound_arguments"),
    ("trio/_core/_run.py", "run"),
    ("trio/_core/_run.py", "init"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("module", "function"), MOMENTS)
def test_a_signal_while_a_command_starts_ends_it_at_once(
    module: str, function: str, number: signal.Signals, place: Place
) -> None:
    command = COMMANDS["serve"](place)
    arguments = [sys.executable, "-c", STOPPED_AT_A_CALL, module, function, str(int(number)), *command]
    done = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, timeout=HANG_SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout) == (128 + number, b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["export", "token keys", "feeds"])
def test_a_signal_ends_a_command_that_waits_for_nothing_and_it_cleans_up(
    name: str, number: signal.Signals, place: Place
) -> None:
    module, function = {
        "export": ("export.py", "rows"),
        "token keys": ("tokens.py", "_write"),
        "feeds": ("feeds.py", "_entry"),
    }[name]
    command = COMMANDS[name](place)
    before = sorted(place.folder.iterdir())
    arguments = [sys.executable, "-c", STOPPED_AT_A_CALL, module, function, str(int(number)), *map(str, command)]
    done = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, timeout=HANG_SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"")
    assert sorted(place.folder.iterdir()) == before


@pytest.mark.parametrize("name", ["serve", "watch", "record a feed", "record a service", "feeds check"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_process_1_of_a_container_in_order(name: str, number: signal.Signals, place: Place) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("this system does not allow a process namespace of its own (unshare)")
    *command, length = map(str, COMMANDS[name](place))
    command.append("60" if name != "serve" else length)  # instead of the length of its run
    arguments = [unshare, "--pid", "--fork", "--kill-child", sys.executable, "-c", ONCE_RUNNING, str(int(number))]
    done = subprocess.run(
        [*arguments, *command],
        cwd=ROOT,
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr


ONCE_RUNNING = """
import os, sys, threading, time
from ticker.commands import cli, app, signals
import trio

assert os.getpid() == 1
number = int(sys.argv.pop(1))
sys.argv[0] = "ticker"
received = trio.open_signal_receiver

def soon(*numbers):
    if number in numbers:
        threading.Timer(0.5, os.kill, (1, number)).start()
    return received(*numbers)

trio.open_signal_receiver = soon
cli.main()
"""
"""`ticker`, which gets a signal half a second after it began to wait for that."""
