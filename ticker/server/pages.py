"""The HTTP pages besides the event stream: snapshots, instruments, health, metrics, files.

    /v1/snapshot?symbols=A,B*&after=   values of some instruments, and rows of tables, at one cut
    /v1/instruments?match=B*&after=    definitions of instruments
    /v1/book?symbol=A&depth=10         the best levels of a book
    /v1/trades?symbol=A&count=50       the latest prints
    /v1/candles?symbol=A&period=1m&before=&count=300
                                       candles, also older ones of the history
    /healthz  /readyz  /metrics        for operators: `operator_pages`
    /  and the files of ticker/web     the dashboard

Those of the market are in `market_pages` and `table_pages`. Every response but a file is JSON (metrics: the Prometheus
text format); that of an error has `code` and `message`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import h11

from ticker.door.sender import Sender, agent_of
from ticker.net.http1 import STREAM_PATH, Refusal, Response, path_of
from ticker.server.bar_history import BarHistory
from ticker.server.connection import Route, ServerContext
from ticker.server.event_stream import EVENTS_PATH, parse_events_request
from ticker.server.files import Files
from ticker.server.market_pages import MarketPages
from ticker.server.operator_pages import OperatorPages
from ticker.server.query import check_limits, check_method, parse_query
from ticker.server.table_pages import TablePages


class Pages:
    """The pages of one service."""

    def __init__(
        self,
        context: ServerContext,
        files: Files,
        operator_pages: OperatorPages,
        history: BarHistory | None = None,
        *,
        metrics_open: bool,
    ) -> None:
        """`metrics_open` shows metrics without a token."""
        self._context = context
        self._files = files
        self._operator_pages = operator_pages
        self._metrics_open = metrics_open
        self._market = market_routes(context, history)

    def __repr__(self) -> str:
        return f"<Pages: {', '.join((*self._market, *self._operator_pages.paths))}, {self._files!r}>"

    def is_for_operators(self, request: h11.Request) -> bool:
        """Return whether a request is for one of the operators' pages."""
        return path_of(request) in self._operator_pages.paths

    async def answer(self, request: h11.Request, headers: Mapping[bytes, bytes], address: str) -> Response:
        """Return the response to a request. Raises `Refusal`."""
        path = path_of(request)
        prefix = self._context.path_prefix
        if not path:  # the links of the dashboard need the slash
            return Response(b"", status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": f"{prefix}/"})
        auth = self._context.auth
        market = path in self._market or path == EVENTS_PATH
        operators = path in self._operator_pages.paths
        if (market or operators) and request.method == b"OPTIONS":
            return self._preflight(headers, address)
        if operators:
            return await self._operator_pages.answer(request, headers, address, metrics_open=self._metrics_open)
        if market:
            check_method(request.method)
            grant = await auth.authorize(headers, address)
            context = self._context.market_of(grant)
            auth.check_rate(address, grant)
            if path == EVENTS_PATH:  # only its head is asked for
                check_limits(parse_events_request(request, headers, {}).names, self._context.limits, grant)
                response = Response(b"", "text/event-stream", headers={"Cache-Control": "no-store"})
            else:
                response = await self._routes(context)[path](parse_query(request), grant, address)
                usage = context.usage
                if usage is not None and response.shows and request.method != b"HEAD":
                    usage.shown(Sender(address, grant, agent_of(headers)), response.shows)
            return _not_modified_or(response, headers)
        file = self._files.find(path, headers)
        if file is None:
            text = f"there is nothing here; the dashboard is at {prefix}/, the stream at {prefix}{STREAM_PATH}"
            raise Refusal(HTTPStatus.NOT_FOUND, text)
        check_method(request.method)
        return _not_modified_or(file, headers)

    def _routes(self, context: ServerContext) -> Mapping[str, Route]:
        """Return the pages of one of the markets."""
        beside = self._context.beside
        return self._market if beside is None or context is self._context else beside.routes

    def _preflight(self, headers: Mapping[bytes, bytes], address: str) -> Response:
        """Return the rights of web pages of an allowed origin (the Fetch standard's CORS protocol)."""
        self._context.auth.check_origin(headers, address)
        allowed = {
            "Allow": "GET, HEAD, OPTIONS",
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "Authorization, Last-Event-ID, If-None-Match",
            "Access-Control-Max-Age": "600",
        }
        return Response(b"", status=HTTPStatus.NO_CONTENT, headers=allowed)


def market_routes(context: ServerContext, history: BarHistory | None) -> Mapping[str, Route]:
    """Return the pages of a market by path."""
    return MarketPages(context).routes | TablePages(context, history).routes


def _not_modified_or(response: Response, headers: Mapping[bytes, bytes]) -> Response:
    """304 for a client that has this already (RFC 9110, section 13.1.2)."""
    tag = response.headers.get("ETag")
    given = headers.get(b"if-none-match", b"").decode("latin-1").split(",")
    known = [each.strip().removeprefix("W/") for each in given]
    if tag is None or (tag.removeprefix("W/") not in known and "*" not in known):
        return response
    return Response(b"", response.content_type, HTTPStatus.NOT_MODIFIED, response.headers)
