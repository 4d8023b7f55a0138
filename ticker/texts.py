"""Texts of the other side, shown as text only: they move no cursor, colour nothing and reorder nothing."""

from __future__ import annotations

import re

LONGEST_SHOWN = 300
"""Characters of a foreign text in an error, an event or a line of a log; a longer one is cut off."""


def printable(text: str) -> str:
    r"""Return a text with everything escaped that is not printable, on one line: `\x1b`, `\u202e`, `\n`.

    Escaped are control characters (so terminal sequences), line and paragraph separators, marks of direction, other
    invisible characters, and halves of surrogate pairs.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def excerpt(text: str) -> str:
    """Return the beginning of a text, printable, as a part of a message for people."""
    return printable(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


_PASSWORD = re.compile(r"(//[^/?#\s@:]*):[^/?#\s]*@")
_USER = re.compile(r"//[^/?#\s@:]*@")
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"]*)\?[^\s#'\"]+", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Return a text without the parts of its URLs that may be secret: passwords, users without one, and queries."""
    return _QUERY.sub(r"\1?***", _USER.sub("//***@", _PASSWORD.sub(r"\1:***@", text)))


def shown(value: object) -> str:
    """Return any value as text for an error, at most 80 characters long."""
    try:
        text = repr(value[:80]) if isinstance(value, str) else repr(value)
        text = text if text.isprintable() else ascii(text[:80])
    except Exception:  # noqa: BLE001  # the repr of a foreign object, or of an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
