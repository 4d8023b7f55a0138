"""Processes of a measurement: started, awaited, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import trio

from benchmarks.install import ROOT
from benchmarks.process import START_SECONDS

CONFIG = Path(__file__).parents[1] / "ticker.toml"


def serve(*flags: str) -> list[str]:
    """Return the command of a service without a past."""
    return [sys.executable, "-m", "ticker", "serve", "--config", str(CONFIG), "--no-history", "--no-state", *flags]


@contextmanager
def running(folder: Path, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that logs to a file in a folder; at the end it has ended."""
    with (folder / f"{len(list(folder.iterdir()))}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def until(condition: Callable[[], bool], wanted: str) -> None:
    """Wait until this holds; end the program with a line if it does not in time."""
    with trio.move_on_after(START_SECONDS):
        while not condition():  # noqa: ASYNC110  # it is a state of other processes
            await trio.sleep(0.05)
        return
    sys.exit(f"after {START_SECONDS:g} s there was not: {wanted}")


def children(pid: int) -> Mapping[str, int]:
    """Return the workers of a supervisor by their names (proc(5), `children`)."""
    found = {}
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"--name" in arguments:
                found[arguments[arguments.index(b"--name") + 1].decode()] = child
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process without a word."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
