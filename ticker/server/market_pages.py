"""The HTTP pages of the market: `/v1/snapshot` and `/v1/instruments`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import trio

from ticker.config import FOUND_PER_REPLY
from ticker.core.encode_cache import definition_of
from ticker.core.last_value import Record
from ticker.core.session import cost_of
from ticker.door.grants import Grant
from ticker.market import Kind, decimal_text, field_kind, field_name
from ticker.net.http1 import Response
from ticker.server.connection import ServerContext
from ticker.server.query import Query, check_keys, check_limits, check_name, parse_names


class MarketPages:
    """The pages about the instruments of one service."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.routes: dict[str, Callable[[Query, Grant, str], Awaitable[Response]]] = {
            "/v1/snapshot": self.snapshot,
            "/v1/instruments": self.instruments,
        }
        """The pages by path. Each takes the query, and the grant and the address of its sender, who pays for it."""

    def __repr__(self) -> str:
        return f"<MarketPages of {self._context.hub!r}>"

    async def snapshot(self, query: Query, grant: Grant, address: str) -> Response:
        """Return values of some instruments at one cut. Raises `Refusal`."""
        check_keys(query, {"symbols", "after"})
        await trio.lowlevel.checkpoint()
        hub = self._context.hub
        cache, scanned = hub.cache, hub.scanned
        names = parse_names(query)
        check_limits(names, self._context.limits, grant)
        found: dict[str, Record] = {}
        unknown = []
        for name in names:
            records = [cache.records[number] for number in hub.find(name)]
            seen = {record.symbol: record for record in records if grant.sees(record.symbol)}
            found |= seen
            if not seen:
                unknown.append(name)
        self._context.auth.spend(address, grant, cost_of(hub.scanned - scanned))
        page, more = _page(found, query.get("after", ""))
        instruments = {record.symbol: _values(record) for record in page}
        content = {"epoch": cache.epoch + grant.view, "cut": cache.cut, "time": cache.time, "instruments": instruments}
        tag = {"ETag": f'"{cache.epoch}{grant.view}.{cache.cut}"', "Cache-Control": "no-cache"}
        return Response(msgspec.json.encode({**content, "unknown": unknown, "more": more}), headers=tag)

    async def instruments(self, query: Query, grant: Grant, address: str) -> Response:
        """Return definitions of instruments. Raises `Refusal`."""
        check_keys(query, {"match", "after"})
        await trio.lowlevel.checkpoint()
        hub = self._context.hub
        scanned = hub.scanned
        match = query.get("match", "*")
        check_name(match)
        records = [hub.cache.records[number] for number in hub.find(match)]
        self._context.auth.spend(address, grant, cost_of(hub.scanned - scanned))
        found = {record.symbol: record for record in records if grant.sees(record.symbol)}
        page, more = _page(found, query.get("after", ""))
        instruments = [_description(record) for record in page]
        return uncached_json({"instruments": instruments, "more": more})


def uncached_json(content: Mapping[str, Any]) -> Response:
    """Return a response that no cache keeps."""
    return Response(msgspec.json.encode(content), headers={"Cache-Control": "no-store"})


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
