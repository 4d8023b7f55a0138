"""The query of an HTTP request: its keys, the symbols and patterns in it, and the errors of a refused one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qsl

import h11

from ticker.config import Limits, Tables
from ticker.core.offer import offer_text, offers
from ticker.core.subscribed_names import exceeded_limit, most_names
from ticker.door.grants import Grant
from ticker.errors import BadPublication
from ticker.market import MAX_FIELDS, MAX_SYMBOL, field_key, is_symbol
from ticker.net.http1 import Refusal
from ticker.numbers import MAX_INTEGER
from ticker.protocol.symbols import is_pattern, is_table
from ticker.protocol.tables import MAX_NAME, parse_table, split_name

Query: TypeAlias = Mapping[str, str]
"""The values by key."""


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


def parse_names(query: Query) -> list[str]:
    """Return the names of a query, each once: symbols and patterns, also with a table. Raises `Refusal`."""
    names = list(dict.fromkeys(name for name in query.get("symbols", "").split(",") if name))
    if not names:
        raise Refusal(HTTPStatus.BAD_REQUEST, "give symbols=A,B*: symbols and patterns, separated by commas")
    for name in names:
        if " " not in name:
            check_name(name)
        elif not is_symbol(split_name(name)[0]):
            check_name(split_name(name)[0])
    return names


def parse_fields(query: Query) -> list[str] | None:
    """Return the fields of a query, each once; None for all of them. Raises `Refusal`."""
    text = query.get("fields")
    if text is None:
        return None
    fields = list(dict.fromkeys(text.split(",")))
    if len(fields) > MAX_FIELDS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"fields: at most {MAX_FIELDS}; leave it out for all fields")
    for field in fields:
        try:
            field_key(field)
        except BadPublication as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"fields=bid,ask: {error}") from None
    return fields


def parse_time(query: Query, key: str) -> int:
    """Return a time in seconds since 1970 UTC; without one, the end of all times. Raises `Refusal`."""
    text = query.get(key)
    if text is None:
        return MAX_INTEGER
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 11):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{key}={text[:MAX_SYMBOL]}: give a time in seconds since 1970 UTC")
    return int(text)


def check_tables(names: Sequence[str], tables: Tables) -> None:
    """Raise `Refusal` for a name with a table that the service does not have."""
    for name in names:
        table = parse_table(split_name(name)[1])
        if " " in name and (table is None or not offers(tables, table)):
            text = f"there is no such table as {name[:MAX_NAME]!r}; {offer_text(tables, table)}"
            raise Refusal(HTTPStatus.BAD_REQUEST, text)


def parse_count(query: Query, key: str, default: int, most: int) -> int:
    """Return a number from 1 to `most` in a query; the default, if it is not more, without one. Raises `Refusal`."""
    text = query.get(key)
    if text is None:
        return min(default, most)
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= count <= most:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{key}={text[:MAX_SYMBOL]}: give a number from 1 to {most}")
    return count


def check_limits(names: Sequence[str], limits: Limits, grant: Grant) -> None:
    """Raise `Refusal` for more names than a session with this grant may subscribe."""
    if exceeded_limit(limits, grant, len(names), sum(not is_symbol(name) and not is_table(name) for name in names)):
        most = most_names(limits, grant)
        text = f"at most {most} symbols and patterns, and {limits.max_patterns} patterns among them"
        raise Refusal(HTTPStatus.BAD_REQUEST, text)


def check_name(name: str) -> None:
    """Raise `Refusal` for a text that is neither a symbol nor a pattern."""
    if not is_symbol(name) and not is_pattern(name):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name[:MAX_SYMBOL]!r} is neither a symbol nor a pattern")


def check_keys(query: Query, known: set[str]) -> None:
    """Raise `Refusal` for a key that is not among the known ones."""
    for key in query.keys() - known:
        offer = f"there are {', '.join(sorted(known))}" if known else "there are none"
        raise Refusal(HTTPStatus.BAD_REQUEST, f"unknown key {key[:40]!r} in the query; {offer}")


def check_method(method: bytes) -> None:
    """Raise `Refusal` for a method that does not read."""
    if method not in {b"GET", b"HEAD"}:
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this is read with GET or HEAD", Allow="GET, HEAD, OPTIONS")
