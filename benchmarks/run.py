"""One run: a server process, its clients, and the phases that they go through together.

After each phase the final prices of *every* client are compared with what was sent. Figures count only where all are
exact and where the load client had core to spare.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from benchmarks.client import Client
from benchmarks.connector import Connector
from benchmarks.crowd import Crowd
from benchmarks.drive import Aside, Drive
from benchmarks.figures import Counts, Stopwatch, figures, slow_figures
from benchmarks.process import ServerProcess
from benchmarks.sample import LOAD_LIMIT, Sample
from benchmarks.schedule import FIRST_PRICE, Schedule
from benchmarks.servers import SERVERS
from benchmarks.slow import SlowClients
from benchmarks.workloads import Phase, Workload

SETTLE_SECONDS = 0.2
IDLE_SHARE = 0.05
"""A server that uses less of its core than this, while no price arrives from it, has nothing more to send."""
CONNECT_SECONDS = 90.0
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is of."""

    key: str
    workload: Workload
    server: str
    round: int

    def sample(self, phase: Phase, clients: int | None = None) -> Sample:
        """One without figures."""
        workload = self.workload
        count = workload.clients if clients is None else clients
        return Sample(self.key, phase.name, self.server, self.round, count, phase.rate, workload.budget_ms)


class Run:
    """A server that is ready, and the clients that it has."""

    def __init__(self, job: Job, process: ServerProcess, port: int) -> None:
        self.job = job
        self.process = process
        self.clients: list[Client] = []
        self.guests: list[Client] = []
        """Further clients, who have to be exact too, but whose figures do not count."""
        self.alive = True
        """All clients have what they should have: another phase may follow."""
        self.port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE  # it costs only the load client
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._choose = random.Random(7)  # noqa: S311  # the same watchlists for every server
        self._latest: dict[int, int] = {}
        self._price = FIRST_PRICE
        self._phases = 0

    def new_clients(self, count: int) -> list[Client]:
        """Clients with watchlists of their own, not connected yet."""
        workload, server = self.job.workload, SERVERS[self.job.server]
        numbers = range(workload.symbols)
        lists = [sorted(self._choose.sample(numbers, workload.watched)) for _ in range(count)]
        return [Client(server, self.port, self._context, each) for each in lists]

    def connect(self, count: int) -> None:
        """Let so many clients more connect and subscribe. Raises `OSError`."""
        clients = self.new_clients(count)
        Connector(clients, at_once=AT_ONCE).finish(CONNECT_SECONDS)
        self.clients += clients

    def close(self) -> None:
        """Cut all connections."""
        for client in self.clients + self.guests:
            client.close()

    def send_guests_away(self) -> None:
        """Cut their connections."""
        for guest in self.guests:
            guest.close()
        self.guests = []

    def phase(self, phase: Phase, storm: Callable[[Drive], Aside] | None = None) -> Sample:
        """Go through a phase, in which a storm of guests may come, or whatever else goes on aside."""
        self._phases += 1
        schedule = Schedule(phase, self.job.workload.symbols, first_price=self._price, seed=self._phases)
        slow = SlowClients(self.clients, schedule) if phase.slow else None
        crowd = Crowd(self.clients, self.job.workload.probes, slow.clients if slow else (), long=phase.long)
        drive = Drive(self.process, crowd, schedule)
        before, began = Counts.now(self.process, self.clients), Stopwatch.now()
        sample = replace(self.job.sample(phase), cipher=self.clients[0].cipher)
        try:
            drive.play(slow or (storm(drive) if storm else None))
            ended = Stopwatch.now()
            self._latest.update(schedule.latest())
            after, void, wrong = self._settle(phase, drive)
        except OSError as error:
            self.alive = False
            return replace(sample, wrong=f"a client was lost: {error}")
        self._price += len(schedule.numbers)
        self.alive = not void and not wrong
        if not self.alive:
            return replace(sample, void=void, wrong=wrong)
        found = figures(before, after, drive, schedule, self.clients) | (slow_figures(slow) if slow else {})
        found |= ended.since(began)
        found["cpu"] = (after.cpu - before.cpu) / found["seconds"]
        load = found["load"]
        # A storm is mostly the load client's own work; what counts there is the server's CPU time.
        busy = f"the load client used {load:.0%} of its core" if load > LOAD_LIMIT and not storm else ""
        return replace(sample, void=busy, figures=found)

    def _settle(self, phase: Phase, drive: Drive) -> tuple[Counts, str, str]:
        """Wait until every client is exact: the readings then; or why the run is void; or what is wrong."""
        everyone = self.clients + self.guests
        passes = (4 if drive.complete else 2) * phase.patience / SETTLE_SECONDS
        quiet, readings, values = 0.0, Counts.now(self.process, self.clients), 0
        for turn in count(1):
            time.sleep(SETTLE_SECONDS)
            self.process.feed(b"")
            for client in everyone:
                client.sweep()
            cpu, readings = readings.cpu, Counts.now(self.process, self.clients)
            for client in everyone:
                client.decode_kept()
            # Frames count when they are decoded, the CPU time until just before.
            readings = replace(Counts.now(self.process, self.clients), cpu=readings.cpu)
            if not (wrong := self._what_is_wrong(everyone)):
                return readings, "", ""
            before, values = values, sum(client.values for client in everyone)  # heartbeats come in any case
            idle = values == before and not self.process.behind and readings.cpu - cpu < IDLE_SHARE * SETTLE_SECONDS
            quiet = quiet + SETTLE_SECONDS if idle else 0.0
            if quiet > phase.patience:
                return readings, "", wrong
            if turn > passes:
                break
        return readings, f"cannot keep up: not done {phase.drain:.0f} s later", ""

    def _what_is_wrong(self, everyone: Sequence[Client]) -> str:
        for client in everyone:
            if client.reader.fault:
                return client.reader.fault
        inexact = sum(not self._exact(client) for client in everyone)
        return f"{inexact} of {len(everyone)} clients ended with a wrong price" if inexact else ""

    def _exact(self, client: Client) -> bool:
        known, latest = client.state, self._latest
        return all(
            known.get(number) == latest[number]
            for number in client.numbers
            if number in latest and latest[number] >= client.since
        )
