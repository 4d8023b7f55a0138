"""A follower's messages: each is a request that only reads, or is refused, and the log stays as it was."""

from __future__ import annotations

import msgspec
import trio
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.fuzz import Target
from tests.fuzz.bus_frames import MESSAGES
from ticker.bus import frames
from ticker.bus.engine import Keyframe, Position
from ticker.bus.log import Log
from ticker.bus_bounds import FOLLOWED_READ_SECONDS
from ticker.config import Config
from ticker.core.last_value import LastValueCache
from ticker.numbers import MAX_INTEGER
from ticker.server import relay
from ticker.server.own_log import OwnConnection, OwnLog


def check(messages: list[bytes]) -> None:
    trio.run(_check, messages, clock=MockClock(autojump_threshold=0))


async def _check(messages: list[bytes]) -> None:
    owner = OwnLog(Config(), LastValueCache("epoch"))
    owner.log = log = Log()
    log.append(Position(1), b"first")
    log.keyframes.put_part(1, 0, b"part")
    log.finish_keyframe(Keyframe(1, 1))
    for message in messages:
        try:
            request = relay.checked(message)
        except frames.BadFrame:
            continue
        if isinstance(request, frames.Read):
            assert all(0 <= number <= MAX_INTEGER for number in request.after)
        began = trio.current_time()
        answer = await relay.answer_to(request, OwnConnection(owner, log), wait=True)
        assert trio.current_time() - began <= FOLLOWED_READ_SECONDS
        msgspec.msgpack.decode(frames.encode(answer), type=frames.Answer[object])
        # Entries are pushed to processes of the same machine alone.
        refused = frames.Append | frames.Follow | frames.PutPart | frames.FinishKeyframe | frames.Part
        assert (answer.unavailable is not None) is isinstance(request, refused)
    assert (log.last, log.entries, log.keyframes.latest()) == (Position(1), 1, Keyframe(1, 1))


TARGET = Target("a follower's messages", st.lists(MESSAGES, max_size=8), check)
