"""Every object of a running service says what it is in one short line, without a secret, for logs and debuggers."""

from __future__ import annotations

import gc
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.support import update
from ticker.client.client import connect
from ticker.config import History, Usage
from ticker.market import Instrument, Levels, Trade

PACKAGES = ("ticker.", "ticker_feeds.")


def shown() -> dict[type[Any], str]:
    """By class, the text of an object that is there, of the classes that define what it says."""
    found: dict[type[Any], str] = {}
    for each in gc.get_objects():
        its = type(each)
        if str(its.__module__).startswith(PACKAGES) and its not in found and _says_its_own(its):
            found[its] = repr(each)
    return found


def _says_its_own(its: type[Any]) -> bool:
    generated = is_dataclass(its) or issubclass(its, tuple | msgspec.Struct | BaseException)
    return getattr(its, "__repr__", None) is not object.__repr__ and not generated


async def test_every_object_says_in_one_line_what_it_is(home: Path) -> None:
    market = (
        Instrument("A"),
        update("A", bid="1.00", last="1.01"),
        Levels("A", [("1.00", 5)], [("1.01", 3)], complete=True),
        Trade("A", "1.01", 4),
    )
    more = ["simulated?symbols=2&past=0"]
    usage = Usage(folder=str(home / "usage"))
    async with (
        serving(*market, more_feeds=more, history=History(), usage=usage) as service,
        connect(service.url) as client,
    ):
        changes = aiter(client.subscribe("*", "A book:10", "A trades:10", "A candles:1m:10"))
        await service.peer("ticker.v1.json")
        with trio.fail_after(HANG_SECONDS):
            await anext(changes)
            texts = shown()
    assert len(texts) > 60
    bad = {its.__name__: text for its, text in texts.items() if not text.isprintable() or len(text) > 300}
    assert bad == {}
