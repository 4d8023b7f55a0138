"""Feeds, trackers and states show their subject in a debugger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ticker_feeds.lines import JsonLines, Udp
from ticker_feeds.recordings import Replay
from ticker_feeds.simulation import Simulated
from ticker_feeds.venues import VenueState
from ticker_feeds.venues.coinbase import CoinbaseTracker


def test_a_feed_shows_its_source_and_its_counters(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\nA,1,1\n")
    assert repr(JsonLines(path="-")) == "<JsonLines from -: {}>"
    assert repr(Udp(listen="127.0.0.1:0")) == "<Udp, udp 127.0.0.1:0: {}>"
    assert repr(Replay(path=str(path), speed=2)) == f"<Replay of {path}, speed 2: {{}}>"
    assert repr(Simulated(symbols="A,B", rate=5)) == "<Simulated: 2 symbols, 5 updates/s, seed 1>"


def test_a_tracker_shows_its_requests_and_a_state_its_open_problems() -> None:
    state = VenueState({"A-B": "A-B", "C-D": "C-D"}, Counter())
    tracker = CoinbaseTracker(state)
    assert repr(tracker) == "<CoinbaseTracker: 1 to send, 2 pending>"
    tracker.ending = True
    assert repr(tracker) == "<CoinbaseTracker: 1 to send, 2 pending, ending>"
    assert repr(state) == "<VenueState: 2 symbols, 2 without data>"
    state.mark_gap("A-B")
    assert repr(state) == "<VenueState: 2 symbols, 2 without data, unrepaired ['A-B']>"
