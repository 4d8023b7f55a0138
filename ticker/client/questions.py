"""Requests for the user alone, such as a search: asked on each connection until they are answered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from ticker.client.bounds import text_size
from ticker.client.results import converted
from ticker.errors import Code, ConfigError, ProtocolError, TickerError
from ticker.market import MAX_SYMBOL, MAX_TEXT, Instrument
from ticker.protocol.messages import Definition
from ticker.texts import excerpt, printable, shown

MOST_QUESTIONS = 100
"""Requests of a client that wait for their answers at a time; more are refused."""

_FOUND_PER_ANSWER = 500


class Found(NamedTuple):
    """Instruments that a search has found."""

    instruments: list[Instrument]
    """By symbol."""
    more: bool
    """Whether others come behind them: search again, after the last symbol."""


class _Found(msgspec.Struct):
    instruments: list[Definition]
    more: bool = False


class Question:
    """A request, and its result once it is there."""

    def __init__(self, op: str, **request: object) -> None:
        self.op = op
        self.request = request
        self.on_known: Callable[[], None] = lambda: None
        """Called once there is a result, or there will be none."""
        self._result: dict[str, Any] | None = None
        self._error: TickerError | None = None

    def __repr__(self) -> str:
        return f"<Question {self.op}>"

    def result(self) -> dict[str, Any] | None:
        """Return the result, once it is there. Raises the error of `fail`."""
        if self._error is not None:
            raise self._error
        return self._result

    def answer(self, result: dict[str, Any]) -> None:
        """Here is the result."""
        self._result = result
        self.on_known()

    def fail(self, error: TickerError) -> None:
        """There will be no result."""
        self._error = error
        self.on_known()


class Questions:
    """Those of one client that are not answered yet."""

    def __init__(self) -> None:
        self._open: dict[Question, int | None] = {}
        """With the request's number on the present connection, once it was sent."""

    def __repr__(self) -> str:
        return f"<Questions: {len(self._open)}>"

    def add(self, question: Question) -> None:
        """Have a question asked. Raises `ConfigError` if too many wait already."""
        if len(self._open) >= MOST_QUESTIONS:
            raise ConfigError(f"{question.op}: {MOST_QUESTIONS} requests wait for their answers already")
        self._open[question] = None

    def remove(self, question: Question) -> None:
        """Nobody waits for this one any more."""
        self._open.pop(question, None)

    def begin(self) -> None:
        """There is another connection."""
        self._open = dict.fromkeys(self._open)

    def unsent(self) -> Iterator[Question]:
        """Iterate over those that are to be sent; each is as soon as `sent` is called for it."""
        yield from [question for question, number in self._open.items() if number is None]

    def sent(self, question: Question, number: int) -> None:
        """A question was sent as the request with this number."""
        self._open[question] = number

    def answer(self, number: int, result: dict[str, Any]) -> None:
        """A request was answered."""
        if (question := self._take(number)) is not None:
            question.answer(result)

    def refuse(self, number: int, text: str) -> None:
        """A request was refused, for this reason."""
        if (question := self._take(number)) is not None:
            question.fail(TickerError(f"{question.op}: {excerpt(text)}"))

    def fail(self, error: TickerError) -> None:
        """There will be no connection any more."""
        for question in self._open:
            question.fail(error)
        self._open.clear()

    def _take(self, number: int) -> Question | None:
        found = next((question for question, its in self._open.items() if its == number), None)
        if found is not None:
            del self._open[found]
        return found


def search_for(match: object, after: object, text: object) -> Question:
    """Return the question which instruments match. Raises `ConfigError` for texts that cannot be these."""
    for name, given in (("match", match), ("after", after), ("text", text)):
        if not isinstance(given, str):
            raise ConfigError(f"search: {name} = {shown(given)}: give a text")
        if len(given) > MAX_SYMBOL:
            raise ConfigError(f"search: {name} = {shown(given)}: give at most {MAX_SYMBOL} characters")
    if not match:
        raise ConfigError("search: match is empty: give a symbol or a pattern")
    return Question("instruments", match=match, after=after, **({"text": text} if text else {}))


def found_in(result: dict[str, Any]) -> Found:
    """Return what a search has found. Raises `ProtocolError` if it is no result of one."""
    definitions = converted(result, _Found, "instruments")
    if len(definitions.instruments) > _FOUND_PER_ANSWER:
        raise ProtocolError(Code.MALFORMED, f"instruments: more than {_FOUND_PER_ANSWER} at a time")
    for each in definitions.instruments:
        text_size(each)  # checks it
    return Found([described(each) for each in definitions.instruments], definitions.more)


def described(definition: Definition) -> Instrument:
    """Return a definition as users get it, its metadata as printable texts."""
    metadata = {printable(key)[:MAX_TEXT]: printable(text)[:MAX_TEXT] for key, text in definition.metadata.items()}
    return Instrument(definition.symbol, definition.price_scale, definition.size_scale, metadata)


def counters_in(result: dict[str, Any]) -> dict[str, int]:
    """Return counters of a connection. Raises `ProtocolError` if these are none."""
    if not all(type(key) is str and type(count) is int for key, count in result.items()):
        raise ProtocolError(Code.MALFORMED, "the result of stats is a map of integers")
    return result
