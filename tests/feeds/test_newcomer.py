"""feeds/README.md and ticker_feeds/kit/template.py: what they show works, and a newcomer's feed conforms."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import ticker_feeds
from tests.feeds.newcomer import Lantern
from ticker.errors import ConfigError
from ticker.market import FIELDS, FeedItem, Instrument, Update, Value
from ticker_feeds.kit import check_feed, template
from ticker_feeds.kit.rules import RULES
from ticker_feeds.kit.template import BadLine, Template
from ticker_feeds.loading import GROUP
from ticker_feeds.simulation import faults

PAGE = (Path(ticker_feeds.__file__).parent.parent / "README.md").read_text()

GOLD = [
    {"type": "listing", "name": "GOLD", "places": 2},
    {"type": "quote", "name": "GOLD", "buy": 2350.1, "sell": 2350.30, "ms": 1_700_000_000_000},
    {"type": "beat"},
    {"type": "rumour"},
    {"type": "halt", "name": "GOLD"},
]


@asynccontextmanager
async def venue(*, forever: bool = True) -> AsyncIterator[int]:
    """Lantern on a port of this machine: to whoever comes it says all that it ever says, again and again."""

    async def serve(stream: trio.SocketStream) -> None:
        text = b"".join(json.dumps(message).encode() + b"\n" for message in GOLD)
        try:
            await stream.send_all(text[:40])
            await stream.send_all(text[40:] + b"not even JSON\n")
            while forever:
                await stream.send_all(text)
                await trio.sleep(0.001)
        except trio.BrokenResourceError:
            pass  # the feed has had enough

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            trio.serve_tcp,
            serve,
            0,
        )
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_a_newcomer_s_feed_conforms_and_has_fewer_than_60_lines() -> None:
    assert len((Path(__file__).parent / "newcomer.py").read_text().splitlines()) < 60
    async with venue() as port:
        feed = Lantern(port=port)
        await check_feed(feed)
    assert feed.counters["parse_errors"] > 1


async def test_a_newcomer_s_feed_brings_what_the_venue_says_exactly() -> None:
    sending, receiving = trio.open_memory_channel[FeedItem](100)
    async with venue(forever=False) as port:
        with pytest.raises(OSError, match="Lantern hung up"):
            await Lantern(port=port).run(sending)
    sending.close()
    quote: dict[str, Value] = {"bid": Decimal("2350.1"), "ask": Decimal("2350.3"), "time": 1_700_000_000_000_000}
    assert [item async for item in receiving] == [
        [Instrument("GOLD", 2, metadata={"venue": "LANTERN"})],
        [Update("GOLD", {**quote, "status": "live", "reason": None})],
        [],
        [Update("GOLD", {"status": "halted", "reason": "exchange_halt"})],
    ]


def test_the_template_conforms() -> None:
    check = partial(check_feed, seconds=60)  # through a halt and a sign of life
    trio.run(check, Template(), clock=MockClock(autojump_threshold=0))


def test_the_template_says_what_its_venue_says() -> None:
    assert template.parse("ALIVE") == []
    fields = {"bid": "2350.10", "ask": "2350.30", "status": "live", "reason": None}
    assert template.parse("17 GOLD 2350.10 2350.30") == [(17, Update("GOLD", fields))]
    assert template.parse("HALT GOLD") == [(None, Update("GOLD", {"status": "halted", "reason": "exchange_halt"}))]
    for line in ("", "HALT", "x GOLD 1 2", "1 GOLD 2", "ALIVE again"):
        with pytest.raises(BadLine):
            template.parse(line)
    with pytest.raises(ConfigError, match="pace"):
        Template(pace=0)


async def test_the_template_counts_what_is_missing_and_what_is_no_message(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lines(_feed: Template) -> AsyncIterator[str]:
        for line in ("1 GOLD 1 2", "2 GOLD 1 2", "4 GOLD 1 2", "what?", "9 OTHER 1 2", "ALIVE", "HALT GOLD"):
            await trio.sleep(1)
            yield line

    monkeypatch.setattr(Template, "_lines", lines)
    sending, receiving = trio.open_memory_channel[FeedItem](100)
    feed = Template(symbols="GOLD")
    await feed.run(sending)
    sending.close()
    assert feed.counters == {"gaps": 1, "parse_errors": 1}
    batches = [item async for item in receiving]
    assert [len(each) for each in batches if isinstance(each, list)] == [1, 1, 1, 1, 0, 0, 1]
    assert autojump_clock.current_time() > 5


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_feed_and_the_test_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clock.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "clock", raising=False)
    module: dict[str, object] = {}
    exec(blocks("python")[1], module)  # noqa: S102  # what is to be shown is that it runs
    test = module["test_my_feed"]
    assert callable(test)
    test()
    monkeypatch.delitem(sys.modules, "clock")


def test_the_page_names_all_rules_fields_and_fault_symbols() -> None:
    rules = [rule for row in re.findall(r"^\| ([a-z ,]+) \| ", PAGE, re.MULTILINE) for rule in row.split(", ")]
    assert set(rules) >= RULES.keys()
    assert all(f"`{name}`" in PAGE for name in (*FIELDS, *faults.SYMBOLS))
    assert tomllib.loads(blocks("toml")[0])["project"]["entry-points"].keys() == {GROUP}


def test_the_page_and_the_module_say_the_same_of_fault_symbols() -> None:
    rows = re.findall(r"^\| `TEST\..*$", PAGE, re.MULTILINE)
    assert len(rows) == len(faults.SYMBOLS)
    assert all(row in (faults.__doc__ or "") for row in rows)
