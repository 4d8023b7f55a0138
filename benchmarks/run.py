"""One run: a server, clients, a schedule of updates, and what they cost.

The server has a core of its own, the load client with the feed another. The schedule is computed beforehand (open
loop): an update is due when it is due, whether or not anybody keeps up. A run counts only if the load client stayed
below 80 % of its core, and if every client's final state is exact.
"""

from __future__ import annotations

import os
import random
import resource
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.install import environment, node_folder
from benchmarks.load import Client
from benchmarks.servers import Server, Start
from ticker.devcert import DevelopmentCertificate

LOAD_LIMIT = 0.8
"""The share of its core above which the load client could be what was measured."""

SWEEP_SECONDS = 0.25
SETTLE_SECONDS = 1.0
STALLED_BUFFER = 32_768
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Workload:
    """What is done to each server.

    `clients` connections, each to `watched` of `symbols` instruments; `rate` updates per second for `seconds`. From
    the second `stall_after` on, `stalled` of the clients stop reading for `stall_seconds`.
    """

    name: str
    clients: int
    symbols: int
    watched: int
    rate: int
    seconds: float
    budget_ms: int = 0
    """How long a server may collect updates before it sends them; for Ticker, the clients' interval."""
    burst: int = 1
    """Updates come in bursts of so many, at the same rate."""
    stalled: int = 0
    stall_after: float = 0.0
    stall_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed: CPU in microseconds, latencies in milliseconds, CPU shares of one core, memory in MB.

    `stale` are the frames with values older than a second that clients got when they read again after a stall, and
    `behind` the time in seconds from then until they had a value that was not.
    """

    server: str
    offered: int
    frames: int
    server_cpu: float
    load_cpu: float
    cpu_per_delivery: float
    cpu_per_frame: float
    p50: float
    p99: float
    bytes_per_delivery: float
    memory_growth: float
    stale: int
    behind: float
    wrong: int
    connect_ms: float = 0.0
    """The server's CPU time per client to connect it and give it what it subscribed, in milliseconds."""
    kb_per_client: float = 0.0
    """The server's resident memory per connected client, in KB."""

    @property
    def problem(self) -> str:
        """Why this run does not count; empty if it does."""
        if self.wrong:
            return f"{self.wrong} clients ended with a wrong price"
        return f"the load client used {self.load_cpu:.0%} of its core" if self.load_cpu > LOAD_LIMIT else ""


def measure(server: Server, workload: Workload, certificate: DevelopmentCertificate, probes: int = 10) -> Result:
    """Run a workload against a server."""
    port = _free_port()
    start = Start(port, certificate.cert, certificate.key, workload.symbols, workload.budget_ms)
    with subprocess.Popen(
        server.command(start),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=node_folder() if server.node else None,
    ) as process:
        try:
            os.sched_setaffinity(process.pid, {0})
            os.sched_setaffinity(0, {1})
            assert process.stdout is not None
            if b"ready" not in process.stdout.readline():
                raise RuntimeError(f"{server.name} did not start")
            cpu, memory = _cpu(process.pid), _memory(process.pid)
            clients = _connect(server, workload, port, certificate.authority)
            connect_ms = (_cpu(process.pid) - cpu) * 1000 / workload.clients
            time.sleep(SETTLE_SECONDS)
            each_kb = (_memory(process.pid) - memory) * 1000 / workload.clients
            result = _Run(process, clients, workload, probes).result(server)
            return replace(result, connect_ms=connect_ms, kb_per_client=each_kb)
        finally:
            process.terminate()
            os.sched_setaffinity(0, {0, 1})


def _connect(server: Server, workload: Workload, port: int, ca: Path) -> list[Client]:
    context = ssl.create_default_context(cafile=ca)
    choose = random.Random(7)  # noqa: S311  # the same watchlists for every server
    numbers = range(workload.symbols)
    return [
        Client(server, port, context, sorted(choose.sample(numbers, workload.watched))) for _ in range(workload.clients)
    ]


class _Run:
    """The measurement itself."""

    def __init__(
        self, process: subprocess.Popen[bytes], clients: Sequence[Client], workload: Workload, probes: int
    ) -> None:
        assert process.stdin is not None
        self.process = process
        self.feed = process.stdin
        self.clients = clients
        self.workload = workload
        self.probes = {client.socket.fileno(): client for client in clients[:probes]}
        self.swept = list(clients[probes : len(clients) - workload.stalled])
        self.stalled = list(clients[len(clients) - workload.stalled :]) if workload.stalled else []
        for client in self.stalled:
            # Left to itself, Linux would let a client's own kernel keep megabytes of old frames for it.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER)
        self.stale = 0
        self.behind = 0.0
        self.latencies: list[float] = []
        self.prices: dict[int, int] = {}
        self.memory = 0.0
        """The most that was seen of the server's memory."""

    def result(self, server: Server) -> Result:
        workload = self.workload
        memory = _memory(self.process.pid)
        cpu, own = _cpu(self.process.pid), resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        self._drive()
        seconds = time.monotonic() - began
        self.memory = max(self.memory, _memory(self.process.pid))
        server_cpu = _cpu(self.process.pid) - cpu
        now = resource.getrusage(resource.RUSAGE_SELF)
        load_cpu = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
        for client in (*self.swept, *self.stalled):
            client.decode_kept()
        offered = int(workload.rate * workload.seconds) * workload.clients * workload.watched // workload.symbols or 1
        frames = sum(client.frames for client in self.clients)
        self.latencies.sort()
        return Result(
            server.name,
            offered,
            frames,
            server_cpu / seconds,
            load_cpu / seconds,
            server_cpu * 1e6 / offered,
            server_cpu * 1e6 / max(frames, 1),
            self._percentile(0.5),
            self._percentile(0.99),
            sum(client.bytes for client in self.clients) / offered,
            self.memory - memory,
            self.stale,
            self.behind,
            sum(client.state != self._expected(client) for client in self.clients),
        )

    def _drive(self) -> None:
        """Send the schedule, and read what comes, until it is over and all has arrived."""
        workload = self.workload
        choose = random.Random(11)  # noqa: S311  # the same schedule for every server
        poll = select.epoll()
        for number in self.probes:
            poll.register(number, select.EPOLLIN)
        start = time.time()
        updates = int(workload.rate * workload.seconds)
        sent = turn = swept = 0
        stall_from = start + workload.stall_after
        stall_to = stall_from + workload.stall_seconds
        per_second = len(self.swept) / SWEEP_SECONDS
        while (now := time.time()) < start + workload.seconds + SETTLE_SECONDS:
            due = min(updates, (int((now - start) * workload.rate / workload.burst) + 1) * workload.burst)
            lines = []
            for each in range(sent, due):
                symbol = choose.randrange(workload.symbols)
                self.prices[symbol] = 10_000 + each
                intended = start + each // workload.burst * workload.burst / workload.rate
                lines.append(f"{symbol} {10_000 + each} {int(intended * 1e6)}\n")
            if lines:
                os.write(self.feed.fileno(), "".join(lines).encode())
                sent = due
            while self.swept and swept < (now - start) * per_second:
                self.swept[turn].sweep()
                turn = (turn + 1) % len(self.swept)
                swept += 1
                if turn == 0:
                    self.memory = max(self.memory, _memory(self.process.pid))
            if not stall_from <= now < stall_to:
                for client in self.stalled:
                    self._read_again(client, now, stall_to)
            for number, _ in poll.poll(0.001):
                self._probe(self.probes[number])
        poll.close()
        for client in (*self.swept, *self.stalled):
            client.sweep()

    def _read_again(self, client: Client, now: float, stall_to: float) -> None:
        for update in client.decode(client.receive()):
            if now >= stall_to and now - update.time / 1e6 > 1:
                self.stale += 1
                self.behind = max(self.behind, now - stall_to)

    def _probe(self, client: Client) -> None:
        updates = client.decode(client.receive())
        now = time.time() * 1e6
        self.latencies += [(now - update.time) / 1000 for update in updates]

    def _expected(self, client: Client) -> dict[int, int]:
        return {number: self.prices[number] for number in client.numbers if number in self.prices}

    def _percentile(self, share: float) -> float:
        return self.latencies[int(share * (len(self.latencies) - 1))] if self.latencies else float("nan")


def _cpu(pid: int) -> float:
    """User and system time of a process so far, in seconds (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _memory(pid: int) -> float:
    """The resident memory of a process, in MB (proc(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
