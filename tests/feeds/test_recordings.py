"""Every recording in the folder TICKER_RECORDINGS is played with no value refused by the service's cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ticker.core.last_value import LastValueCache
from ticker_feeds.recordings import Replay, declared

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
QUIET = ("depth", "l2_", "subscriptions", "session_book", "coinbase-advanced")
"""Files with messages that bring no field: of depth, and of an API that no feed speaks."""
UNUSABLE = {"client_sent.jsonl"}
"""Files that hold no messages of a venue."""


def specs() -> list[tuple[str, str | None]]:
    """The paths of all recordings with their formats."""
    folder = Path(RECORDINGS or "")
    if RECORDINGS is None:
        return []
    ticks = [(path, "binance" if path.suffix == ".gz" else None) for path in sorted((folder / "ticks").iterdir())]
    messages = [
        (path, path.parent.name.partition("-")[0])
        for path in sorted((folder / "messages").rglob("*.jsonl"))
        if path.name not in UNUSABLE
    ]
    return [(str(path), kind) for path, kind in (*ticks, *messages)]


@pytest.mark.untraced
@pytest.mark.untraced
@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize(("path", "kind"), specs() or [("", None)], ids=lambda value: Path(value or "-").name)
def test_a_recording_is_played_with_no_value_refused(path: str, kind: str | None) -> None:
    feed = Replay(path=path, format=kind, speed=0)
    cache, announced, count = LastValueCache("test"), set[str](), 0
    for tape in feed._tapes:
        for moments in tape():
            for time, publications in moments:
                for publication in declared(publications, announced):
                    count += 1
                    assert not cache.publish(publication), publication
                cache.close_cut(time)
    # A recording has one REST snapshot. In this one the market moves beyond it: the book is then not known any more.
    assert feed.skipped == ({"book_no_data": 1} if "spot-btcusdt" in path else {})
    assert count or any(quiet in path for quiet in QUIET), "something of it is played"
