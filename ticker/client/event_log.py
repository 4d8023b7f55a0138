"""The events of a client whose user gave no `on_event`: those that explain missing prices go to the log, as warnings.

Without a configuration of its own, Python's `logging` prints warnings to stderr.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from ticker.client.events import Connected, Disconnected, Event, Mismatch, Refused, SourceBack, SourceSilent
from ticker.texts import excerpt

_LOG = logging.getLogger("ticker")


class EventLog:
    """Logs refused and unmatched names, copies that differ, silent sources, and each new reason of an outage once."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._reasons: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Log an event, if people have to know it."""
        if isinstance(event, Connected):
            if self._reasons:
                _LOG.warning("ticker: %s is connected again", self._host)
            self._reasons.clear()
        elif isinstance(event, Disconnected):
            said = f"{urlsplit(event.url).hostname or self._host}: {excerpt(event.reason)}"
            if said not in self._reasons and len(self._reasons) < _MAX_REASONS:
                self._reasons.add(said)
                _LOG.warning("ticker: %s; trying again until it works", said)
        elif isinstance(event, Mismatch | SourceSilent | SourceBack):
            _LOG.warning("ticker: %s: %s", self._host, event.text)
        elif not isinstance(event, Refused) or not event.pending:  # an unknown name may be known in a moment
            _LOG.warning("ticker: %s: %s", excerpt(event.name), excerpt(event.text))


_MAX_REASONS = 20
"""Reasons of one outage that are logged; further ones are not."""
