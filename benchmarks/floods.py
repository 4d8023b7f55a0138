"""Attackers beside clients that are there already: floods of pings, and TLS handshakes that are begun and aborted.

Attackers get a bounded share of the load client's time, so that it is the server that is measured, not this process.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from benchmarks.client import Client, reset
from benchmarks.connector import Connector
from benchmarks.run import AT_ONCE, CONNECT_SECONDS, Run
from benchmarks.sample import Sample
from benchmarks.workloads import Phase

PINGERS = 20
TOP_UPS = 10
"""So often per second each fills up its socket."""
MOST_BLOCKS = 4
"""With so many blocks at most."""
PINGS_IN_BLOCK = 2700
BLOCK = b"\x89\x80\0\0\0\0" * PINGS_IN_BLOCK
"""Empty pings, masked with zeros (RFC 6455, section 5.2): just about as many as go into a TLS record."""
PINGERS_BUFFER = 65_536

HANDSHAKES = 400
"""Per second."""
MOST_AT_ONCE = 4
HELD_SECONDS = 0.1
"""Every second one is reset at once, before the server gets to it; the others later, when the server has answered."""


class Attack(ABC):
    """What goes on aside, for as long as the phase lasts."""

    def __init__(self, run: Run, phase: Phase) -> None:
        self.count = self.answered = 0
        """What the server was bothered with, and how much of that it has answered."""
        self._run = run
        self._seconds = phase.seconds
        self._ended = False

    def fileno(self) -> int:
        """Nothing: attackers go by the time."""
        return -1

    def over(self, now: float) -> bool:
        """When the phase's time is over; then the attack ends."""
        if now >= self._seconds:
            self._ended = True
            self.end()
        return self._ended

    def step(self, now: float) -> None:
        """Go on with what is due, unless the attack has ended."""
        if not self._ended:
            self.attack(now)

    @abstractmethod
    def attack(self, now: float) -> None:
        """Do what is due."""

    @abstractmethod
    def end(self) -> None:
        """Leave nothing behind but what the phase's end is to check."""


class Pings(Attack):
    """Clients that send pings as fast as they are taken. They have subscribed, too, and have to be exact at the end."""

    def __init__(self, run: Run, phase: Phase) -> None:
        super().__init__(run, phase)
        run.guests = run.new_clients(PINGERS)
        Connector(run.guests, at_once=AT_ONCE).finish(CONNECT_SECONDS)
        for client in run.guests:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PINGERS_BUFFER)
        self._turns = 0

    def attack(self, now: float) -> None:
        """Those whose turn has come read, and send as many pings as their sockets take."""
        pingers = self._run.guests
        due = int(now * len(pingers) * TOP_UPS)
        for turn in range(max(self._turns, due - len(pingers)), due):
            client = pingers[turn % len(pingers)]
            client.decode(client.receive())
            self._top_up(client)
        self._turns = due

    def end(self) -> None:
        """Count the answers; the pingers stay to the end of the phase."""
        self.answered = sum(client.pongs for client in self._run.guests)

    def _top_up(self, client: Client) -> None:
        for _ in range(MOST_BLOCKS):
            if not client.push(BLOCK):
                return
            self.count += PINGS_IN_BLOCK


class Handshakes(Attack):
    """Connections that say ClientHello, and are then reset."""

    def __init__(self, run: Run, phase: Phase) -> None:
        super().__init__(run, phase)
        self._address = ("127.0.0.1", run.port)
        self._hello = _client_hello()
        self._held: deque[tuple[float, socket.socket]] = deque()

    def attack(self, now: float) -> None:
        """Begin and abort what is due."""
        for _ in range(min(int(now * HANDSHAKES) - self.count, MOST_AT_ONCE)):
            self._begin(now)
        while self._held and self._held[0][0] <= now:
            self._abort(self._held.popleft()[1])

    def end(self) -> None:
        """Abort all that are left."""
        while self._held:
            self._abort(self._held.popleft()[1])

    def _begin(self, now: float) -> None:
        self.count += 1
        sock = socket.socket()
        sock.settimeout(0)
        sock.connect_ex(self._address)
        with contextlib.suppress(BlockingIOError):  # the server's backlog is full
            sock.send(self._hello)
        if self.count % 2:
            reset(sock)
        else:
            self._held.append((now + HELD_SECONDS, sock))

    def _abort(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            self.answered += bool(sock.recv(1))
        reset(sock)


ATTACKS: Mapping[str, Callable[[Run, Phase], Attack]] = {"pings": Pings, "handshakes": Handshakes}


def play_floods(run: Run) -> Iterator[Sample]:
    """The usual; then one attack after the other."""
    run.connect(run.job.workload.clients)
    for phase in run.job.workload.phases:
        if not run.alive:
            return
        yield _attacked(run, phase) if phase.label in ATTACKS else run.phase(phase)


def _attacked(run: Run, phase: Phase) -> Sample:
    attack = ATTACKS[phase.label](run, phase)
    sample = run.phase(phase, lambda _: attack)
    run.send_guests_away()
    if not sample.figures:
        return sample
    attacks = {"attacks_per_second": attack.count, "answered_per_second": attack.answered}
    return replace(sample, figures=sample.figures | {name: count / phase.seconds for name, count in attacks.items()})


def _client_hello() -> bytes:
    """One that the server goes on with. It has no objection to the same one again and again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()
