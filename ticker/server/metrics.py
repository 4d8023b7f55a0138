"""The service's counts in the Prometheus text format, collected at each request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import metadata
from itertools import accumulate, islice

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ticker.bounds import METRICS_SAMPLE, METRICS_SAMPLE_INSTRUMENTS
from ticker.core.traffic import Traffic
from ticker.errors import DropCause
from ticker.net.clocks import hub_time
from ticker.net.memory import resident_bytes
from ticker.net.queued_file import lines_lost
from ticker.server.bar_history import BarHistory
from ticker.server.bus_metrics import BusMetrics
from ticker.server.connection import ServerContext
from ticker.server.delay_metrics import DelayMetrics
from ticker.server.feed_channel import FeedState
from ticker.server.follow_metrics import follow_metrics
from ticker.server.followed import FollowedCuts
from ticker.server.process_metrics import ProcessMetrics
from ticker.server.publisher import Publisher
from ticker.server.usage_log import UsageLog


class Metrics:
    """The metrics of one service."""

    def __init__(
        self,
        context: ServerContext,
        publisher: Publisher | FollowedCuts,
        feed_states: Sequence[FeedState],
        history: BarHistory | None = None,
        process: ProcessMetrics | None = None,
        bus: BusMetrics | None = None,
    ) -> None:
        self._context = context
        self._history = history
        self._process = process
        self._bus = bus
        self.delay = DelayMetrics()
        """Those of a delay, if the process has one."""
        self._publisher = publisher
        self._feed_states = feed_states
        self._started_at = hub_time()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def __repr__(self) -> str:
        return f"<Metrics of {self._publisher!r}>"

    def text(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)

    async def page(self) -> bytes:
        """The same, for a service of one process."""
        return self.text()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, for the registry."""
        yield _info()
        yield from self._feeds()
        yield from self.delay.with_beside(self.of_market())
        yield from self._door()
        if self._process is not None:
            yield from self._process.collect()
        yield from self.delay.spool()
        yield CounterMetricFamily(
            "ticker_output_lines_lost", "Lines of the log that were not read in time.", lines_lost()
        )
        memory = resident_bytes()
        if memory is not None:
            yield GaugeMetricFamily("ticker_resident_memory_bytes", "Resident memory of the process.", memory)

    def of_market(self) -> Iterator[Metric]:
        """Yield those that a process with two markets has twice."""
        applied, refused = self._publisher.applied, self._publisher.refused
        yield CounterMetricFamily("ticker_publications_applied", "Publications that were applied.", applied)
        yield CounterMetricFamily("ticker_publications_refused", "Publications that were refused.", refused)
        yield from self._data()
        yield from self._tables()
        if self._history is not None:
            yield from _history(self._history)
        if self._context.usage is not None:
            yield from _usage(self._context.usage)
        yield from self._clients()
        if self._bus is not None:
            yield from self._bus.collect()
        if self._context.relay is not None:
            yield from follow_metrics(self._context)

    def _feeds(self) -> Iterator[Metric]:
        now = hub_time()
        publications = CounterMetricFamily("ticker_feed_publications", "Publications of a feed.", labels=["feed"])
        failures = CounterMetricFamily("ticker_feed_failures", "How often a feed failed.", labels=["feed"])
        age = GaugeMetricFamily(
            "ticker_feed_age_seconds",
            "Since a feed's last data or sign of life, or since the start of the service if there was none.",
            labels=["feed"],
        )
        up = GaugeMetricFamily("ticker_feed_up", "1 if a feed has brought data since its last start.", labels=["feed"])
        blocked = CounterMetricFamily(
            "ticker_feed_blocked", "How often a feed blocked the service, and was interrupted.", labels=["feed"]
        )
        events = CounterMetricFamily("ticker_feed_events", "What a feed counts itself.", labels=["feed", "event"])
        refusals = CounterMetricFamily(
            "ticker_feed_refusals", "Publications, or parts of them, that could not be used.", labels=["feed", "cause"]
        )
        for feed_state in self._feed_states:
            name = feed_state.label
            publications.add_metric([name], feed_state.publications)
            failures.add_metric([name], feed_state.failures)
            blocked.add_metric([name], feed_state.blocked)
            alive_at = self._started_at if feed_state.alive_at is None else feed_state.alive_at
            age.add_metric([name], (now - alive_at) / 1e6)
            up.add_metric([name], feed_state.condition == "live")
            for event, count in feed_state.counts().items():
                events.add_metric([name, event], count)
            for cause, count in feed_state.refusals.items():
                refusals.add_metric([name, cause], count)
        yield from (publications, failures, blocked, age, up, events, refusals)

    def _data(self) -> Iterator[Metric]:
        hub, delays = self._context.hub, self._publisher.delays
        sent = hub.total_traffic()
        yield GaugeMetricFamily("ticker_instruments", "Instruments in the cache.", hub.cache.instrument_count)
        yield GaugeMetricFamily("ticker_instruments_stale", "Instruments shown as stale.", len(hub.cache.stale))
        yield CounterMetricFamily("ticker_cuts", "Cuts that were closed.", hub.cache.wire_cut(hub.cache.cut))
        yield CounterMetricFamily("ticker_frames_sent", "Data messages and heartbeats sent.", sent.frames)
        yield CounterMetricFamily("ticker_bytes_sent", "Bytes of these, without TLS.", sent.bytes)
        yield CounterMetricFamily("ticker_updates_sent", "Changes of an instrument in these.", sent.updates)
        bounds = [*map(str, delays.BOUNDS), "+Inf"]
        yield HistogramMetricFamily(
            "ticker_cut_seconds",
            "From the receipt of a cut's first publication until it was written to the last ready client.",
            buckets=list(zip(bounds, map(float, accumulate(delays.counts)), strict=True)),
            sum_value=delays.total,
        )

    def _tables(self) -> Iterator[Metric]:
        hub = self._context.hub
        tables = hub.cache.tables
        yield GaugeMetricFamily(
            "ticker_tables_open",
            "Tables that anybody has asked for.",
            len(hub.cache.records) - hub.cache.instrument_count,
        )
        not_opened = CounterMetricFamily(
            "ticker_tables_not_opened",
            "Tables that were not opened because there was no room: of the service, the sender, the connection.",
            labels=["limit"],
        )
        for limit, count in hub.index.tables.refused.items():
            not_opened.add_metric([limit], count)
        yield not_opened
        yield GaugeMetricFamily("ticker_tables_watched", "Tables that are kept up to date.", tables.watched_count)
        yield CounterMetricFamily("ticker_book_levels", "Price levels that were applied to books.", tables.levels)
        yield CounterMetricFamily(
            "ticker_book_levels_dropped",
            "Price levels that were dropped because a side had too many.",
            tables.levels_dropped,
        )
        yield CounterMetricFamily(
            "ticker_tables_left_out",
            "Levels, prints and bars left out because too many instruments have tables (tables.max_instruments).",
            tables.left_out,
        )
        yield CounterMetricFamily("ticker_prints", "Prints and corrections that were applied.", tables.prints)
        yield CounterMetricFamily(
            "ticker_book_resyncs", "Complete books for a book that was not known.", tables.resyncs
        )
        stale = CounterMetricFamily("ticker_books_became_stale", "Books that became stale, by cause.", labels=["cause"])
        for cause, count in tables.stale_causes.items():
            stale.add_metric([cause], count)
        yield stale

    def _clients(self) -> Iterator[Metric]:
        connections = self._context.connections
        clients = GaugeMetricFamily("ticker_clients", "Clients by state.", labels=["state"])
        behind = sum(connection.behind for connection in connections)
        clients.add_metric(["in_step"], len(connections) - behind)
        clients.add_metric(["behind"], behind)
        yield clients
        dropped = CounterMetricFamily("ticker_clients_dropped", "Clients dropped, by cause.", labels=["cause"])
        for cause in DropCause:
            dropped.add_metric([str(cause)], self._context.dropped[cause])
        yield dropped
        slow = sum(connection.was_slow for connection in connections)
        yield GaugeMetricFamily("ticker_slow_consumers", "Clients whose delivery was paused at least once.", slow)
        yield GaugeMetricFamily(
            "ticker_clients_slowed",
            "Clients that asked for too much.",
            sum(connection.slowed > 0 for connection in connections),
        )
        sample, room = list[Traffic](), METRICS_SAMPLE_INSTRUMENTS
        for connection in islice(connections, METRICS_SAMPLE):
            sample.append(connection.traffic())
            room -= connection.subscriber.audience.count
            if room < 0:
                break
        sent = sum(traffic.updates for traffic in sample)
        ratio = sum(traffic.offered for traffic in sample) / sent if sent else 1.0
        yield GaugeMetricFamily(
            "ticker_conflation_ratio", "Updates of what present clients watch, per change sent to them.", ratio
        )

    def _door(self) -> Iterator[Metric]:
        limits = self._context.auth.connection_limits
        yield GaugeMetricFamily("ticker_connections", "Connections, admitted or not.", limits.open)
        yield GaugeMetricFamily("ticker_connections_admitted", "Connections that were admitted.", limits.admitted)
        memory = self._context.auth.memory
        yield GaugeMetricFamily(
            "ticker_connections_kept", "Connections that wait for their next request.", len(self._context.kept)
        )
        yield CounterMetricFamily(
            "ticker_connections_not_kept", "Connections ended behind a response for want of room.", limits.not_kept
        )
        kept = GaugeMetricFamily("ticker_kept_bytes", "Bytes that are kept for clients.", labels=["of"])
        kept.add_metric(["all"], memory.total)
        kept.add_metric(["address_with_most"], memory.most_of_an_address)
        kept.add_metric(["client_with_most"], max((each.kept for each in self._context.connections), default=0))
        yield kept
        yield GaugeMetricFamily(
            "ticker_turns_waiting", "Connections in line to be dealt with.", self._context.fair_queue.waiting
        )
        yield CounterMetricFamily(
            "ticker_records_delayed",
            "How often a connection had sent too many TLS records, and was read later.",
            self._context.record_rate.exceeded,
        )
        yield CounterMetricFamily(
            "ticker_accept_failures", "Attempts to accept without a free file descriptor.", limits.accept_failures
        )
        refused = CounterMetricFamily("ticker_turned_away", "Connections not admitted, by cause.", labels=["cause"])
        for cause, count in limits.refusals.items():
            refused.add_metric([str(cause)], count)
        yield refused

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the names above are known to be unique."""
        return ()


def _history(history: BarHistory) -> Iterator[Metric]:
    yield GaugeMetricFamily("ticker_history_writes", "1 if this service writes the history.", history.writes)
    yield CounterMetricFamily("ticker_history_bars_written", "Bars written, each time they were.", history.written)
    yield GaugeMetricFamily("ticker_history_bars_waiting", "Bars that wait to be written.", history.waiting)
    yield CounterMetricFamily("ticker_history_bars_lost", "Bars that were dropped while they waited.", history.lost)
    yield GaugeMetricFamily("ticker_history_file_bytes", "The file of the history and its log.", history.file_bytes)
    failures = CounterMetricFamily("ticker_history_failures", "Failed writes and reads, by cause.", labels=["cause"])
    for cause, count in history.failures.items():
        failures.add_metric([str(cause)], count)
    yield failures


def _usage(usage: UsageLog) -> Iterator[Metric]:
    writer = usage.writer
    yield GaugeMetricFamily("ticker_usage_log_up", "1 if the usage log is written.", not usage.failing)
    yield CounterMetricFamily("ticker_usage_log_lines", "Lines that were written to the usage log.", writer.lines)
    yield GaugeMetricFamily(
        "ticker_usage_log_waiting_bytes", "Upper estimate of what waits to be written there.", writer.waiting
    )
    yield CounterMetricFamily("ticker_usage_log_lost", "Events that are in no file of it.", usage.lost)
    yield CounterMetricFamily("ticker_usage_log_failures", "Failed attempts to write it.", writer.failures)
    yield GaugeMetricFamily("ticker_usage_log_file_bytes", "Its present file.", writer.file_bytes)


def _info() -> Metric:
    info = GaugeMetricFamily("ticker_build_info", "The version that runs.", labels=["version"])
    info.add_metric([_version()], 1)
    return info


@cache
def _version() -> str:
    """Return the version of this package; to look for it takes as long as all other metrics."""
    return metadata.version("ticker-push")
