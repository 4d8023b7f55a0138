"""Descriptions of feeds that are not running: the options of a class, and their text from its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ticker_feeds import Feed
from ticker_feeds.loading import parameters

_CLAUSE_END = re.compile(r"(?<=[.;]) ")


class Option(NamedTuple):
    """One option of a feed spec."""

    name: str
    kind: str
    """Its type, as declared."""
    default: str | None
    """None where it has to be given."""
    text: str
    """Its text in the docstring: from the clause that first names it in backticks to the next option's."""


class Description(NamedTuple):
    """A feed's summary and its options."""

    summary: str
    options: list[Option]


def describe(make: Callable[..., Feed]) -> Description:
    """The first paragraph of the class's docstring, and the options. Raises `ConfigError`."""
    paragraphs = [" ".join(each.split()) for each in inspect.cleandoc(make.__doc__ or "").split("\n\n")]
    accepted = parameters(make)
    texts = _texts(paragraphs, list(accepted))
    options = [
        Option(
            name,
            inspect.formatannotation(each.annotation),
            None if each.default is each.empty else str(each.default),
            texts.get(name, ""),
        )
        for name, each in accepted.items()
    ]
    return Description(paragraphs[0], options)


def _names(clause: str, option: str) -> bool:
    """Whether a clause names an option, alone or with a value: `book` or `book=no`."""
    return f"`{option}`" in clause or f"`{option}=" in clause


def _texts(paragraphs: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return the text of each option; several share it where one clause is the first to name them all."""
    said: dict[str, list[str]] = {}
    for paragraph in paragraphs:
        about: list[str] = []
        for clause in _CLAUSE_END.split(paragraph):
            about = [name for name in names if _names(clause, name) and name not in said] or about
            for name in about:
                said.setdefault(name, []).append(clause)
    return {name: " ".join(clauses).rstrip(";:") for name, clauses in said.items()}
