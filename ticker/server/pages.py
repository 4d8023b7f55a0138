"""The HTTP pages besides the event stream: snapshots, instruments, health, metrics, files.

    /v1/snapshot?symbols=A,B*&after=   values of some instruments at one cut
    /v1/instruments?match=B*&after=    definitions of instruments
    /healthz  /readyz  /metrics        for operators
    /  and the files of ticker/web     the dashboard

A new page is a method here and a line in `_routes`. Every response but a file is JSON (metrics: the Prometheus text
format); that of an error has `code` and `message`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import h11
import msgspec

from ticker.config import FOUND_PER_REPLY, Limits
from ticker.core.encode_cache import definition_of
from ticker.core.last_value import Record
from ticker.core.session import cost_of, exceeded_limit, most_names
from ticker.door.grants import ANYONE, Grant
from ticker.market import MAX_SYMBOL, Kind, decimal_text, field_kind, field_name, is_symbol
from ticker.net.http1 import STREAM_PATH, Refusal, Response, path_of
from ticker.protocol.symbols import is_pattern
from ticker.server.connection import ServerContext
from ticker.server.event_stream import EVENTS_PATH, EventsRequest
from ticker.server.files import Files
from ticker.server.metrics import Metrics

_OPEN_PATHS = {"/healthz", "/readyz"}
"""For health checks, without a token; they tell nothing about the market."""

_Query = Mapping[str, str]


class Pages:
    """The pages of one service."""

    def __init__(self, context: ServerContext, files: Files, metrics: Metrics, ready: Callable[[], str]) -> None:
        """`ready` names the feeds that the service still waits for; an empty text if there are none."""
        self._context = context
        self._files = files
        self._metrics = metrics
        self._ready = ready
        self._routes: dict[str, Callable[[_Query, Grant], Response]] = {
            "/v1/snapshot": self._snapshot,
            "/v1/instruments": self._instruments,
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics_page,
        }

    def __repr__(self) -> str:
        return f"<Pages: {', '.join(self._routes)}, {self._files!r}>"

    async def answer(self, request: h11.Request, headers: Mapping[bytes, bytes], address: str) -> Response:
        """Return the response to a request. Raises `Refusal`."""
        path = path_of(request)
        auth = self._context.auth
        if path in self._routes or path == EVENTS_PATH:
            if request.method == b"OPTIONS":
                return self._preflight(headers)
            _check_method(request.method)
            auth.check_origin(headers)
            grant = ANYONE if path in _OPEN_PATHS else await auth.authorize(headers)
            auth.check_rate(address, grant)
            scanned = self._context.hub.scanned
            if path == EVENTS_PATH:  # only its head is asked for
                check_limits(parse_events_request(request, headers, {}).names, self._context.limits, grant)
                response = Response(b"", "text/event-stream", headers={"Cache-Control": "no-store"})
            else:
                response = self._routes[path](parse_query(request), grant)
            auth.spend(address, grant, cost_of(self._context.hub.scanned - scanned))
            return _not_modified_or(response, headers)
        file = self._files.find(path, headers)
        if file is None:
            text = f"there is nothing here; the dashboard is at /, the stream at {STREAM_PATH}"
            raise Refusal(HTTPStatus.NOT_FOUND, text)
        _check_method(request.method)
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

    def _snapshot(self, query: _Query, grant: Grant) -> Response:
        _check_keys(query, {"symbols", "after"})
        cache = self._context.hub.cache
        names = parse_names(query)
        check_limits(names, self._context.limits, grant)
        found: dict[str, Record] = {}
        unknown = []
        for name in names:
            records = [cache.records[number] for number in self._context.hub.find(name)]
            seen = {record.symbol: record for record in records if grant.sees(record.symbol)}
            found |= seen
            if not seen:
                unknown.append(name)
        page, more = _page(found, query.get("after", ""))
        instruments = {record.symbol: _values(record) for record in page}
        content = {"epoch": cache.epoch + grant.view, "cut": cache.cut, "time": cache.time, "instruments": instruments}
        tag = {"ETag": f'"{cache.epoch}{grant.view}.{cache.cut}"', "Cache-Control": "no-cache"}
        return Response(msgspec.json.encode({**content, "unknown": unknown, "more": more}), headers=tag)

    def _instruments(self, query: _Query, grant: Grant) -> Response:
        _check_keys(query, {"match", "after"})
        hub = self._context.hub
        match = query.get("match", "*")
        _check_name(match)
        records = [hub.cache.records[number] for number in hub.find(match)]
        found = {record.symbol: record for record in records if grant.sees(record.symbol)}
        page, more = _page(found, query.get("after", ""))
        instruments = [_description(record) for record in page]
        return _uncached_json({"instruments": instruments, "more": more})

    def _health(self, query: _Query, _grant: Grant) -> Response:
        _check_keys(query, set())
        return _uncached_json({"status": "ok"})

    def _readiness(self, query: _Query, _grant: Grant) -> Response:
        _check_keys(query, set())
        waiting = self._ready()
        if waiting:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {waiting}", Retry_After="1")
        return _uncached_json({"status": "ready"})

    def _metrics_page(self, query: _Query, _grant: Grant) -> Response:
        _check_keys(query, set())
        return Response(self._metrics.text(), self._metrics.content_type, headers={"Cache-Control": "no-store"})


def parse_events_request(
    request: h11.Request, headers: Mapping[bytes, bytes], response_headers: dict[str, str]
) -> EventsRequest:
    """Parse a request for events. Raises `Refusal`."""
    _check_method(request.method)
    query = parse_query(request)
    _check_keys(query, {"symbols", "interval_ms"})
    names = parse_names(query)
    interval = query.get("interval_ms")
    if interval is not None and not (interval.isascii() and interval.isdigit() and len(interval) < 10):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"interval_ms={interval!r}: give a number of milliseconds")
    last = headers.get(b"last-event-id", b"").decode("latin-1")
    return EventsRequest(names, int(interval) if interval is not None else None, last, response_headers)


def parse_query(request: h11.Request) -> dict[str, str]:
    """Return a request's query by key. Raises `Refusal` for one that is not UTF-8, or has a key twice."""
    text = request.target.partition(b"?")[2].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=20)
    except ValueError:  # a UnicodeError is one
        raise Refusal(HTTPStatus.BAD_REQUEST, "the query is not key=value&key=value in UTF-8") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Refusal(HTTPStatus.BAD_REQUEST, "a key stands twice in the query")
    return query


def parse_names(query: _Query) -> list[str]:
    """Return the symbols and patterns of a query, each once. Raises `Refusal`."""
    names = list(dict.fromkeys(name for name in query.get("symbols", "").split(",") if name))
    if not names:
        raise Refusal(HTTPStatus.BAD_REQUEST, "give symbols=A,B*: symbols and patterns, separated by commas")
    for name in names:
        _check_name(name)
    return names


def check_limits(names: Sequence[str], limits: Limits, grant: Grant) -> None:
    """Raise `Refusal` for more names than a session with this grant may subscribe."""
    if exceeded_limit(limits, grant, len(names), sum(not is_symbol(name) for name in names)):
        most = most_names(limits, grant)
        text = f"at most {most} symbols and patterns, and {limits.max_patterns} patterns among them"
        raise Refusal(HTTPStatus.BAD_REQUEST, text)


def _check_name(name: str) -> None:
    if not is_symbol(name) and not is_pattern(name):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name[:MAX_SYMBOL]!r} is neither a symbol nor a pattern")


def _check_keys(query: _Query, known: set[str]) -> None:
    for key in query.keys() - known:
        offer = f"there are {', '.join(sorted(known))}" if known else "there are none"
        raise Refusal(HTTPStatus.BAD_REQUEST, f"unknown key {key[:40]!r} in the query; {offer}")


def _check_method(method: bytes) -> None:
    if method not in {b"GET", b"HEAD"}:
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this is read with GET or HEAD", Allow="GET, HEAD, OPTIONS")


def _page(found: Mapping[str, Record], after: str) -> tuple[list[Record], bool]:
    symbols = sorted(symbol for symbol in found if symbol > after)
    return [found[symbol] for symbol in symbols[:FOUND_PER_REPLY]], len(symbols) > FOUND_PER_REPLY


def _description(record: Record) -> dict[str, Any]:
    definition = definition_of(record)
    return {
        "symbol": definition.symbol,
        "price_scale": definition.price_scale,
        "size_scale": definition.size_scale,
        "metadata": definition.metadata,
    }


def _values(record: Record) -> dict[str, Any]:
    """The present values by field name, prices and sizes as exact decimal texts."""
    values: dict[str, Any] = {}
    for key, value in record.present().items():
        kind = field_kind(key)
        if isinstance(value, int) and kind in {Kind.PRICE, Kind.SIZE}:
            scale = record.price_scale if kind is Kind.PRICE else record.size_scale
            values[field_name(key)] = decimal_text(value, scale)
        else:
            values[field_name(key)] = value
    return values


def _uncached_json(content: Mapping[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), headers={"Cache-Control": "no-store"})


def _not_modified_or(response: Response, headers: Mapping[bytes, bytes]) -> Response:
    """304 for a client that has this already (RFC 9110, section 13.1.2)."""
    tag = response.headers.get("ETag")
    given = headers.get(b"if-none-match", b"").decode("latin-1").split(",")
    known = [each.strip().removeprefix("W/") for each in given]
    if tag is None or (tag not in known and "*" not in known):
        return response
    return Response(b"", response.content_type, HTTPStatus.NOT_MODIFIED, response.headers)
