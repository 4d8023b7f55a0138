"""One run: a server process, its clients, and their phases.

After each phase the final prices of *every* client are compared with the schedule. Metrics count only if all clients
are exact and the load client stayed below its limit.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from benchmarks.client import Client
from benchmarks.client_pool import ClientPool
from benchmarks.connector import Connector
from benchmarks.metrics import Counts, Stopwatch, phase_metrics, slow_client_metrics
from benchmarks.phase_run import PhaseRun, SideActivity
from benchmarks.process import ServerProcess
from benchmarks.sample import LOAD_LIMIT, Sample
from benchmarks.schedule import FIRST_PRICE, Schedule
from benchmarks.servers import SERVERS
from benchmarks.slow import SlowClients
from benchmarks.workloads import Phase, Workload

SETTLE_SECONDS = 0.2
CIPHER_OF_TLS12 = "ECDHE-ECDSA-AES128-GCM-SHA256"
"""Like the one of TLS 1.3 that all others are measured with (openssl.cnf)."""
IDLE_SHARE = 0.05
"""A server that uses less of its core than this, while no price arrives, has nothing more to send."""
CONNECT_SECONDS = 90.0
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Job:
    """Workload, server and round of a run."""

    key: str
    workload: Workload
    server: str
    round: int

    def sample(self, phase: Phase, clients: int | None = None) -> Sample:
        """Return a sample without metrics."""
        workload = self.workload
        count = workload.clients if clients is None else clients
        return Sample(self.key, phase.name, self.server, self.round, count, phase.rate, workload.budget_ms)


class Run:
    """A server that is ready, and its clients."""

    def __init__(self, job: Job, process: ServerProcess, port: int) -> None:
        self.job = job
        self.process = process
        self.clients: list[Client] = []
        self.extra_clients: list[Client] = []
        """Further clients, which must be exact too, but are not part of the metrics."""
        self.alive = True
        """All clients are exact: another phase may follow."""
        self.port = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # only the load client's work
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        if SERVERS[job.server].tls12:
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.context.set_ciphers(CIPHER_OF_TLS12)
        self._choose = random.Random(7)  # noqa: S311  # the same watchlists for every server
        self._latest: dict[int, int] = {}
        self._price = FIRST_PRICE
        self._phases = 0

    def new_clients(self, count: int) -> list[Client]:
        """Return clients with random watchlists, not connected yet."""
        workload, server = self.job.workload, SERVERS[self.job.server]
        numbers = range(workload.symbols)
        lists = [sorted(self._choose.sample(numbers, workload.watched)) for _ in range(count)]
        return [Client(server, self.port, self.context, each) for each in lists]

    def connect(self, count: int) -> None:
        """Connect and subscribe `count` more clients. Raises `OSError`."""
        clients = self.new_clients(count)
        Connector(clients, at_once=AT_ONCE).finish(CONNECT_SECONDS)
        self.clients += clients

    def close(self) -> None:
        """Close all connections."""
        for client in self.clients + self.extra_clients:
            client.close()

    def close_extra_clients(self) -> None:
        """Close the connections of the extra clients."""
        for client in self.extra_clients:
            client.close()
        self.extra_clients = []

    @property
    def next_price(self) -> int:
        """The first price of the next phase."""
        return self._price

    def schedule(self, phase: Phase) -> Schedule:
        """Return the updates of a phase."""
        return Schedule(phase, self.job.workload.symbols, first_price=self._price, seed=self._phases)

    def phase(self, phase: Phase, begin: Callable[[PhaseRun], SideActivity] | None = None) -> Sample:
        """Run a phase, with a side activity if one is given, such as a connection storm."""
        self._phases += 1
        schedule = self.schedule(phase)
        slow = SlowClients(self.clients, schedule) if phase.slow else None
        pool = ClientPool(self.clients, self.job.workload.probes, slow.clients if slow else (), long=phase.long)
        phase_run = PhaseRun(self.process, pool, schedule)
        before, began = Counts.now(self.process, self.clients), Stopwatch.now(self.process.cpu())
        sample = replace(self.job.sample(phase), cipher=self.clients[0].cipher)
        try:
            phase_run.execute(slow or (begin(phase_run) if begin else None))
            ended = Stopwatch.now(self.process.cpu())
            self._latest.update(schedule.latest())
            after, void, wrong = self._settle(phase, phase_run)
        except OSError as error:
            self.alive = False
            return replace(sample, wrong=f"a client lost its connection: {error}")
        self._price += len(schedule.numbers)
        self.alive = not void and not wrong
        if not self.alive:
            return replace(sample, void=void, wrong=wrong)
        found = phase_metrics(before, after, phase_run, schedule, self.clients)
        found |= slow_client_metrics(slow) if slow else {}
        found |= ended.since(began)
        found["cpu"] = (after.cpu - before.cpu) / found["seconds"]
        load = found["load"]
        # A storm is mostly the load client's own work; its metrics count the server's CPU time.
        busy = f"the load client used {load:.0%} of its core" if load > LOAD_LIMIT and not begin else ""
        return replace(sample, void=busy, metrics=found)

    def _settle(self, phase: Phase, phase_run: PhaseRun) -> tuple[Counts, str, str]:
        """Wait until every client is exact. Return the readings, the reason for void, and the mismatch."""
        all_clients = self.clients + self.extra_clients
        max_attempts = (4 if phase_run.complete else 2) * phase.quiet_seconds / SETTLE_SECONDS
        quiet, readings, values = 0.0, Counts.now(self.process, self.clients), 0
        for attempt in count(1):
            time.sleep(SETTLE_SECONDS)
            self.process.feed(b"")
            for client in all_clients:
                client.sweep()
            cpu, readings = readings.cpu, Counts.now(self.process, self.clients)
            for client in all_clients:
                client.decode_kept()
            # Frames count once decoded; the CPU time was read before decoding.
            readings = replace(Counts.now(self.process, self.clients), cpu=readings.cpu)
            if not (wrong := self._mismatch(all_clients)):
                return readings, "", ""
            before, values = values, sum(client.values for client in all_clients)  # heartbeats arrive in any case
            idle = values == before and not self.process.behind and readings.cpu - cpu < IDLE_SHARE * SETTLE_SECONDS
            quiet = quiet + SETTLE_SECONDS if idle else 0.0
            if quiet > phase.quiet_seconds:
                return readings, "", wrong
            if attempt > max_attempts:
                break
        return readings, f"cannot keep up: not done {phase.drain:.0f} s later", ""

    def _mismatch(self, all_clients: Sequence[Client]) -> str:
        for client in all_clients:
            if client.reader.fault:
                return client.reader.fault
        inexact = sum(not self.is_exact(client) for client in all_clients)
        return f"{inexact} of {len(all_clients)} clients ended with a wrong price" if inexact else ""

    def is_exact(self, client: Client) -> bool:
        """Return whether a client has the last price of each of its instruments."""
        known, latest = client.state, self._latest
        return all(
            known.get(number) == latest[number]
            for number in client.numbers
            if number in latest and latest[number] >= client.since
        )
