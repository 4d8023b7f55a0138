"""The status of a record as users get it. Pure."""

from __future__ import annotations

from ticker.market import Status

_STATUSES = frozenset(status.value for status in Status)


def known_status(word: object) -> str:
    """Return a status that this version knows: any other word is of a later one, and counts as `stale`."""
    return word if isinstance(word, str) and word in _STATUSES else Status.STALE.value
