"""Metrics of those that follow this process, and of the log that a process without a bus keeps for them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticker.errors import DropCause
from ticker.server.connection import ServerContext
from ticker.server.own_log import OwnLog


def follow_metrics(context: ServerContext) -> Iterator[Metric]:
    """Yield the metrics."""
    followers = context.followers
    yield GaugeMetricFamily(
        "ticker_follow_connections", "Other tickers that follow this process.", len(followers.connections)
    )
    yield CounterMetricFamily("ticker_follow_answers", "Requests of followers that were answered.", followers.answers)
    yield CounterMetricFamily(
        "ticker_follow_bytes_sent", "Bytes of the answers to followers, without TLS.", followers.bytes
    )
    ended = CounterMetricFamily(
        "ticker_follow_dropped", "Followers dropped: as clients are, or for what is no request.", labels=["cause"]
    )
    for cause in (DropCause.STALLED, DropCause.SILENT):
        ended.add_metric([str(cause)], followers.dropped[cause])
    ended.add_metric(["request"], followers.faults)
    yield ended
    if isinstance(context.relay, OwnLog):
        log = context.relay.log
        yield GaugeMetricFamily(
            "ticker_follow_log_entries",
            "Entries in the log of a process without a bus, which is kept while others follow.",
            0 if log is None else log.entries,
        )
        yield GaugeMetricFamily("ticker_follow_log_bytes", "Their bytes.", 0 if log is None else log.bytes)
