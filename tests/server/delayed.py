"""A market in real time, and a service that follows it and is late, over real TLS."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import trio

from tests.conftest import Peer, Running, running
from tests.server.test_pages import Got, Unanswered, ask
from ticker.config import Config, History
from ticker.net.devcert import AUTHORITY_FILE, data_folder
from ticker.protocol.messages import Reply, Welcome

DELAY = 2


def delayed_from(source: Running, **settings: Any) -> AbstractAsyncContextManager[Running]:  # noqa: ANN401  # of `Config`
    """A service that shows this one later. It has to end when the block is left."""
    config = Config(
        **{
            "listen": "127.0.0.1:0",
            "follow": source.url,
            "follow_ca": str(data_folder() / AUTHORITY_FILE),
            "delay": f"{DELAY}s",
            "history": History(enabled=False),
            "keep_state": False,
            **settings,
        },
    )
    return running(config)


async def ready(service: Running) -> None:
    """Wait until there is something to show."""
    await page(service, "/readyz")


async def page(service: Running, target: str, *lines: str) -> Got:
    """A page, once the market is there. As one begins anew, connections may end without an answer."""
    while True:
        with suppress(Unanswered):
            got = await ask(service, target, *lines)
            if got.status != 503:
                return got
        await trio.sleep(0.05)


def welcome(peer: Peer) -> Welcome:
    """The WELCOME of a client."""
    assert peer.welcome is not None
    return peer.welcome


def said_delay(peer: Peer) -> int:
    """The delay that a client was told."""
    return int(welcome(peer).features.get("delay", 0))


async def digest(peer: Peer) -> tuple[int, bytes]:
    """The cut of a client's data, and what the server says of them."""
    answer = await peer.answer("digest")
    assert isinstance(answer, Reply)
    return answer.result["cut"], answer.result["digest"]


def usage_lines(folder: Path) -> list[dict[str, Any]]:
    """All lines of a usage log."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
