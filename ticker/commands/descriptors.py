"""File descriptors for all connections: each one needs one, and the usual limit is 1,024."""

from __future__ import annotations

import sys

import structlog

from ticker.bounds import MAX_METRICS_CONNECTIONS, MAX_PENDING_CONNECTIONS, RESERVED_DESCRIPTORS

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.commands.descriptors")


def raise_descriptor_limit(max_connections: int) -> None:
    """Raise the soft limit of this process as far as `max_connections` needs; log a warning if that is too far."""
    if sys.platform == "win32":  # it has no such limit
        return
    import resource  # noqa: PLC0415  # not on every system

    needed = max_connections + MAX_PENDING_CONNECTIONS + MAX_METRICS_CONNECTIONS + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    limit = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS has a lower limit for all processes behind this one
        limit = soft
    if limit < needed:
        text = "too few file descriptors for max_connections: once they are used up, new clients wait"
        remedy = f"raise the hard limit (ulimit -Hn) to {needed}, or lower limits.max_connections"
        _log.warning(text, descriptors=limit, max_connections=max_connections, remedy=remedy)
