"""The pace of a replay: when each moment is due, and log lines about times that nobody would wait for in silence."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import trio

from ticker.errors import count_cause
from ticker_feeds.recordings.capture_format import Moment

WAKE_UP_SECONDS = 0.005
"""The least time between two wake-ups: moments due in between are sent at the later one."""

LONG_WAIT_SECONDS = 60.0
"""A wait that is longer is said in the log."""

TOLERANCE_US = 10_000_000
"""Moments that lie further behind an earlier one are out of order, and this is said in the log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


class Pace:
    """When each moment of one pass is due: the first one now."""

    def __init__(self, name: str, speed: float, first: int, counters: Counter[str]) -> None:
        """`counters` counts the moments that are out of order."""
        self.first = first
        self._name = name
        self._speed = speed
        self._counters = counters
        self._newest = first
        self._started = trio.current_time()
        self._woken = self._started

    async def due(self, moments: list[Moment]) -> list[Moment]:
        """Wait until the first of these is due; returns all of them that are due then."""
        if not self._speed:
            due = moments
        else:
            at = self._due_at(moments[0])
            # The last wake-up decides which rows are due, not the clock: a feed that is behind would find one row due
            # after the other, and send each alone.
            if at > self._woken:
                self._say_wait(moments[0].time, at - trio.current_time())
                await trio.sleep_until(max(at, self._woken + WAKE_UP_SECONDS))
                self._woken = trio.current_time()
            later = (number for number, moment in enumerate(moments) if self._due_at(moment) > self._woken)
            due = moments[: next(later, len(moments))]
        self._note_order(due)
        return due

    def _due_at(self, moment: Moment) -> float:
        return self._started + (moment.time - self.first) / 1e6 / self._speed

    def _say_wait(self, until: int, seconds: float) -> None:
        if seconds > LONG_WAIT_SECONDS:
            _log.info(
                "%s: nothing was recorded between %s and %s; it goes on in %s (a higher speed, or speed=0, is faster)",
                self._name,
                _shown(self._newest),
                _shown(until),
                timedelta(seconds=round(seconds)),
            )

    def _note_order(self, moments: list[Moment]) -> None:
        for moment in moments:
            if moment.time > self._newest:
                self._newest = moment.time
            elif moment.time < self._newest - TOLERANCE_US and count_cause(self._counters, "out of order"):
                _log.warning(
                    "%s: %s comes after %s, and is played right away; sort the file by time. Others are only counted",
                    self._name,
                    _shown(moment.time),
                    _shown(self._newest),
                )


def _shown(time: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=time)).isoformat()
    except OverflowError:
        return f"{time} µs"
