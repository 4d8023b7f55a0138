"""Answers over HTTP: made in turns, paid for by their sender, and cached by the cut."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import msgspec

from ticker.bounds import ANSWER_BYTES_PER_REQUEST_UNIT
from ticker.core.hub import Hub
from ticker.core.work import metered
from ticker.door.grants import Grant
from ticker.net.http1 import Response
from ticker.server.connection import ServerContext
from ticker.server.turns import in_turns


async def paid_for(
    context: ServerContext, steps: Generator[None, None, Response], grant: Grant, address: str
) -> Response:
    """Make a page in turns, and have its sender pay for it."""
    await context.fair_queue.take()
    response, work = await in_turns(context.fair_queue, metered(context.hub, steps))
    context.auth.spend(address, grant, work + len(response.body) / ANSWER_BYTES_PER_REQUEST_UNIT)
    return response


def moment_of(hub: Hub, grant: Grant) -> dict[str, Any]:
    """Return the moment of an answer: the epoch of its sender's view, the cut and its time, and the delay, if any."""
    cache = hub.cache
    moment = {"epoch": cache.epoch + grant.view, "cut": cache.wire_cut(cache.cut), "time": cache.time}
    return moment | {"delay": hub.delay} if hub.delay else moment


def market_response(content: Mapping[str, Any], shows: Sequence[str]) -> Response:
    """Return a response that is the same until the next cut. `shows` are the instruments and tables in it."""
    late = ".late" if "delay" in content else ""
    # Weak, because the compressed response and the plain one are the same to a client (RFC 9110, section 8.8.1).
    tag = {"ETag": f'W/"{content["epoch"]}.{content["cut"]}{late}"', "Cache-Control": "no-cache"}
    return Response(msgspec.json.encode(content), headers=tag, shows=shows)


def uncached_json(content: Mapping[str, Any]) -> Response:
    """Return a response that no cache keeps."""
    return Response(msgspec.json.encode(content), headers={"Cache-Control": "no-store"})
