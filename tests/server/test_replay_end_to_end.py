"""A recorded day goes through the service over real TLS and arrives exact at clients of every temperament."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
import trio

import ticker
from tests.bounds import HANG_SECONDS
from tests.proxy import Proxy
from tests.server.replay_ticks import FILES, PREFIXES, expected, replayed
from ticker.client.fields import by_name
from ticker.config import Config
from ticker.server.service import serve

RECORDINGS = os.environ.get("TICKER_RECORDINGS")


class Follower:
    """A client that keeps a copy, checks that cuts only grow, and knows when it holds the last row."""

    def __init__(self, symbol: str, last: dict[str, Decimal | int]) -> None:
        self.symbol = symbol
        self.last = last
        self.changes = 0
        self.cut = 0
        self.events: list[ticker.Event] = []

    async def follow(self, url: str, *, ca: Path, interval_ms: int | None = None) -> None:
        async with ticker.connect(url, ca=ca, interval_ms=interval_ms, on_event=self.events.append) as client:
            async for change in client.subscribe(self.symbol):
                assert change.cut > self.cut, "cuts only grow"
                self.cut = change.cut
                self.changes += 1
                values = by_name(client.values(self.symbol))
                if all(values.get(name) == value for name, value in self.last.items()):
                    assert {name: values[name] for name in self.last} == self.last
                    return


async def replay_to_four(
    feed: str, symbol: str, last: dict[str, Decimal | int], *, seconds: float, stall: float
) -> dict[str, Follower]:
    """Replay a feed that takes about `seconds` to four clients, two of them with trouble in the middle."""
    home = Path(os.environ["TICKER_HOME"])
    followers = {name: Follower(symbol, last) for name in ("in step", "seldom", "stalled", "cut off")}
    stop = trio.Event()
    with trio.fail_after(3 * seconds + HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve, Config(listen="127.0.0.1:0", feeds=[feed]), stop)
            stalling, cutting = Proxy(url), Proxy(url)
            await nursery.start(stalling.run)
            await nursery.start(cutting.run)
            async with trio.open_nursery() as clients:
                ca = home / "ca.pem"
                clients.start_soon(lambda: followers["in step"].follow(url, ca=ca))
                clients.start_soon(lambda: followers["seldom"].follow(url, ca=ca, interval_ms=250))
                clients.start_soon(lambda: followers["stalled"].follow(stalling.url, ca=ca))
                clients.start_soon(lambda: followers["cut off"].follow(cutting.url, ca=ca))
                await trio.sleep(seconds / 3)
                while not all(followers[name].changes for name in ("stalled", "cut off")):
                    await trio.sleep(0.05)
                stalling.stall()
                cutting.cut()
                await trio.sleep(stall)
                stalling.flow()
            stop.set()
            nursery.cancel_scope.cancel()
    assert followers["stalled"].changes <= followers["in step"].changes
    assert followers["seldom"].changes < followers["in step"].changes
    assert _connections(followers["cut off"]) == [ticker.Connected, ticker.Disconnected, ticker.Connected]
    assert [event.resumed for event in followers["cut off"].events if isinstance(event, ticker.Connected)] == [
        False,
        True,
    ]
    for name in ("in step", "seldom", "stalled"):
        assert _connections(followers[name]) == [ticker.Connected], name
    return followers


def _connections(follower: Follower) -> list[type[ticker.Event]]:
    """The kinds of events, without the news that the feed has not declared its instrument yet."""
    return [type(each) for each in follower.events if not (isinstance(each, ticker.Refused) and each.pending)]


async def test_a_small_day_arrives_exact_at_four_clients_with_different_troubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKER_HOME", str(tmp_path / "home"))
    rows = [
        f"{1_700_000_000_000_000 + at * 1_000_000},{1290 + at % 7}.{at % 10}{at % 3 or ''},{1300 + at}.5"
        for at in range(3000)
    ]
    path = tmp_path / "day.csv"
    path.write_text("time,bid,ask\n" + "\n".join(rows) + "\n")
    time, bid, ask = rows[-1].split(",")
    last: dict[str, Decimal | int] = {"time": int(time), "bid": Decimal(bid), "ask": Decimal(ask)}
    await replay_to_four(f"replay?path={path}&symbol=GOLD&speed=500", "GOLD", last, seconds=6, stall=1)


@pytest.mark.skipif(RECORDINGS is None, reason="needs the recorded day in the folder TICKER_RECORDINGS")
async def test_a_whole_recorded_day_arrives_exact_at_four_clients_with_different_troubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKER_HOME", str(tmp_path / "home"))
    path = Path(RECORDINGS or "") / "ticks" / "oanda-xauusd-20140508_quote.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 199_123
    milliseconds, bid, ask = rows[-1]
    midnight = 1_399_507_200_000_000  # 2014-05-08, UTC
    time = midnight + int(Decimal(milliseconds) * 1000)
    last: dict[str, Decimal | int] = {"time": time, "bid": Decimal(bid), "ask": Decimal(ask)}
    followers = await replay_to_four(f"replay?path={path}&speed=2000", "XAUUSD", last, seconds=43, stall=3)
    print({name: follower.changes for name, follower in followers.items()})


def raw(symbol: str, second: int, price: int, **more: object) -> str:
    """A line of quotes, and one of a trade half a second later."""
    lines = ""
    for half, event in enumerate(
        (
            {"u": second, "s": symbol, "b": f"{price}.10", "B": "1.500", "a": f"{price}.20", "A": f"{second}", **more},
            {"e": "trade", "s": symbol, "p": f"{price}.00001306", "q": "0.10", "T": 1_700_000_000_000 + second, **more},
        )
    ):
        stamp = 1_700_000_000_000_000_000 + second * 1_000_000_000 + half * 500_000_000
        lines += f"{stamp} {json.dumps({'stream': 'x', 'data': event})}\n"
    return lines


@pytest.mark.parametrize(("speed", "seconds"), [(200.0, math.inf), (1.0, 0.6)])
async def test_written_messages_of_three_streams_reach_a_client_exact(
    tmp_path: Path, ticker_home: Path, monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float
) -> None:
    monkeypatch.setenv("TICKER_HOME", str(ticker_home))
    for name, symbol, base in zip(FILES, ("BTCUSDT", "ETHUSDT", "ETHUSDT"), (60_000, 2_600, 2_700), strict=True):
        lines = [raw(symbol, second, base + second) for second in range(100)]
        (tmp_path / name).write_bytes(gzip.compress("".join(lines).encode()))
    paths = [tmp_path / name for name in FILES]
    wanted = expected(paths, PREFIXES, seconds)
    final = await replayed(paths, PREFIXES, wanted.keys(), speed, seconds)
    assert final == wanted
    assert final["usdm:ETHUSDT"]["last"] == Decimal("2799.00001306" if seconds == math.inf else "2700.00001306")


@pytest.mark.skipif(RECORDINGS is None, reason="needs the recorded streams in the folder TICKER_RECORDINGS")
@pytest.mark.parametrize(("speed", "seconds"), [(20.0, math.inf), (1.0, 5.0)])
async def test_recorded_messages_of_three_streams_reach_a_client_exact(
    ticker_home: Path, monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float
) -> None:
    monkeypatch.setenv("TICKER_HOME", str(ticker_home))
    paths = [Path(RECORDINGS or "") / "ticks" / name for name in FILES]
    wanted = expected(paths, PREFIXES, seconds)
    final = await replayed(paths, PREFIXES, wanted.keys(), speed, seconds)
    assert final.keys() == {"spot:BTCUSDT", "spot:ETHUSDT", "usdm:ETHUSDT"}
    assert final == wanted
