"""Attacks while clients are connected: ping floods, TLS handshakes that are begun and aborted, and `attackers`.

They get a bounded share of the load client's time, so that the server is measured and not this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from benchmarks.attackers import ATTACKERS, KINDS, STEPS_PER_SECOND, Attacker
from benchmarks.client import Client, reset
from benchmarks.connector import Connector
from benchmarks.run import AT_ONCE, CONNECT_SECONDS, Run
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS
from benchmarks.workloads import Phase

PINGERS = 20
FILLS_PER_SECOND = 10
"""How often per second each pinger fills its socket."""
MAX_BLOCKS = 4
"""Maximum number of blocks per fill."""
PINGS_IN_BLOCK = 2700
BLOCK = b"\x89\x80\0\0\0\0" * PINGS_IN_BLOCK
"""Empty pings, masked with zeros (RFC 6455, section 5.2), nearly a full TLS record of them."""
PINGERS_BUFFER = 65_536

HANDSHAKES = 400
"""Per second."""
MAX_AT_ONCE = 4
RESET_AFTER_SECONDS = 0.1
"""Every second handshake is reset at once, before the server reads it; the others later, after the server's answer."""

LAST = 19
"""The niceness of a process that gets only time that nobody else wants."""
STEP_SECONDS = 0.002


class Attack(ABC):
    """A side activity that lasts as long as the phase."""

    def __init__(self, run: Run, phase: Phase) -> None:
        self.count = self.answered = 0
        """Pings or handshakes sent, and the number of them that the server has answered."""
        self._run = run
        self._seconds = phase.seconds
        self._ended = False

    def fileno(self) -> int:
        """Return -1: attacks are timed."""
        return -1

    def over(self, now: float) -> bool:
        """Return whether the phase's time is over, and end the attack then."""
        if now >= self._seconds:
            self._ended = True
            self.end()
        return self._ended

    def step(self, now: float) -> None:
        """Continue the attack, unless it has ended."""
        if not self._ended:
            self.attack(now)

    @abstractmethod
    def attack(self, now: float) -> None:
        """Send the pings or handshakes that are due at `now`."""

    @abstractmethod
    def end(self) -> None:
        """Release everything except connections that the end of the phase checks."""


class Pings(Attack):
    """Subscribed clients that send pings as fast as the server reads them. Their prices must be exact at the end."""

    def __init__(self, run: Run, phase: Phase) -> None:
        super().__init__(run, phase)
        run.extra_clients = run.new_clients(PINGERS)
        Connector(run.extra_clients, at_once=AT_ONCE).finish(CONNECT_SECONDS)
        for client in run.extra_clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PINGERS_BUFFER)
        self._fills = 0

    def attack(self, now: float) -> None:
        """Let the pingers that are due read, and send as many pings as their sockets accept."""
        pingers = self._run.extra_clients
        due = int(now * len(pingers) * FILLS_PER_SECOND)
        for index in range(max(self._fills, due - len(pingers)), due):
            client = pingers[index % len(pingers)]
            client.decode(client.receive())
            self._fill_socket(client)
        self._fills = due

    def end(self) -> None:
        """Count the pongs; the pingers stay connected to the end of the phase."""
        self.answered = sum(client.pongs for client in self._run.extra_clients)

    def _fill_socket(self, client: Client) -> None:
        for _ in range(MAX_BLOCKS):
            if not client.push(BLOCK):
                return
            self.count += PINGS_IN_BLOCK


class Handshakes(Attack):
    """Connections that send a ClientHello and are then reset."""

    def __init__(self, run: Run, phase: Phase) -> None:
        super().__init__(run, phase)
        self._address = ("127.0.0.1", run.port)
        self._hello = _client_hello()
        self._awaiting_reset: deque[tuple[float, socket.socket]] = deque()

    def attack(self, now: float) -> None:
        """Begin and abort the connections that are due."""
        for _ in range(min(int(now * HANDSHAKES) - self.count, MAX_AT_ONCE)):
            self._begin(now)
        while self._awaiting_reset and self._awaiting_reset[0][0] <= now:
            self._abort(self._awaiting_reset.popleft()[1])

    def end(self) -> None:
        """Abort all open connections."""
        while self._awaiting_reset:
            self._abort(self._awaiting_reset.popleft()[1])

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
            self._awaiting_reset.append((now + RESET_AFTER_SECONDS, sock))

    def _abort(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            self.answered += bool(sock.recv(1))
        reset(sock)


class Attackers(Attack):
    """Hostile clients of the kind that the phase names, in a process of their own.

    They share the load client's core but never take time that it needs (`nice`): making requests costs more than
    refusing them, and this measures the server.
    """

    def __init__(self, run: Run, phase: Phase) -> None:
        super().__init__(run, phase)
        self._report, report = os.pipe()
        self._child = os.fork()
        if not self._child:
            with contextlib.suppress(BaseException):
                os.nice(LAST)
                _attack(run, phase, report)
            os._exit(0)
        os.close(report)
        os.read(self._report, 1)  # all are connected

    def attack(self, now: float) -> None:
        """Do nothing: the other process does."""

    def end(self) -> None:
        """Take the number of requests; the attackers have left."""
        self.count = int(os.read(self._report, 32) or 0)
        os.close(self._report)
        os.waitpid(self._child, 0)


def _attack(run: Run, phase: Phase, report: int) -> None:
    """Connect attackers, write a byte, let them attack for the phase's seconds, and write the number of requests."""
    attackers: list[Attacker] = []
    for number in range(ATTACKERS):
        with contextlib.suppress(OSError):  # the server has cut it off
            attackers.append(KINDS[phase.label](run, number))
    os.write(report, b" ")
    began, steps = time.monotonic(), 0
    while (now := time.monotonic() - began) < phase.seconds:
        due = int(now * len(attackers) * STEPS_PER_SECOND)
        for index in range(max(steps, due - len(attackers)), due):
            with contextlib.suppress(OSError):
                attackers[index % len(attackers)].step()
        steps = due
        time.sleep(STEP_SECONDS)
    os.write(report, str(sum(attacker.count for attacker in attackers)).encode())
    for attacker in attackers:
        attacker.close()


ATTACKS: Mapping[str, Callable[[Run, Phase], Attack]] = {
    "pings": Pings,
    "handshakes": Handshakes,
    **dict.fromkeys(KINDS, Attackers),
}


def run_floods(run: Run) -> Iterator[Sample]:
    """Yield a sample without an attack, then one for each attack."""
    wait_until_declared(run)
    run.connect(run.job.workload.clients)
    for phase in run.job.workload.phases:
        if not run.alive:
            return
        yield _attacked(run, phase) if phase.label in ATTACKS else run.phase(phase)


def wait_until_declared(run: Run) -> None:
    """Wait until the server knows its last instrument: a large market takes a while."""
    known = False
    while not known:
        client = Client(SERVERS[run.job.server], run.port, run.context, [run.job.workload.symbols - 1])
        Connector([client], at_once=1).finish(CONNECT_SECONDS)
        known = not client.reader.fault
        client.close()


def _attacked(run: Run, phase: Phase) -> Sample:
    attack = ATTACKS[phase.label](run, phase)
    sample = run.phase(phase, lambda _: attack)
    run.close_extra_clients()
    if not sample.metrics:
        return sample
    attacks = {"attacks_per_second": attack.count, "answered_per_second": attack.answered}
    found = {name: count / phase.seconds for name, count in attacks.items()}
    return replace(sample, metrics=sample.metrics | found)


def _client_hello() -> bytes:
    """Return a valid ClientHello. Servers accept the same one any number of times."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()
