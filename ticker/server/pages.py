"""The HTTP pages besides the event stream: snapshots, instruments, health, metrics, files.

    /v1/snapshot?symbols=A,B*&after=   values of some instruments at one cut
    /v1/instruments?match=B*&after=    definitions of instruments
    /healthz  /readyz  /metrics        for operators
    /  and the files of ticker/web     the dashboard

Those of the market are in `market_pages`. Another new page is a method here and a line in `_routes`. Every response but
a file is JSON (metrics: the Prometheus text format); that of an error has `code` and `message`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

import h11

from ticker.door.grants import ANYONE, Grant
from ticker.net.http1 import STREAM_PATH, Refusal, Response, path_of
from ticker.server.connection import ServerContext
from ticker.server.event_stream import EVENTS_PATH, parse_events_request
from ticker.server.files import Files
from ticker.server.market_pages import MarketPages, uncached_json
from ticker.server.metrics import Metrics
from ticker.server.query import Query, check_keys, check_limits, check_method, parse_query

_OPEN_PATHS = {"/healthz", "/readyz"}
"""For health checks, without a token; they tell nothing about the market."""


class Pages:
    """The pages of one service."""

    def __init__(self, context: ServerContext, files: Files, metrics: Metrics, ready: Callable[[], str]) -> None:
        """`ready` names the feeds that the service still waits for; an empty text if there are none."""
        self._context = context
        self._files = files
        self._metrics = metrics
        self._ready = ready
        self._market = MarketPages(context)
        self._routes: dict[str, Callable[[Query, Grant], Response]] = {
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics_page,
        }

    def __repr__(self) -> str:
        return f"<Pages: {', '.join((*self._market.routes, *self._routes))}, {self._files!r}>"

    async def answer(self, request: h11.Request, headers: Mapping[bytes, bytes], address: str) -> Response:
        """Return the response to a request. Raises `Refusal`."""
        path = path_of(request)
        auth = self._context.auth
        if path in self._routes or path in self._market.routes or path == EVENTS_PATH:
            if request.method == b"OPTIONS":
                return self._preflight(headers)
            check_method(request.method)
            auth.check_origin(headers)
            grant = ANYONE if path in _OPEN_PATHS else await auth.authorize(headers)
            auth.check_rate(address, grant)
            if path == EVENTS_PATH:  # only its head is asked for
                check_limits(parse_events_request(request, headers, {}).names, self._context.limits, grant)
                response = Response(b"", "text/event-stream", headers={"Cache-Control": "no-store"})
            elif path in self._market.routes:
                response = await self._market.routes[path](parse_query(request), grant, address)
            else:
                response = self._routes[path](parse_query(request), grant)
            return _not_modified_or(response, headers)
        file = self._files.find(path, headers)
        if file is None:
            text = f"there is nothing here; the dashboard is at /, the stream at {STREAM_PATH}"
            raise Refusal(HTTPStatus.NOT_FOUND, text)
        check_method(request.method)
        return _not_modified_or(file, headers)

    def _preflight(self, headers: Mapping[bytes, bytes]) -> Response:
        """Return the rights of web pages of an allowed origin (the Fetch standard's CORS protocol)."""
        self._context.auth.check_origin(headers)
        allowed = {
            "Allow": "GET, HEAD, OPTIONS",
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "Authorization, Last-Event-ID, If-None-Match",
            "Access-Control-Max-Age": "600",
        }
        return Response(b"", status=HTTPStatus.NO_CONTENT, headers=allowed)

    def _health(self, query: Query, _grant: Grant) -> Response:
        check_keys(query, set())
        return uncached_json({"status": "ok"})

    def _readiness(self, query: Query, _grant: Grant) -> Response:
        check_keys(query, set())
        waiting = self._ready()
        if waiting:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {waiting}", Retry_After="1")
        return uncached_json({"status": "ready"})

    def _metrics_page(self, query: Query, _grant: Grant) -> Response:
        check_keys(query, set())
        return Response(self._metrics.text(), self._metrics.content_type, headers={"Cache-Control": "no-store"})


def _not_modified_or(response: Response, headers: Mapping[bytes, bytes]) -> Response:
    """304 for a client that has this already (RFC 9110, section 13.1.2)."""
    tag = response.headers.get("ETag")
    given = headers.get(b"if-none-match", b"").decode("latin-1").split(",")
    known = [each.strip().removeprefix("W/") for each in given]
    if tag is None or (tag not in known and "*" not in known):
        return response
    return Response(b"", response.content_type, HTTPStatus.NOT_MODIFIED, response.headers)
