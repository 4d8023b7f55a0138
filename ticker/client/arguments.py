"""Checks of arguments that users give: each error names the argument and the remedy."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping

from ticker.client.wanted import FieldSet
from ticker.errors import BadPublication, ConfigError
from ticker.market import MAX_FIELDS, field_key, is_symbol
from ticker.protocol.symbols import is_pattern, is_table, is_table_pattern
from ticker.texts import printable, shown


def is_literal(name: str) -> bool:
    """Return whether a name is that of one instrument or table, and no pattern."""
    return is_symbol(name) or is_table(name)


def check_names(names: tuple[object, ...]) -> None:
    """Check the arguments of `subscribe`. Raises `ConfigError`."""
    for name in names:
        if not isinstance(name, str):
            remedy = ""
            if isinstance(name, bytes):
                remedy = "; give a text: name.decode()"
            elif isinstance(name, Iterable):
                remedy = "; give each name as an argument of its own: subscribe(*names)"
            raise ConfigError(f"names: {shown(name)} is no symbol or pattern but a {type(name).__name__}{remedy}")
        if not name:
            raise ConfigError("names: an empty text is no symbol or pattern; leave it out")


def listed_names(names: object) -> tuple[str, ...]:
    """Return the names of a list. Raises `ConfigError` for anything else, an empty list or other items."""
    if isinstance(names, str):
        raise ConfigError(f"names: {shown(names)} is a text; give a list of names: [{shown(names)}]")
    if isinstance(names, bytes | bytearray | Mapping) or not isinstance(names, Iterable):
        raise ConfigError(f"names: {shown(names)} is a {type(names).__name__}; give a list of symbols and patterns")
    listed = tuple(names)
    for name in listed:
        if not isinstance(name, str):
            raise ConfigError(f"names: {shown(name)} is a {type(name).__name__}; each symbol or pattern is a text")
    check_names(listed)
    if not listed:
        raise ConfigError("names: the list is empty; give at least one symbol or pattern, such as '*'")
    return listed


def wanted_fields(fields: object) -> FieldSet:
    """Return the fields of a subscription, None for all of them. Raises `ConfigError` for what cannot be."""
    if fields is None:
        return None
    if isinstance(fields, str | bytes | Mapping) or not isinstance(fields, Iterable):
        raise ConfigError(f"fields: {shown(fields)}; give a list of names of fields, such as ['bid', 'ask']")
    listed = list(fields)
    for name in listed:
        if not isinstance(name, str):
            raise ConfigError(f"fields: {shown(name)} is a {type(name).__name__}; give names, such as 'bid'")
        try:
            field_key(name)
        except BadPublication as error:
            raise ConfigError(f"fields: {error}") from None
    if not 1 <= len(set(listed)) <= MAX_FIELDS:
        remedy = "give 1 to 64 of them (['status'] for the status alone), or leave fields out for all"
        raise ConfigError(f"fields: {len(set(listed))} names; {remedy}")
    return frozenset(listed)


def check_symbol(symbol: object, method: str) -> None:
    """Check the symbol of a table. Raises `ConfigError`."""
    if not is_symbol(symbol):
        remedy = "give the symbol of one instrument"
        if isinstance(symbol, str) and is_pattern(symbol):
            remedy += f"; tables of many have names for `subscribe`, such as '{printable(symbol)} book:10'"
        raise ConfigError(f"{method}: {shown(symbol)} is no symbol; {remedy}")


def listed_urls(url: object) -> list[str]:
    """Return the addresses of a service: one, or a list. Raises `ConfigError` for anything else."""
    if isinstance(url, str):
        return [url]
    if isinstance(url, bytes | bytearray | Mapping) or not isinstance(url, Iterable):
        raise ConfigError(
            f"url: {shown(url)} is a {type(url).__name__}; give a text: wss://HOST:PORT, or a list of them"
        )
    urls = list(url)
    for each in urls:
        if not isinstance(each, str):
            raise ConfigError(f"url: {shown(each)} is a {type(each).__name__}; each address is a text: wss://HOST:PORT")
    if not urls:
        raise ConfigError("url: the list is empty; give at least one address: wss://HOST:PORT")
    return urls


def check_options(token: object, interval_ms: object, on_event: object) -> None:
    """Check the options of `connect`. Raises `ConfigError`."""
    if not (token is None or isinstance(token, str) or callable(token)):
        raise ConfigError(f"token: a {type(token).__name__}; give a text, or a function that returns one")
    if interval_ms is not None and (type(interval_ms) is not int or interval_ms < 0):
        raise ConfigError(f"interval_ms: {shown(interval_ms)}; give a whole number of milliseconds, 0 or more")
    if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
        raise ConfigError(f"on_event: {shown(on_event)}; give a function of one event (not an async one)")


def check_seconds(name: str, seconds: float) -> None:
    """Check a time to wait. Raises `ConfigError`."""
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{name}: {shown(seconds)}; give a number of seconds above 0")


def check_counts(wanted: Iterable[str], limits: Mapping[str, int]) -> None:
    """Check names against the limits of a connection, as its WELCOME tells them. Raises `ConfigError`."""
    names = set(wanted)
    most = limits.get("max_symbols")
    if most is not None and len(names) > most:
        raise too_many(f"{len(names)} symbols and patterns; this connection may have {most}")
    most = limits.get("max_patterns")
    if most is not None and len(names) > most:  # else there cannot be too many patterns among them
        patterns = sum(is_pattern(name) or is_table_pattern(name) for name in names)
        if patterns > most:
            raise too_many(f"{patterns} patterns; this connection may have {most}")
    most = limits.get("max_tables")
    if most is not None and len(names) > most:
        tables = sum(map(is_table, names))
        if tables > most:
            raise too_many(f"{tables} tables; this connection may have {most}")


def too_many(text: str) -> ConfigError:
    """Return the error for more names, or more tables of them, than the server takes on one connection."""
    remedy = "subscribe fewer (a pattern stands for many), use several clients, or raise the service's limits"
    return ConfigError(f"names: {text}; {remedy}")
