"""Patterns over symbols: `*`, `?`, `[abc]`, `[a-c]` and `[!abc]`; case matters (PROTOCOL.md, section 5).

The one matcher of the service and of the Python client: all names of a subscription are compiled once, and then each
symbol costs one look-up in a set and one match of a regular expression.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection
from typing import TypeAlias

from ticker.market import MAX_SYMBOL, is_symbol

Match: TypeAlias = Callable[[str], object]
"""A test of a symbol; its result is used as a condition."""


_PATTERN = re.compile(r"[^\s,]*[*?\[][^\s,]*")


def is_pattern(text: str) -> bool:
    """Return whether this can be a pattern (and not a symbol)."""
    return len(text) <= MAX_SYMBOL and _PATTERN.fullmatch(text) is not None


def matcher(names: Collection[str]) -> Match:
    """Return a test for the symbols that any of these symbols and patterns matches."""
    symbols = frozenset(name for name in names if is_symbol(name))
    patterns = sorted(set(names) - symbols)
    if not patterns:
        return symbols.__contains__
    match = re.compile("|".join(map(fnmatch.translate, patterns))).match
    return match if not symbols else lambda symbol: symbol in symbols or match(symbol)
