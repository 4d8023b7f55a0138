"""A measured server's process: started on a core of its own, fed without waiting, watched, and ended."""

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
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.install import ROOT, environment
from benchmarks.servers import Server, Start

START_SECONDS = 20.0
PIPE_BYTES = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")

_AFFINITY = os.sched_getaffinity(0)
CORES = len(_AFFINITY)
"""Cores that this process may use. The server gets one of them, the load client with the feed another."""
SERVER_CORE, LOAD_CORE = min(_AFFINITY), max(_AFFINITY)


class CannotStart(Exception):
    """The server did not say that it is ready."""


class ServerProcess:
    """The process and its children. Their CPU time and memory count together."""

    def __init__(self, server: Server, start: Start) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        os.sched_setaffinity(0, {SERVER_CORE})  # a child inherits it, and so does all that the child starts
        try:
            self._process = subprocess.Popen(
                server.command(start),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
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
        """Wait until it is ready. Raises `CannotStart`."""
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._pids = _family(self._process.pid)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End it: it is asked for a second, then killed with whatever it started."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._errors.close()

    def feed(self, lines: bytes) -> None:
        """Write updates to its stdin: now what the pipe takes, and the rest the next time. It never waits."""
        self._unwritten += lines
        while self._unwritten:
            try:
                written = os.write(self._feed, self._unwritten[:65_536])
            except BlockingIOError:
                return
            del self._unwritten[:written]

    @property
    def behind(self) -> bool:
        """Updates wait that the pipe did not take."""
        return bool(self._unwritten)

    def cpu(self) -> float:
        """User and system time so far, in seconds, to the nanosecond (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._pids)

    def memory(self) -> float:
        """Resident memory, in MB (proc(5))."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6 for pid in self._pids)

    def descriptors(self) -> int:
        """Open file descriptors (proc(5))."""
        return sum(1 for pid in self._pids for _ in Path(f"/proc/{pid}/fd").iterdir())

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        deadline, said = time.monotonic() + START_SECONDS, b""
        while b"ready" not in said:
            readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(stdout, 4096) if readable else b""
            if not data:
                raise CannotStart(f"it did not start: {self._last_error() or 'nothing was said'}")
            said += data

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def _family(pid: int) -> list[int]:
    """A process and all its descendants (proc(5), `children`)."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
