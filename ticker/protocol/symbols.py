"""Patterns over symbols: `*`, `?`, `[abc]`, `[a-c]` and `[!abc]`; case matters (PROTOCOL.md, section 5).

The one matcher of the service and of the Python client: all names of a subscription are compiled once, and then each
symbol costs one look-up in a set, one comparison with all prefixes (`EUR*`) and one match of a regular expression.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import TypeAlias

from ticker.market import MAX_SYMBOL, is_symbol
from ticker.protocol.tables import parse_table, split_name

SHARED_MATCHERS = 256
"""Matchers of entitlements that are kept; beyond that, they are made again."""

Match: TypeAlias = Callable[[str], object]
"""A test of a symbol; its result is used as a condition."""


_LITERAL = re.compile(r"[^*?\[]*")
_PATTERN = re.compile(r"[^\s,]*[*?\[][^\s,]*")


def is_pattern(text: str) -> bool:
    """Return whether this can be a pattern over symbols (and not a symbol)."""
    return len(text) <= MAX_SYMBOL and _PATTERN.fullmatch(text) is not None


def is_table(text: str) -> bool:
    """Return whether this can be the name of a table of one instrument: `BTC-USD book:10`."""
    symbol, table = split_name(text)
    return is_symbol(symbol) and parse_table(table) is not None


def is_table_pattern(text: str) -> bool:
    """Return whether this can name the same table of many instruments: `*-USD book:10`."""
    symbol, table = split_name(text)
    return is_pattern(symbol) and parse_table(table) is not None


def matcher(names: Collection[str]) -> Match:
    """Return a test for the symbols and names of tables that any of these names matches.

    A symbol or pattern matches no table; a name with a table matches only tables. In the names of an entitlement, the
    table may have wildcards, too.
    """
    tabled = [name for name in names if " " in name]
    if not tabled:
        return _symbol_matcher(names)
    tables = _table_matcher(tabled)
    if len(tabled) == len(names):
        return tables
    symbols = _symbol_matcher([name for name in names if " " not in name])
    return lambda name: tables(name) if " " in name else symbols(name)


def _symbol_matcher(names: Collection[str]) -> Match:
    """Return `matcher` of names without a table."""
    symbols = frozenset(name for name in names if is_symbol(name))
    patterns = sorted(set(names) - symbols)
    if "*" in patterns:
        return _has_no_table
    prefixes = tuple(pattern[:-1] for pattern in patterns if literal_prefix(pattern) + "*" == pattern)
    others = [pattern for pattern in patterns if literal_prefix(pattern) + "*" != pattern]
    tests: list[Match] = []
    if symbols:
        tests.append(symbols.__contains__)
    if prefixes:
        tests.append(lambda symbol: symbol.startswith(prefixes))
    if others:
        tests.append(re.compile("|".join(map(fnmatch.translate, others))).match)
    if not patterns:
        return tests[0] if tests else _nothing
    return lambda symbol: " " not in symbol and any(test(symbol) for test in tests)


def _table_matcher(names: Collection[str]) -> Match:
    """Return `matcher` of names with a table: the one space in it can only be that of the other name."""
    tables = frozenset(name for name in names if is_table(name))
    patterns = [name for name in names if name not in tables]
    if not patterns:
        return tables.__contains__
    match = re.compile("|".join(map(fnmatch.translate, patterns))).match
    return lambda name: name in tables or (" " in name and match(name))


@lru_cache(maxsize=SHARED_MATCHERS)
def shared_matcher(names: frozenset[str]) -> Match:
    """Return `matcher(names)`, the same one for all clients with this entitlement: a large one takes milliseconds."""
    return matcher(names)


def literal_prefix(pattern: str) -> str:
    """Return the characters of a pattern before the first that has a meaning."""
    return _LITERAL.match(pattern)[0]  # type: ignore[index]  # it matches an empty text, too


def _has_no_table(name: str) -> bool:
    return " " not in name


def _nothing(_name: str) -> bool:
    return False
