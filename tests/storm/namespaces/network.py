"""Hosts on one switch: network namespaces, joined by pairs of virtual interfaces and a bridge.

A namespace lives as long as the process that holds it, and that one ends with the end of its standard input. So nothing
is left behind, however the storm ends.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_NETWORK = "10.77.0"
_SLOW = ("rate", "400kbit", "burst", "4kb", "latency", "400ms")
"""A link that is slowed: what does not fit into the rate waits for up to so long, and is dropped beyond it. (The delay
line of Linux, `netem`, is not in every kernel.)"""


class NotPossible(Exception):
    """No namespaces can be made here; the text says why."""


class Host(NamedTuple):
    """A network namespace with one address."""

    name: str
    address: str
    holder: subprocess.Popen[bytes]

    def command(self, *words: str) -> list[str]:
        """Return the command that runs these words on this host, as the process itself."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *words]

    def run(self, *words: str) -> None:
        """Run a command of an operator here. Raises `NotPossible`."""
        _run(self.command(*words))


class Network:
    """The switch and its hosts."""

    def __init__(self) -> None:
        self._switch = Host("switch", "", _hold())
        self.hosts: list[Host] = []

    def begin(self) -> None:
        """Set up the switch. Raises `NotPossible`."""
        self._switch.run("ip", "link", "add", "br0", "type", "bridge")
        self._switch.run("ip", "link", "set", "br0", "up")

    def host(self, name: str) -> Host:
        """Add a host."""
        address = f"{_NETWORK}.{len(self.hosts) + 11}"
        host = Host(name, address, _hold())
        self.hosts.append(host)
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(host.holder.pid))
        self._switch.run("ip", "link", "add", name, *peer)
        self._switch.run("ip", "link", "set", name, "master", "br0", "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "link", "set", "lo", "up")
        return host

    def cut(self, host: Host) -> None:
        """Drop all between a host and the others, without a sign to any of them."""
        self._switch.run("ip", "link", "set", host.name, "nomaster")

    def mend(self, host: Host) -> None:
        """Take a `cut` back."""
        self._switch.run("ip", "link", "set", host.name, "master", "br0")

    def slow_down(self, host: Host) -> None:
        """Have little go through to a host, and from it."""
        self._switch.run("tc", "qdisc", "replace", "dev", host.name, "root", "tbf", *_SLOW)
        host.run("tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *_SLOW)

    def speed_up(self, host: Host) -> None:
        """Take a `slow_down` back."""
        self._switch.run("tc", "qdisc", "delete", "dev", host.name, "root")
        host.run("tc", "qdisc", "delete", "dev", "eth0", "root")

    def close(self) -> None:
        """All hosts are gone, once no process of theirs is left."""
        for host in (*self.hosts, self._switch):
            with host.holder:
                host.holder.kill()


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network for a block. Raises `NotPossible`."""
    made = Network()
    try:
        made.begin()
        yield made
    finally:
        made.close()


def _hold() -> subprocess.Popen[bytes]:
    """Return a process in a namespace of its own, which has begun."""
    command = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise NotPossible(f"{error.filename} is not installed (package util-linux)") from None
    assert process.stdout is not None
    if not process.stdout.readline():
        with process:
            assert process.stderr is not None
            raise NotPossible(process.stderr.read().decode().strip())
    return process


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotPossible(f"{error.filename} is not installed") from None
    if done.returncode:
        raise NotPossible(f"{' '.join(command)}: {done.stderr.strip()}")
