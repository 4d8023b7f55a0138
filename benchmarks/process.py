"""The process of a measured server: pinned to a core, fed without blocking, measured, and ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.install import ROOT, environment
from benchmarks.servers import Server, Start

START_SECONDS = 60.0
PIPE_BYTES = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")

_AFFINITY = os.sched_getaffinity(0)
CORES = len(_AFFINITY)
"""Number of usable cores. The server gets one of them, the load client with the feed another."""
SERVER_CORE, LOAD_CORE = min(_AFFINITY), max(_AFFINITY)


class CannotStart(Exception):
    """The server did not print `ready` in time."""


class ServerProcess:
    """The process and its children, whose CPU time and memory are added up."""

    def __init__(self, server: Server, start: Start) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        os.sched_setaffinity(0, {SERVER_CORE})  # inherited by the child and its own children
        try:
            self._process = subprocess.Popen(
                server.command(start),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if server.unread else self._errors,
                env=environment(server.needs),
                cwd=server.needs.folder or ROOT,
                process_group=0,
            )
        except OSError as error:
            raise CannotStart(str(error)) from None
        finally:
            os.sched_setaffinity(0, {LOAD_CORE})
        assert self._process.stdin is not None
        self._feed = self._process.stdin.fileno()
        fcntl.fcntl(self._feed, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._feed, False)
        self._unwritten = bytearray()
        self._pids = [self._process.pid]

    def __enter__(self) -> Self:
        """Wait until the server is ready. Raises `CannotStart`."""
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._pids = _process_tree(self._process.pid)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Terminate the process; after one second kill its whole process group."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._errors.close()

    def feed(self, lines: bytes) -> None:
        """Write updates to the server's stdin without blocking; bytes that exceed the pipe wait for the next call."""
        self._unwritten += lines
        while self._unwritten:
            try:
                written = os.write(self._feed, self._unwritten[:65_536])
            except BlockingIOError:
                return
            del self._unwritten[:written]

    @property
    def behind(self) -> bool:
        """Whether updates wait for room in the pipe."""
        return bool(self._unwritten)

    def cpu(self) -> float:
        """Return user and system time so far in seconds, to the nanosecond (clock_getcpuclockid(3))."""
        return sum(map(_cpu_of, self._pids))

    def cpu_by_part(self) -> dict[str, float]:
        """Return the same by the part that a process has in the service, such as source or edge; the most of equals."""
        found: dict[str, float] = {}
        for pid in self._pids:
            name = _part_of(Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
            found[name] = max(found.get(name, 0.0), _cpu_of(pid))
        return found

    def use_all_cores(self) -> None:
        """Let the processes use all cores, where they are several that do little each."""
        for pid in self._pids:
            os.sched_setaffinity(pid, _AFFINITY)

    def memory(self) -> float:
        """Return the resident memory in MB (proc(5))."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6 for pid in self._pids)

    def descriptors(self) -> int:
        """Return the number of open file descriptors (proc(5))."""
        return sum(1 for pid in self._pids for _ in Path(f"/proc/{pid}/fd").iterdir())

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        deadline, output = time.monotonic() + START_SECONDS, b""
        while b"ready" not in output:
            readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(stdout, 4096) if readable else b""
            if not data:
                raise CannotStart(f"it did not start: {self._last_error() or 'no output on stderr'}")
            output += data

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def _cpu_of(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


def _part_of(command: Sequence[str]) -> str:
    """Return the part of a process in a service of several, by its command."""
    if "redis-server" in command[0]:
        return "engine"
    if "--name" in command:
        name = command[command.index("--name") + 1]
        return "edge" if name.isdecimal() else name
    if "--workers" in command:
        return "supervisor"
    if "--bus" in command:
        return "source" if "--feed" in command else "edge"
    return "alone" if "ticker" in command else "rest"


def _process_tree(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants (proc(5), `children`)."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _process_tree(int(child))
    return found


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
