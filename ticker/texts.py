"""Texts of the other side, shown as text only: they move no cursor, colour nothing and reorder nothing."""

from __future__ import annotations

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
