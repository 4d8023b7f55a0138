"""The HTTP pages of the market: `/v1/snapshot` and `/v1/instruments`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from ticker.config import ANSWER_BYTES_PER_REQUEST_UNIT, FOUND_PER_REPLY, WRITTEN_PER_STEP
from ticker.core.bitmaps import flags_of
from ticker.core.encode_cache import definition_of
from ticker.core.hub import Hub
from ticker.core.record import Record
from ticker.core.work import metered
from ticker.door.grants import Grant
from ticker.market import FieldKey, WireValue, field_name, is_symbol, shown_value
from ticker.net.http1 import Response
from ticker.server.connection import ServerContext
from ticker.server.query import Query, check_keys, check_limits, check_name, parse_names
from ticker.server.turns import in_turns


class MarketPages:
    """The pages about the instruments of one service."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.routes: dict[str, Callable[[Query, Grant, str], Awaitable[Response]]] = {
            "/v1/snapshot": self.snapshot,
            "/v1/instruments": self.instruments,
        }
        """The pages by path. Each takes the query, and the grant and the address of its sender, which pays for it."""

    def __repr__(self) -> str:
        return f"<MarketPages of {self._context.hub!r}>"

    async def snapshot(self, query: Query, grant: Grant, address: str) -> Response:
        """Return values of some instruments at one cut. Raises `Refusal`."""
        check_keys(query, {"symbols", "after"})
        names = parse_names(query)
        check_limits(names, self._context.limits, grant)
        steps = _snapshot(self._context.hub, names, query.get("after", ""), grant)
        return await paid_for(self._context, steps, grant, address)

    async def instruments(self, query: Query, grant: Grant, address: str) -> Response:
        """Return definitions of instruments. Raises `Refusal`."""
        check_keys(query, {"match", "after"})
        match = query.get("match", "*")
        check_name(match)
        steps = _instruments(self._context.hub, match, query.get("after", ""), grant)
        return await paid_for(self._context, steps, grant, address)


async def paid_for(
    context: ServerContext, steps: Generator[None, None, Response], grant: Grant, address: str
) -> Response:
    """Make a page in turns, and have its sender pay for it."""
    await context.fair_queue.take()
    response, work = await in_turns(context.fair_queue, metered(context.hub, steps))
    context.auth.spend(address, grant, work + len(response.body) / ANSWER_BYTES_PER_REQUEST_UNIT)
    return response


def _snapshot(hub: Hub, names: Sequence[str], after: str, grant: Grant) -> Generator[None, None, Response]:
    cache, index = hub.cache, hub.index
    patterns = [name for name in names if not is_symbol(name)]
    entitled = [grant.symbols] if grant.symbols is not None and patterns else []
    yield from index.prepare([*patterns, *entitled])
    seen = index.matching(entitled[0]) if entitled else (1 << len(cache.records)) - 1
    found: dict[str, int] = {name: index.matching(name) & seen for name in patterns}
    for symbol in set(names).difference(patterns):
        record = cache.instrument(symbol)
        found[symbol] = 1 << record.id if record is not None and grant.sees(symbol) else 0
    wanted = flags_of(reduce(or_, found.values()))
    symbols: list[str] = []
    for piece in index.page(after, FOUND_PER_REPLY + 1, lambda symbol: _flag(wanted, cache.instrument(symbol))):
        symbols += piece
        yield
    more = len(symbols) > FOUND_PER_REPLY
    # One moment of the market; its values are written afterwards.
    content: dict[str, Any] = {"epoch": cache.epoch + grant.view, "cut": cache.cut, "time": cache.time}
    records = [record for symbol in symbols[:FOUND_PER_REPLY] if (record := cache.instrument(symbol)) is not None]
    held = [(record.symbol, record.present(), record.price_scale, record.size_scale) for record in records]
    instruments: dict[str, dict[str, Any]] = {}
    for number, (symbol, values, price_scale, size_scale) in enumerate(held, 1):
        instruments[symbol] = _texts(values, price_scale, size_scale)
        if number % WRITTEN_PER_STEP == 0:
            yield
    content |= {
        "instruments": instruments,
        "unknown": [name for name in names if not found[name]],
        "more": more,
    }
    return market_response(content)


def _instruments(hub: Hub, match: str, after: str, grant: Grant) -> Generator[None, None, Response]:
    found: list[str] = []
    for piece in hub.index.search(match, after, FOUND_PER_REPLY + 1, grant.sees):
        found += piece
        yield
    records = [record for symbol in found[:FOUND_PER_REPLY] if (record := hub.cache.instrument(symbol)) is not None]
    return uncached_json(
        {"instruments": [_description(record) for record in records], "more": len(found) > FOUND_PER_REPLY}
    )


def _flag(flags: bytes, record: Record | None) -> int:
    """Return whether an instrument is in a set; those declared after it was made are not."""
    return flags[record.id >> 3] >> (record.id & 7) & 1 if record is not None and record.id >> 3 < len(flags) else 0


def market_response(content: Mapping[str, Any]) -> Response:
    """Return a response that is the same until the next cut."""
    tag = {"ETag": f'"{content["epoch"]}.{content["cut"]}"', "Cache-Control": "no-cache"}
    return Response(msgspec.json.encode(content), headers=tag)


def uncached_json(content: Mapping[str, Any]) -> Response:
    """Return a response that no cache keeps."""
    return Response(msgspec.json.encode(content), headers={"Cache-Control": "no-store"})


def _description(record: Record) -> dict[str, Any]:
    definition = definition_of(record)
    return {
        "symbol": definition.symbol,
        "price_scale": definition.price_scale,
        "size_scale": definition.size_scale,
        "metadata": definition.metadata,
    }


def _texts(present: Mapping[FieldKey, WireValue], price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return values by field name, decimals as exact texts."""
    return {field_name(key): shown_value(key, value, price_scale, size_scale) for key, value in present.items()}
