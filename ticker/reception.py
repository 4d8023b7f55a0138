"""One connection, once its bytes can be read: its request is taken in, judged, and answered or served."""

from __future__ import annotations

from typing import NamedTuple

import h11
import trio

from ticker.access import Grant
from ticker.admission import Cause
from ticker.front_door import Refusal, Upgrade, headers_of, receive_request, respond, route
from ticker.link import Service
from ticker.transport import PushStream
from ticker.websocket import serve_websocket

LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)
"""How it shows that a peer has gone, or does not do its part."""


async def receive(stream: PushStream, address: str, service: Service) -> None:
    """Serve whoever is at the other end of a stream. Raises what is in `LOST` if the connection is lost."""
    visit = await _admit(stream, address, service)
    if visit is not None:
        try:
            await serve_websocket(stream, visit.upgrade, visit.rest, visit.grant, service)
        finally:
            service.gate.admission.go(visit.grant.subject)


class _Visit(NamedTuple):
    """Somebody who was let in: the request, what came behind it, and what it may do."""

    upgrade: Upgrade
    rest: bytes
    grant: Grant


async def _admit(stream: PushStream, address: str, service: Service) -> _Visit | None:
    """Somebody who is let in and now has a place; None if it was answered that it is not."""
    limits, gate = service.limits, service.gate
    request: h11.Request | None = None
    try:
        with trio.fail_after(limits.handshake_seconds):
            request, rest = await receive_request(stream, limits.max_head_bytes)
            upgrade = route(request)
            grant = await gate.grant(headers_of(request))
        gate.enter(address, grant)
        return _Visit(upgrade, rest, grant)
    except Refusal as refusal:
        gate.admission.turned_away[refusal.cause] += 1
        with trio.fail_after(limits.handshake_seconds):
            await respond(stream, refusal, head_only=request is not None and request.method == b"HEAD")
    except (trio.TooSlowError, trio.BrokenResourceError):
        gate.admission.turned_away[Cause.TIMEOUT] += 1
        raise
    return None
