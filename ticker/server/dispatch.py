"""One connection, once its bytes can be read: its request is taken in, judged, and answered or served."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import h11
import trio

from ticker.config import Limits
from ticker.door.authorization import Grant
from ticker.errors import RefusalCause
from ticker.net.http1 import (
    STREAM_PATH,
    Refusal,
    Upgrade,
    headers_of,
    path_of,
    receive_request,
    respond,
    route,
)
from ticker.net.transport import PushStream
from ticker.server.event_stream import EVENTS_PATH, EventsRequest, serve_events
from ticker.server.link import Service
from ticker.server.pages import Pages, wish_of
from ticker.server.websocket import serve_websocket

LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)
"""How it shows that a peer has gone, or does not do its part."""


async def receive(stream: PushStream, address: str, service: Service, pages: Pages) -> None:
    """Serve whoever is at the other end of a stream. Raises what is in `LOST` if the connection is lost."""
    visit = await _admit(stream, address, service, pages)
    if visit is None:
        return
    try:
        if isinstance(visit.wish, Upgrade):
            await serve_websocket(stream, visit.wish, visit.rest, visit.grant, service)
        else:
            await serve_events(stream, visit.wish, address, visit.grant, service)
    finally:
        service.gate.admission.go(visit.grant.subject)


class _Visit(NamedTuple):
    """Somebody who was let in to stay: what it wants, what came behind the request, and what it may do."""

    wish: Upgrade | EventsRequest
    rest: bytes
    grant: Grant


async def _admit(stream: PushStream, address: str, service: Service, pages: Pages) -> _Visit | None:
    """Somebody who stays and now has a place; None if the request was answered."""
    limits, admission = service.limits, service.gate.admission
    head_only, shared = False, dict[str, str]()
    try:
        with trio.fail_after(limits.handshake_seconds):
            request, rest = await receive_request(stream, limits.max_head_bytes)
            head_only = request.method == b"HEAD"
            headers = headers_of(request)
            shared = service.gate.cross_origin(headers)
            wish = _stay(request, headers, shared, limits)
            if wish is None:
                response = await pages.answer(request, headers, address)
            else:
                grant = await service.gate.grant(headers)
                if isinstance(wish, EventsRequest):
                    service.gate.charge(address, grant)
                service.gate.enter(address, grant)
                return _Visit(wish, rest, grant)
    except Refusal as refusal:
        admission.turned_away[refusal.cause] += 1
        response = refusal.response
    except (trio.TooSlowError, trio.BrokenResourceError):
        admission.turned_away[RefusalCause.TIMEOUT] += 1
        raise
    with trio.fail_after(limits.handshake_seconds):
        await respond(stream, replace(response, headers={**response.headers, **shared}), head_only=head_only)
    return None


def _stay(
    request: h11.Request, headers: dict[bytes, bytes], shared: dict[str, str], limits: Limits
) -> Upgrade | EventsRequest | None:
    """What a request for a stream asks for; None if it is for something else. Raises `Refusal`."""
    path = path_of(request)
    if path == STREAM_PATH:
        return route(request)
    if path == EVENTS_PATH and request.method == b"GET":
        return wish_of(request, headers, shared, limits)
    return None
