"""The scenarios of tables: recorded depth, recorded prints, and the opening and resuming of charts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.client import Client
from benchmarks.connector import Connector
from benchmarks.metrics import Counts, Stopwatch
from benchmarks.process import ServerProcess
from benchmarks.run import Job, Run
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS, Server
from benchmarks.tables.history import NOW, PERIODS
from benchmarks.tables.plan import FollowingReader, Instrument, RecordedSchedule
from benchmarks.tables.reader import CANDLES, TRADES, TableReader, row_bytes
from benchmarks.workloads import Phase

FEED_SECONDS = 60.0
"""Time for the server to take in what comes before the first phase."""

BARS = 300
AWAY_SECONDS = 600
PRINT_EVERY = 5
"""Seconds between two prints of an instrument while a client is away."""
TRADED = 20
"""Instruments that trade while a client is away."""


def reader_of(client: Client) -> TableReader:
    """Return a client's copy of its tables."""
    assert isinstance(client.reader, TableReader)
    return client.reader


class RecordedRun(Run):
    """Clients of tables whose instruments play parts of the recordings."""

    def __init__(self, job: Job, process: ServerProcess, port: int, table: str) -> None:
        super().__init__(job, process, port)
        self._table = table
        self._prints = table.startswith("trades:")
        self._instruments = [Instrument(number) for number in range(job.workload.symbols)]

    def new_clients(self, count: int) -> list[Client]:
        """Return clients of a table of each instrument in random watchlists, not connected yet."""
        clients = super().new_clients(count)
        for client in clients:
            reader = client.reader = FollowingReader()
            reader.follow(self._instruments)
            reader.names = [f"S{number} {self._table}" for number in client.numbers]
        return clients

    def connect(self, count: int) -> None:
        """Let the server have all books, and connect clients."""
        if not self._prints:
            books = [b"%d %b\n" % (each.number, each.book()) for each in self._instruments]
            feed_all(self.process, b"".join(books))
        super().connect(count)

    def schedule(self, phase: Phase) -> RecordedSchedule:
        """Return the next messages of all instruments."""
        return RecordedSchedule(phase, self._instruments, first_price=self.next_price, prints=self._prints)

    def is_exact(self, client: Client) -> bool:
        """Return whether a client's tables show the last message: for books, whether these are the levels."""
        if self._prints:
            return super().is_exact(client)
        tables = reader_of(client).tables.values()
        return all(table.fingerprint == self._instruments[table.instrument].fingerprint for table in tables)

    def table_metrics(self, sample: Sample, before: tuple[int, int]) -> Sample:
        """Add the bytes of tables to a sample."""
        if not sample.metrics:
            return sample
        deltas, size = (now - then for now, then in zip(self.sent(), before, strict=True))
        found = {"bytes_per_delta": size / max(1, deltas)}
        if self._prints:
            tables = [table for client in self.clients for table in reader_of(client).tables.values()]
            found["bytes_per_print"] = row_bytes(tables, TRADES)
            found["missed"] = sum(client.reader.missed for client in self.clients)  # type: ignore[attr-defined]
        return replace(sample, metrics=sample.metrics | found)

    def sent(self) -> tuple[int, int]:
        """Return the number of tables' entries in DELTA messages so far, and the bytes of these."""
        readers = [reader_of(client) for client in self.clients]
        return sum(reader.deltas for reader in readers), sum(reader.delta_bytes for reader in readers)


def run_depth(run: Run) -> Iterator[Sample]:
    """Clients of `book:10` of instruments that play recorded depth."""
    yield from _run_recorded(run, "book:10")


def run_tape(run: Run) -> Iterator[Sample]:
    """Clients of `trades:50` of instruments that play recorded prints."""
    yield from _run_recorded(run, "trades:50")


def _run_recorded(run: Run, table: str) -> Iterator[Sample]:
    recorded = RecordedRun(run.job, run.process, run.port, table)
    try:
        recorded.connect(run.job.workload.clients)
        for phase in run.job.workload.phases:
            before = recorded.sent()
            yield recorded.table_metrics(recorded.phase(phase), before)
    finally:
        recorded.close()


def feed_all(process: ServerProcess, lines: bytes) -> None:
    """Write lines to the server, and wait until its pipe has taken them. Raises `TimeoutError`."""
    until = time.monotonic() + FEED_SECONDS
    process.feed(lines)
    while process.behind:
        time.sleep(0.001)
        process.feed(b"")
        if time.monotonic() > until:
            raise TimeoutError(f"the server did not take its input within {FEED_SECONDS:.0f} s")


class Charts:
    """Clients of bars, and an instrument's prints while one of them is away."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._server: Server = replace(SERVERS[run.job.server], reader=TableReader)
        self.fault = ""

    def client(self, number: int) -> Client:
        """Return a client of all bars of an instrument, not connected yet."""
        client = Client(self._server, self._run.port, self._run.context, [number])
        reader_of(client).names = [f"S{number} candles:{period}:{BARS}" for period in PERIODS]
        return client

    def open(self, client: Client) -> float:
        """Connect; return the milliseconds from the subscribe to its reply, which is behind all bars."""
        Connector([client], at_once=1).finish(FEED_SECONDS)
        reader = reader_of(client)
        return (reader.answered_at - reader.asked_at) * 1000

    def check(self, client: Client) -> None:
        """All bars have to be there."""
        reader = reader_of(client)
        counts = {table.name: len(table.rows.get(CANDLES, {})) for table in reader.tables.values()}
        if reader.fault or list(counts.values()) != [BARS] * len(PERIODS):
            self.fault = self.fault or reader.fault or f"not {BARS} bars of each period: {counts}"

    def away(self) -> tuple[bytes, int]:
        """Return the prints of ten minutes, and the number of bars of one instrument that they change."""
        times = range(NOW, NOW + AWAY_SECONDS, PRINT_EVERY)
        lines = [
            b'%d {"p":"%d.00","q":"0.5","T":%d,"t":%d,"m":false}\n' % (number, 100 + number, second * 1000, second)
            for second in times
            for number in range(TRADED)
        ]
        return b"".join(lines), sum(len({second // seconds for second in times}) for seconds in PERIODS.values())


def run_bars(run: Run) -> Iterator[Sample]:
    """Memory with books and bars of all instruments; charts that are opened; one that was away for ten minutes."""
    workload = run.job.workload
    (phase,) = workload.phases
    sample, charts = run.job.sample(phase), Charts(run)
    before, began = Counts.now(run.process, []), Stopwatch.now(run.process.cpu())
    clients = [charts.client(number) for number in range(min(workload.clients, workload.symbols))]
    run.extra_clients = clients
    times = []
    for client in clients:
        times.append(charts.open(client))
        charts.check(client)
    reader = reader_of(clients[0])
    opened = reader.data_bytes
    clients[0].close()
    prints, changed = charts.away()
    feed_all(run.process, prints)
    back = charts.client(0)
    resumed = reader_of(back)
    resumed.resume, resumed.tables = (reader.epoch, reader.cursor), reader.tables
    _wait_for_last_print(run, charts)
    clients[0] = back
    charts.open(back)
    charts.check(back)
    rows = {(table.name, row[0]) for table, _, changes in resumed.changed for row in changes}
    if len(rows) != changed:
        charts.fault = charts.fault or f"{changed} bars changed while the client was away, and {len(rows)} came"
    metrics = {
        "memory": run.process.memory(),
        "open_ms": sorted(times)[len(times) // 2],
        "open_bytes": opened,
        "resume_rows": len(rows),
        "resume_bytes": resumed.data_bytes,
        **Stopwatch.now(run.process.cpu()).since(began),
    }
    metrics["cpu"] = (Counts.now(run.process, []).cpu - before.cpu) / metrics["seconds"]
    yield replace(sample, wrong=charts.fault, metrics={} if charts.fault else metrics)


def _wait_for_last_print(run: Run, charts: Charts) -> None:
    """Wait until the server has taken in all prints: a client's copy shows the bar of the last one."""
    last = (NOW + AWAY_SECONDS - PRINT_EVERY) // 60 * 60
    until = time.monotonic() + FEED_SECONDS
    while time.monotonic() < until:
        client = charts.client(TRADED - 1)
        run.extra_clients.append(client)
        charts.open(client)
        minute = next(table for table in reader_of(client).tables.values() if ":1m:" in table.name)
        bar: Sequence[object] = minute.rows[CANDLES].get(last, ())
        if bar and bar[6] == 60 // PRINT_EVERY:
            return
        time.sleep(0.1)
    raise TimeoutError("the prints did not arrive")
