"""Metrics of those that follow this process, and of the log that is kept for them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticker.bus.fan_out import Others
from ticker.bus.log import Log
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
    relay = context.relay
    if isinstance(relay, OwnLog):
        yield from _log_metrics(relay.log)
    if isinstance(relay, Others):
        yield from _log_metrics(relay.fan_out.log)
        yield CounterMetricFamily(
            "ticker_follow_passed_on",
            "Requests of followers for which what this process follows was asked: keyframes, and entries of long ago.",
            relay.fan_out.passed_on,
        )


def _log_metrics(log: Log | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ticker_follow_log_entries",
        "Entries in the log that is kept while others follow.",
        0 if log is None else log.entries,
    )
    yield GaugeMetricFamily("ticker_follow_log_bytes", "Their bytes.", 0 if log is None else log.bytes)
