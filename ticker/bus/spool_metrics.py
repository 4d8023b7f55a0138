"""The metrics of a spool, in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticker.bus.delayed import DelayedEngine


def spool_metrics(spooled: DelayedEngine) -> Iterator[Metric]:
    """Yield the metrics of a spool."""
    spool = spooled.spool
    yield GaugeMetricFamily("ticker_delay_seconds", "The delay of the market.", spooled.delay_seconds)
    yield GaugeMetricFamily(
        "ticker_delay_empty",
        "1 as long as nothing that was read is old enough to be shown.",
        spooled.waits() is not None,
    )
    yield GaugeMetricFamily(
        "ticker_delay_reader_up", "1 if the bus is read; else there is a gap later.", spooled.trouble is None
    )
    yield CounterMetricFamily("ticker_delay_entries_read", "Entries and beats that were read from it.", spooled.entries)
    yield GaugeMetricFamily("ticker_delay_entries_waiting", "Those that are not shown yet.", spool.index.unshown)
    yield CounterMetricFamily(
        "ticker_delay_entries_damaged", "Entries that the spool had, and could not be read any more.", spool.damaged
    )
    yield CounterMetricFamily(
        "ticker_delay_index_loads",
        "How often the places of about a thousand entries were read from the files: only those in use are in memory.",
        spool.loads,
    )
    yield GaugeMetricFamily("ticker_delay_spool_bytes", "The files of the spool.", spool.bytes)
    yield CounterMetricFamily(
        "ticker_delay_entries_dropped", "Entries that were dropped, because the spool was full.", spool.dropped
    )
