"""Proxies in front of the service: which peers may say from where their clients come, and what they say. No I/O.

Each mechanism counts only from its own networks; from all others the same bytes are a client's own words, and ignored.
A chain of trusted proxies is followed from its near end: the first address that is none of theirs is the client's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ticker.bounds import MAX_PROXY_HOPS
from ticker.config import Proxies
from ticker.errors import ConfigError

UNIX = "unix"
"""The address of every peer at a Unix socket."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, section 5.6.2
_VALUE = rf'{_TOKEN}|"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(rf"({_TOKEN})=({_VALUE})")
_ELEMENT = re.compile(rf"(?:{_TOKEN}=(?:{_VALUE}))?(?:;[ \t]*(?:{_TOKEN}=(?:{_VALUE}))?)*")
_NODE = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")
"""An address with or without a port, of IPv6 in brackets; without a port, also without them."""


class Networks:
    """Networks, and perhaps the peers at Unix sockets."""

    def __init__(self, texts: Sequence[str], key: str) -> None:
        """Raises `ConfigError`, which names `key`."""
        self._unix = UNIX in texts
        self._networks = [_parse_network(text, key) for text in texts if text != UNIX]

    def __repr__(self) -> str:
        return f"<Networks: {', '.join([*map(str, self._networks), *[UNIX] * self._unix])}>"

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        if not self._networks:
            return False
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def overlap(self, other: Networks) -> bool:
        """Return whether an address is in both."""
        shared = any(one.overlaps(two) for one in self._networks for two in other._networks)
        return shared or (self._unix and other._unix)


class TrustedProxies:
    """The proxies of one service."""

    def __init__(self, config: Proxies) -> None:
        """Raises `ConfigError`."""
        self._proxy_protocol = Networks(config.proxy_protocol, "proxies.proxy_protocol")
        x_forwarded_for = Networks(config.x_forwarded_for, "proxies.x_forwarded_for")
        forwarded = Networks(config.forwarded, "proxies.forwarded")
        if x_forwarded_for.overlap(forwarded):
            text = "proxies.x_forwarded_for and proxies.forwarded share addresses"
            raise ConfigError(f"{text}; name each proxy under the one header that it sets")
        self._headers: list[tuple[bytes, Networks, Callable[[str], str | None]]] = [
            (b"x-forwarded-for", x_forwarded_for, _node_address),
            (b"forwarded", forwarded, _forwarded_for),
        ]

    def __repr__(self) -> str:
        return f"<TrustedProxies: {self._proxy_protocol}, {[networks for _, networks, _ in self._headers]}>"

    def sends_proxy_header(self, address: str) -> bool:
        """Return whether connections from this address begin with a header of the PROXY protocol."""
        return address in self._proxy_protocol

    def forwards(self, address: str) -> bool:
        """Return whether requests from this address name their client in a header."""
        return any(address in networks for _, networks, _ in self._headers)

    def client_of(self, address: str, headers: Mapping[bytes, bytes]) -> str:
        """Return the address of the client whose request came from this address; `headers` are by lower-cased name.

        A proxy that names none, or names it in a way that cannot be read, is the client itself.
        """
        for name, networks, read in self._headers:
            if address in networks:
                hops = headers.get(name, b"").decode("latin-1").rsplit(",", MAX_PROXY_HOPS)
                for hop in reversed(hops[-MAX_PROXY_HOPS:]):
                    found = read(hop.strip(" \t"))
                    if found is None:
                        break
                    address = found
                    if address not in networks:
                        break
                break
        return address


def _parse_network(text: str, key: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{key} {text!r}: {error}; give networks such as 10.1.0.0/16, addresses, or {UNIX}") from None
    if network.prefixlen == 0:
        raise ConfigError(f"{key} {text!r}: every client could claim any address; name the networks of your proxies")
    return network


def _node_address(text: str) -> str | None:
    """Return the address of a node, without its port; None if it has none."""
    parts = _NODE.fullmatch(text)
    if parts is None:
        return None
    try:
        address = ip_address(parts[1] or parts[2] or parts[3])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


def _forwarded_for(element: str) -> str | None:
    """Return the address in the `for` of an element of Forwarded (RFC 7239, section 4).

    Elements are split at every comma. The rest of one that was split within quotes is no element, because the quote
    that closes it was never opened.
    """
    if _ELEMENT.fullmatch(element) is None:
        return None
    for name, value in _PAIR.findall(element):
        if name.lower() == "for":
            plain = value[1:-1] if value.startswith('"') else value
            return _node_address(re.sub(r"\\(.)", r"\1", plain))
    return None
