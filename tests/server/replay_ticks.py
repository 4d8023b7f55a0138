"""Three recorded streams of Binance, merged by time and replayed by the service to a client, which has to end exact.

    TICKER_RECORDINGS=FOLDER python -m tests.server.replay_ticks --speed 20

replays all 346 seconds (the tests do so; at --speed 1 it takes as long), and prints the client's values at the end.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
import math
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio

import ticker
from tests.bounds import HANG_SECONDS
from ticker.client.fields import by_name
from ticker.config import Config
from ticker.server.service import serve

FILES = ("spot-btcusdt_20240808.gz", "spot-ethusdt_20240808.gz", "usdm-ethusdt_20240808.gz")
PREFIXES = ("spot:", "spot:", "usdm:")
TICKS_SECONDS = 346

Final = dict[str, dict[str, Decimal | int]]
"""Values by symbol and field."""


def expected(paths: Sequence[Path], prefixes: Sequence[str], seconds: float = math.inf) -> Final:
    """Return the last values in the raw lines, read without any code of the feeds."""
    final: Final = {}
    begin: int | None = None
    lines = (_lines(path, prefix) for path, prefix in zip(paths, prefixes, strict=True))
    for time, symbol, values in heapq.merge(*lines, key=lambda line: line[0]):
        begin = time if begin is None else begin
        if time > begin + seconds * 1e6:
            break
        final.setdefault(symbol, {}).update(values)
    return final


def _lines(path: Path, prefix: str) -> Iterator[tuple[int, str, dict[str, Decimal | int]]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            stamp, _, text = line.partition(" ")
            data: dict[str, Any] = json.loads(text).get("data", {})
            names = {"b": "bid", "B": "bid_size", "a": "ask", "A": "ask_size"}
            if data.get("e") == "trade" and data.get("X", "MARKET") == "MARKET":
                names = {"p": "last", "q": "last_size"}
            elif data.get("e", "bookTicker") != "bookTicker" or "u" not in data:
                continue
            values: dict[str, Decimal | int] = {name: Decimal(data[key]) for key, name in names.items()}
            if "T" in data:
                values["time"] = data["T"] * 1000
            yield int(stamp) // 1000, prefix + data["s"], values


async def replayed(
    paths: Sequence[Path], prefixes: Sequence[str], symbols: Collection[str], speed: float, seconds: float = math.inf
) -> Final:
    """Return a client's copy of these symbols after the replay."""
    stop = trio.Event()
    spec = f"replay?path={','.join(map(str, paths))}&prefix={','.join(prefixes)}&format=binance&speed={speed}"
    spec += f"&seconds={seconds}" if seconds < math.inf else ""
    final: Final = {}
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, Config(listen="127.0.0.1:0", feeds=[spec]), stop)
        async with ticker.connect(url) as client:
            async for _ in client.subscribe("*"):
                if all(client.values(symbol).get("reason") == "feed_ended" for symbol in symbols):
                    break
            for symbol in symbols:
                values = by_name(client.values(symbol))
                final[symbol] = {name: value for name, value in values.items() if not isinstance(value, str | None)}
        stop.set()
    return final


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--speed", type=float, default=20)
    speed = parser.parse_args().speed
    folder = Path(os.environ["TICKER_RECORDINGS"]) / "ticks"
    paths = [folder / name for name in FILES]
    wanted = expected(paths, PREFIXES)
    with trio.fail_after(2 * TICKS_SECONDS / speed + HANG_SECONDS), tempfile.TemporaryDirectory() as home:
        os.environ["TICKER_HOME"] = home
        began = trio.current_time()
        final = await replayed(paths, PREFIXES, wanted.keys(), speed)
        took = trio.current_time() - began
    assert final == wanted, "the client differs from the lines"
    for symbol, values in sorted(final.items()):
        print(symbol, {name: str(value) for name, value in values.items()})
    print(f"equal to the raw lines; {took:.1f} s at {speed:g} times the recorded pace")


if __name__ == "__main__":
    trio.run(_main)
