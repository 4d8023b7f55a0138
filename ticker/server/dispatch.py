"""From a connection's first bytes to its handler: the request is received, authorized, and answered or served.

A request for a stream that is let in holds a place in the connection limits until the stream ends. After the answer to
another one, the next request may come; each is authorized by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple

import h11
import trio

from ticker.bounds import FULL_RETRY_SECONDS, KEEP_ALIVE_SECONDS, REQUESTS_PER_CONNECTION
from ticker.door.callers import Caller
from ticker.door.grants import ANYONE, Grant
from ticker.door.sender import Sender, agent_of
from ticker.errors import RefusalCause
from ticker.net.http1 import (
    STREAM_PATH,
    Refusal,
    Response,
    Upgrade,
    below,
    headers_of,
    keeps_alive,
    path_of,
    receive_request,
    respond,
    route,
)
from ticker.net.transport import PushStream
from ticker.server.compression import compressed
from ticker.server.connection import ServerContext
from ticker.server.event_stream import EVENTS_PATH, EventsRequest, parse_events_request, serve_events
from ticker.server.pages import Pages
from ticker.server.query import check_limits
from ticker.server.relay import serve_follower
from ticker.server.websocket import serve_websocket

CONNECTION_LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)
"""Errors that mean that the peer has gone, or is too slow."""

_ENDING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""A service that has too much to do keeps no connections open."""

_ALWAYS = nullcontext()


async def admit(stream: PushStream, caller: Caller, context: ServerContext, pages: Pages) -> AdmittedStream | None:
    """Answer requests until one for a stream is admitted, for `serve`; None once the connection is to end.

    Raises one of `CONNECTION_LOST` if it is lost.
    """
    received = b""
    for left in reversed(range(REQUESTS_PER_CONNECTION)):
        outcome = await _answer(stream, received, caller, context, pages, last=not left)
        if isinstance(outcome, AdmittedStream):
            return outcome
        caller.answered()
        received = await context.kept.next_bytes(stream, context.limits.max_head_bytes) if outcome else b""
        if not received:
            break
    return None


async def serve(stream: PushStream, admitted: AdmittedStream, context: ServerContext) -> None:
    """Serve an admitted stream to its end. Raises one of `CONNECTION_LOST` if it is lost."""
    wanted, rest, sender, market = admitted
    try:
        with _as_long_as_there_is(market, context):
            if isinstance(wanted, EventsRequest):
                await serve_events(stream, wanted, sender, market)
            elif wanted.follows:
                await _serve_follower(stream, admitted, market)
            else:
                await serve_websocket(stream, wanted, rest, sender, market)
    finally:
        context.auth.connection_limits.release(sender.grant.subject)


def _as_long_as_there_is(market: ServerContext, context: ServerContext) -> AbstractContextManager[None]:
    return _ALWAYS if context.beside is None or market is context else context.beside.serving(market)


async def _serve_follower(stream: PushStream, admitted: AdmittedStream, context: ServerContext) -> None:
    assert isinstance(admitted.wanted, Upgrade) and context.relay is not None  # noqa: S101, PT018  # checked on entry
    try:
        await serve_follower(stream, admitted.wanted, admitted.rest, admitted.sender, context, context.relay)
    finally:
        context.followers.leave_place()


class AdmittedStream(NamedTuple):
    """A request for a stream that was let in: the request, the bytes received behind it, and its sender."""

    wanted: Upgrade | EventsRequest
    rest: bytes
    sender: Sender
    context: ServerContext
    """The market that it may see."""


async def _answer(
    stream: PushStream, received: bytes, caller: Caller, context: ServerContext, pages: Pages, *, last: bool
) -> AdmittedStream | bool:
    """Return a request for a stream that was given a place; of another, which was answered, whether a next may come."""
    limits, connection_limits = context.limits, context.auth.connection_limits
    head_only, keep, cors_headers = False, False, dict[str, str]()
    try:
        with trio.fail_after(limits.handshake_seconds):
            arrived = await receive_request(stream, limits.max_head_bytes, received)
            request, rest = arrived.request, arrived.rest
            head_only = request.method == b"HEAD"
            headers = headers_of(request)
            _identify(caller, headers)
            keep = keeps_alive(arrived) and not last and connection_limits.may_keep(caller.address)
            cors_headers = context.auth.cors_headers(headers)
            if context.path_prefix:
                request = below(request, context.path_prefix)
            if context.beside is None and not pages.is_for_operators(request):
                context.market_of(ANYONE)  # a process without clients asks for no token
            wanted = _stream_request(request, headers, cors_headers)
            if wanted is not None:
                return await _admit(wanted, rest, headers, caller, context)
            response = await pages.answer(request, headers, caller.address)
            response = await compressed(response, headers, context.fair_queue)
    except Refusal as refusal:
        connection_limits.refusals[refusal.cause] += 1
        response = refusal.response
    except (trio.TooSlowError, trio.BrokenResourceError):
        connection_limits.refusals[RefusalCause.TIMEOUT] += 1
        raise
    keep = keep and not context.kept.ended and response.status not in _ENDING and "Connection" not in response.headers
    return await _send(stream, _Reply(response, cors_headers, head_only, keep), caller, context)


async def _admit(
    wanted: Upgrade | EventsRequest, rest: bytes, headers: dict[bytes, bytes], caller: Caller, context: ServerContext
) -> AdmittedStream:
    """Give a request for a stream a place. Raises `Refusal`."""
    address = caller.address
    grant = await context.auth.authorize(headers, address)
    market = context.market_of(grant)
    if isinstance(wanted, EventsRequest):
        context.auth.check_rate(address, grant)
        check_limits(wanted.names, context.limits, grant)
    elif wanted.follows:
        _check_follower(market, grant)
    await context.auth.admit(caller, grant)
    if isinstance(wanted, Upgrade) and wanted.follows:
        _take_follower_place(market, grant)
    return AdmittedStream(wanted, rest, Sender(address, grant, agent_of(headers)), market)


class _Reply(NamedTuple):
    """A response, and how it is to be sent."""

    response: Response
    cors_headers: Mapping[str, str]
    head_only: bool
    keep: bool


async def _send(stream: PushStream, reply: _Reply, caller: Caller, context: ServerContext) -> bool:
    """Send a response, or one that says that there is no room for it; return whether the connection is kept."""
    response, keep = reply.response, reply.keep
    account = context.auth.memory.account(caller.address)
    if not account.hold(len(response.body)):
        context.auth.connection_limits.refusals[RefusalCause.MEMORY] += 1
        text = "what is kept for the clients of this address, or of all, is at its limit"
        keep = False
        response = Refusal(HTTPStatus.TOO_MANY_REQUESTS, text, Retry_After=str(FULL_RETRY_SECONDS)).response
    try:
        with trio.fail_after(context.limits.handshake_seconds):
            response = replace(response, headers=_joined(response.headers, reply.cors_headers))
            keep_seconds = KEEP_ALIVE_SECONDS if keep else None
            await respond(stream, response, head_only=reply.head_only, keep_seconds=keep_seconds)
    finally:
        account.close()
    return keep


def _joined(headers: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, str]:
    """Return both, with all that a response varies by."""
    varied = ", ".join(each["Vary"] for each in (headers, more) if "Vary" in each)
    return {**headers, **more, **({"Vary": varied} if varied else {})}


def _check_follower(context: ServerContext, grant: Grant) -> None:
    """Check that the sender may follow this process. Raises `Refusal`."""
    if context.relay is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "this process cannot be followed")
    if context.auth.keys is not None:
        context.followers.check(grant)


def _take_follower_place(context: ServerContext, grant: Grant) -> None:
    """Give an admitted follower its place, or take its admission back. Raises `Refusal`."""
    try:
        context.followers.take_place()
    except Refusal:
        context.auth.connection_limits.release(grant.subject)
        raise


def _identify(caller: Caller, headers: dict[bytes, bytes]) -> None:
    """Take the client's address from the headers of a proxy. Raises `Refusal` beyond its limit."""
    if not caller.identify(headers):
        text = "too many connections of this address"
        retry = str(FULL_RETRY_SECONDS)
        raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, text, RefusalCause.OVERRUN, Retry_After=retry)


def _stream_request(
    request: h11.Request, headers: dict[bytes, bytes], cors_headers: dict[str, str]
) -> Upgrade | EventsRequest | None:
    """Parse a request for a stream; None if it is for something else. Raises `Refusal`."""
    path = path_of(request)
    if path == STREAM_PATH:
        return route(request)
    if path == EVENTS_PATH and request.method == b"GET":
        return parse_events_request(request, headers, cors_headers)
    return None
