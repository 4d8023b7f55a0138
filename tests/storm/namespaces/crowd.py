"""Many clients in one process: `python -m tests.storm.namespaces.crowd`. A line of JSON each second says how they are.

Each client has its copy's checksum compared with that of its server once a second. And the copies of clients with the
same names are compared with each other, wherever these are connected: at the same cut they have to be equal.
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from random import Random
from typing import TypeAlias

import msgspec
import trio

import ticker
from ticker.client.client import Client
from ticker.client.events import Connected, Event, Mismatch
from ticker.client.replica import Replica
from ticker.errors import ConfigError, ConnectionFailed
from ticker.protocol.digest import record_checksum, total

GROUPS = (
    ("*",),
    ("* book:10",),
    ("* trades:50", "* candles:1m:100"),
    ("SIM00*", "SIM000 book:25", "SIM001 trades:20"),
    ("*1", "*1 book:10", "*2 candles:1m:50"),
)
"""Names of the clients, by turns."""

Key: TypeAlias = tuple[int, str, int]
"""Clients with the same names, the epoch and the cut."""


class Report(msgspec.Struct):
    """What a crowd says each second; counts are since its start."""

    connected: int
    complete: int
    counts: dict[str, int]
    epochs: list[str]
    copies: list[tuple[Key, int]]
    """New checksums of the content of copies."""
    wrong: list[str]
    """Differences between copies of this process."""


class Crowd:
    """The clients of this process."""

    def __init__(self, urls: list[str], ca: str, seed: int) -> None:
        self._urls = urls
        self._ca = ca
        self._chance = Random(seed)  # noqa: S311  # it has to be reproducible
        self.counts: Counter[str] = Counter()
        self._clients: dict[Client, int] = {}
        self._epochs: set[str] = set()
        self._copies: dict[Key, int] = {}
        self._new: list[tuple[Key, int]] = []
        self._wrong: list[str] = []

    async def run_client(self, number: int) -> None:
        """Be one client."""
        group, began = number % len(GROUPS), False

        def note(event: Event) -> None:
            nonlocal began
            if isinstance(event, Connected):
                self.counts["resumes"] += event.resumed
                self.counts["snapshots"] += began and not event.resumed
                began = True
            elif isinstance(event, Mismatch):
                self.counts["mismatches"] += 1

        urls = self._chance.sample(self._urls, len(self._urls))
        # Without an interval all of them would cost more than the machine has.
        interval = None if number < len(GROUPS) else self._chance.choice([250, 500, 1000])
        async with ticker.connect(urls, ca=self._ca, on_event=note, interval_ms=interval) as client:
            self._clients[client] = group
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._verify, client)
                async for _ in client.subscribe(*GROUPS[group]):
                    pass

    async def _verify(self, client: Client) -> None:
        await trio.sleep(self._chance.random())
        while True:
            try:
                equal = await client.verify()
                self.counts["verified"] += equal
            except (ConfigError, ConnectionFailed):
                self.counts["not verified"] += 1
            await trio.sleep(1)

    async def compare(self) -> Report:
        """Compare the copies, as they are now, with each other; return the report of this second."""
        for number, (client, group) in enumerate(list(self._clients.items())):
            replica = client._session.replica
            if client.complete and not replica.resuming:
                self._epochs.add(replica.epoch)
                self._note((group, replica.epoch, replica.cursor), content(replica))
            if number % 20 == 0:
                await trio.lowlevel.checkpoint()
        new, self._new = self._new, []
        wrong, self._wrong = self._wrong, []
        connected = sum(client._connection is not None for client in self._clients)
        complete = sum(client.complete for client in self._clients)
        return Report(connected, complete, dict(self.counts), sorted(self._epochs), new, wrong)

    def _note(self, key: Key, checksum: int) -> None:
        before = self._copies.get(key)
        if before is None:
            self._copies[key] = checksum
            self._new.append((key, checksum))
            return
        self.counts["compared"] += 1
        if before != checksum:
            self._wrong.append(f"two clients of {GROUPS[key[0]]} have other copies at cut {key[2]} of {key[1]}")


def content(replica: Replica) -> int:
    """Return a checksum of what a copy holds, by names: ids of tables belong to a connection."""
    return total(
        record_checksum(
            zlib.crc32(state.definition.symbol.encode()),
            (state.definition.price_scale, state.definition.size_scale),
            state.wire(),
        )
        for state in replica
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.namespaces.crowd", description=__doc__)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ca", required=True)
    parser.add_argument("url", nargs="+")
    options = parser.parse_args()
    crowd = Crowd(options.url, options.ca, options.seed)
    async with trio.open_nursery() as nursery:
        for number in range(options.clients):
            nursery.start_soon(crowd.run_client, number)
            await trio.sleep(0.1)  # more handshakes at once would take too long
        while True:
            print(msgspec.json.encode(await crowd.compare()).decode(), flush=True)
            await trio.sleep(1)


if __name__ == "__main__":
    trio.run(main)
