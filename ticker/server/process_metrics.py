"""Metrics of the service as a process: readiness, its certificate, the queue of the feeds, pauses."""

from __future__ import annotations

from collections.abc import Iterator

import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticker.net.clocks import RunningClock
from ticker.server.cert_reload import Certificate
from ticker.server.feed_channel import FeedMessage
from ticker.server.readiness import Readiness


class ProcessMetrics:
    """The metrics of one process."""

    def __init__(
        self, readiness: Readiness, certificate: Certificate | None, messages: trio.MemorySendChannel[FeedMessage]
    ) -> None:
        """`messages` is the channel from the feeds to the publisher."""
        self._readiness = readiness
        self._certificate = certificate
        self._messages = messages

    def __repr__(self) -> str:
        return f"<ProcessMetrics: {self._readiness!r}, {self._certificate!r}>"

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield GaugeMetricFamily("ticker_ready", "1 if /readyz is 200.", not self._readiness.missing())
        if self._certificate is not None:
            yield GaugeMetricFamily(
                "ticker_certificate_expires_timestamp_seconds",
                "End of the certificate in use, in seconds since 1970 UTC.",
                self._certificate.expires,
            )
        queue = self._messages.statistics()
        text = "Items that wait between the feeds and the publisher."
        yield GaugeMetricFamily("ticker_feed_queue_items", text, queue.current_buffer_used)
        yield GaugeMetricFamily(
            "ticker_feed_queue_limit", "Room for them (limits.feed_queue); then feeds wait.", queue.max_buffer_size
        )
        yield GaugeMetricFamily(
            "ticker_feed_queue_senders_waiting", "Feeds that wait for room.", queue.tasks_waiting_send
        )
        clock = trio.lowlevel.current_clock()
        yield CounterMetricFamily(
            "ticker_paused_seconds",
            "Time of steps of the loop, and of pauses of the whole process, that took a second or more.",
            clock.paused if isinstance(clock, RunningClock) else 0.0,
        )
