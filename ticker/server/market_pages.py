"""The HTTP pages of the market: `/v1/snapshot` and `/v1/instruments`."""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus
from typing import Any

from ticker.bounds import FOUND_PER_REPLY
from ticker.core.encode_cache import definition_of
from ticker.core.hub import Hub
from ticker.core.record import Record
from ticker.core.selections import selection_of
from ticker.door.grants import Grant
from ticker.market import MAX_SYMBOL
from ticker.net.http1 import Refusal, Response
from ticker.server.answers import paid_for, uncached_json
from ticker.server.connection import Route, ServerContext
from ticker.server.query import Query, check_keys, check_limits, check_name, check_tables, parse_fields, parse_names
from ticker.server.snapshot_page import snapshot_steps


class MarketPages:
    """The pages about the instruments of one service."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.routes: dict[str, Route] = {
            "/v1/snapshot": self.snapshot,
            "/v1/instruments": self.instruments,
        }
        """The pages by path."""

    def __repr__(self) -> str:
        return f"<MarketPages of {self._context.hub!r}>"

    async def snapshot(self, query: Query, grant: Grant, address: str) -> Response:
        """Return values of some instruments at one cut. Raises `Refusal`."""
        check_keys(query, {"symbols", "fields", "after"})
        names, fields = parse_names(query), parse_fields(query)
        check_tables(names, self._context.hub.cache.tables.config)
        check_limits(names, self._context.limits, grant)
        selection = selection_of(fields) if fields is not None else None
        steps = snapshot_steps(self._context.hub, names, selection, query.get("after", ""), grant)
        return await paid_for(self._context, steps, grant, address)

    async def instruments(self, query: Query, grant: Grant, address: str) -> Response:
        """Return definitions of instruments. Raises `Refusal`."""
        check_keys(query, {"match", "after", "text"})
        match, text = query.get("match", "*"), query.get("text", "")
        check_name(match)
        if len(text) > MAX_SYMBOL:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"text: give at most {MAX_SYMBOL} characters")
        steps = _instruments(self._context.hub, (match, query.get("after", ""), text), grant)
        return await paid_for(self._context, steps, grant, address)


def _instruments(hub: Hub, wanted: tuple[str, str, str], grant: Grant) -> Generator[None, None, Response]:
    """Make the page of a search in steps; `wanted` is what matches, after which symbol, with which words."""
    match, after, text = wanted
    found: list[str] = []
    for piece in hub.index.search(match, after, FOUND_PER_REPLY + 1, grant.sees, text):
        found += piece
        yield
    records = [record for symbol in found[:FOUND_PER_REPLY] if (record := hub.cache.instrument(symbol)) is not None]
    return uncached_json(
        {"instruments": [_description(record) for record in records], "more": len(found) > FOUND_PER_REPLY}
    )


def _description(record: Record) -> dict[str, Any]:
    definition = definition_of(record)
    return {
        "symbol": definition.symbol,
        "price_scale": definition.price_scale,
        "size_scale": definition.size_scale,
        "metadata": definition.metadata,
    }
