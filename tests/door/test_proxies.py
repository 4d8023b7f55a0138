"""ticker/door/proxies.py and callers.py: the address of a client behind proxies, and in which limits it counts."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticker.bounds import MAX_PENDING_CONNECTIONS, MAX_PROXY_HOPS
from ticker.config import Limits, Proxies
from ticker.door.callers import Caller
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.proxies import UNIX, Networks, TrustedProxies
from ticker.errors import ConfigError, RefusalCause

PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.7", "198.51.100.9"
NETWORKS = ["10.0.0.0/8", "fd00::/8", UNIX]
BY_XFF = TrustedProxies(Proxies(x_forwarded_for=NETWORKS))
BY_FORWARDED = TrustedProxies(Proxies(forwarded=NETWORKS))


def by_xff(text: str, peer: str = PROXY) -> str:
    return BY_XFF.client_of(peer, {b"x-forwarded-for": text.encode("latin-1")})


def by_forwarded(text: str, peer: str = PROXY) -> str:
    return BY_FORWARDED.client_of(peer, {b"forwarded": text.encode("latin-1")})


# Networks


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        (UNIX, True),
        ("11.0.0.1", False),
        ("2001:db8::1", False),
        ("?", False),
        ("", False),
    ],
)
def test_an_address_is_in_the_networks_or_not(address: str, inside: bool) -> None:  # noqa: FBT001
    assert (address in Networks(NETWORKS, "x")) is inside
    assert address not in Networks([], "x")


def test_peers_at_unix_sockets_are_named_or_not_trusted() -> None:
    assert UNIX not in Networks(["10.0.0.0/8"], "x")
    assert "10.0.0.1" not in Networks([UNIX], "x")
    assert bool(Networks([UNIX], "x"))
    assert not Networks([], "x")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1/8", "has host bits set"),
        ("localhost", "give networks such as 10.1.0.0/16, addresses, or unix"),
        ("", "give networks"),
        ("0.0.0.0/0", "every client could claim any address"),
        ("::/0", "every client could claim any address"),
    ],
)
@pytest.mark.parametrize("key", ["proxy_protocol", "x_forwarded_for", "forwarded"])
def test_what_is_no_network_of_proxies_is_refused_by_name(key: str, text: str, why: str) -> None:
    settings: dict[str, Any] = {key: ["127.0.0.1", text]}
    with pytest.raises(ConfigError, match=rf"^proxies\.{key} '{text}': .*{why}"):
        TrustedProxies(Proxies(**settings))


@pytest.mark.parametrize(("one", "two"), [("10.0.0.0/8", "10.3.0.0/16"), (UNIX, UNIX)])
def test_a_proxy_sets_one_of_the_two_headers(one: str, two: str) -> None:
    with pytest.raises(ConfigError, match="name each proxy under the one header that it sets"):
        TrustedProxies(Proxies(x_forwarded_for=[one], forwarded=[two]))
    TrustedProxies(Proxies(x_forwarded_for=["10.0.0.0/8"], forwarded=["fd00::/8"], proxy_protocol=["10.0.0.0/8"]))


# X-Forwarded-For


@pytest.mark.parametrize(
    ("text", "client"),
    [
        (CLIENT, CLIENT),
        (f"{OTHER}, {CLIENT}", CLIENT),
        (f"{OTHER},10.0.0.9,{CLIENT}", CLIENT),
        (f"{OTHER}, {CLIENT}, 10.2.0.1, fd00::5", CLIENT),
        ("10.3.0.1, 10.2.0.1", "10.3.0.1"),
        (f"{CLIENT}:51234", CLIENT),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"{OTHER}, {CLIENT} ", CLIENT),
        ("", PROXY),
        ("unknown", PROXY),
        (f"{CLIENT}, unknown", PROXY),
        (f"{CLIENT}, 300.1.1.1", PROXY),
        (f"{CLIENT}, ::1::", PROXY),
        (f"{CLIENT}, 1.2.3.4\xff", PROXY),
        (f"{CLIENT}, unknown, 10.9.9.9", "10.9.9.9"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_proxys(text: str, client: str) -> None:
    assert by_xff(text) == client


def test_only_named_networks_are_believed() -> None:
    assert by_xff(CLIENT, OTHER) == OTHER
    assert by_xff(CLIENT, UNIX) == CLIENT
    assert by_forwarded(f"for={CLIENT}", OTHER) == OTHER
    assert BY_XFF.client_of(PROXY, {b"forwarded": b"for=203.0.113.7"}) == PROXY
    assert BY_FORWARDED.client_of(PROXY, {b"x-forwarded-for": b"203.0.113.7"}) == PROXY
    assert TrustedProxies(Proxies(proxy_protocol=[PROXY])).client_of(PROXY, {b"x-forwarded-for": b"1.1.1.1"}) == PROXY


def test_a_chain_of_proxies_is_followed_so_far_and_no_further() -> None:
    chain = [f"10.1.0.{number}" for number in range(MAX_PROXY_HOPS + 5)]
    assert by_xff(", ".join([CLIENT, *chain[: MAX_PROXY_HOPS - 1]])) == CLIENT
    assert by_xff(", ".join([CLIENT, *chain])) == chain[-MAX_PROXY_HOPS]


@given(st.text(st.characters(max_codepoint=255)), st.sampled_from([CLIENT, "2001:db8::7", "192.0.2.255"]))
@example("10.0.0.1, ", CLIENT)
@example('for="', CLIENT)
@example('for="\\', CLIENT)
def test_no_words_of_a_client_move_the_address_that_its_proxy_appends(words: str, client: str) -> None:
    assert by_xff(f"{words}, {client}") == client
    node = f'"[{client}]"' if ":" in client else client
    assert by_forwarded(f"{words}, for={node};proto=https") == client
    assert by_forwarded(f"{words}, proto=https;For={node}") == client


@given(st.text(st.characters(max_codepoint=255), max_size=30))
@example("6.6.6.6")
@example('x,for=6.6.6.6;a="b')
@example("x,for=6.6.6.6")
@example('x",for=6.6.6.6;a="')
def test_nothing_that_a_proxy_quotes_is_an_element_of_its_own(host: str) -> None:
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    assert by_forwarded(f'for={CLIENT};host="{quoted}"') in {CLIENT, PROXY}


@pytest.mark.parametrize(
    ("text", "client"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={CLIENT}; proto=https", CLIENT),
        (f'for="{CLIENT}:4711"', CLIENT),
        ('for="[2001:db8::7]:4711";by=10.0.0.1', "2001:db8::7"),
        (f"for={OTHER}, for={CLIENT}, for=10.3.3.3", CLIENT),
        (f'for="\\{CLIENT}"', CLIENT),
        ("by=10.0.0.2;proto=http", PROXY),
        (f"for={OTHER}, for=unknown", PROXY),
        (f"for={OTHER}, for=_hidden", PROXY),
        (f"for {OTHER}", PROXY),
        (f"for={OTHER};", OTHER),
        (f"for={OTHER}, by", PROXY),
        ("", PROXY),
    ],
)
def test_forwarded_names_the_client_likewise(text: str, client: str) -> None:
    assert by_forwarded(text) == client


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_is_an_address_or_the_proxys_own(text: str) -> None:
    for read in (by_xff, by_forwarded):
        client = read(text)
        assert client == PROXY or str(ip_address(client)) == client


# Limits


def callers(limits: ConnectionLimits, proxies: TrustedProxies, *addresses: str) -> list[Caller]:
    made = [Caller(address, proxies, limits) for address in addresses]
    for each in made:
        assert each.connected()
    return made


def test_a_connection_of_a_proxy_counts_for_its_client() -> None:
    limits = ConnectionLimits(Limits(max_per_address=1))
    one, two, other = callers(limits, BY_XFF, PROXY, PROXY, PROXY)
    assert one.identify({b"x-forwarded-for": CLIENT.encode()})
    assert two.identify({b"x-forwarded-for": CLIENT.encode()})
    assert other.identify({b"x-forwarded-for": OTHER.encode()})
    assert (one.address, other.address) == (CLIENT, OTHER)
    assert limits.admit(CLIENT, None) is RefusalCause.ADDRESS
    assert limits.admit(OTHER, None) is None
    limits.release(None)
    two.disconnected()
    assert limits.admit(CLIENT, None) is None
    limits.release(None)
    one.disconnected()
    other.disconnected()
    assert (limits.open, limits._addresses) == (0, {})


def test_a_proxy_has_as_many_connections_as_all_its_clients() -> None:
    limits = ConnectionLimits(Limits(max_per_address=1))
    several = callers(limits, BY_XFF, *[PROXY] * (MAX_PENDING_CONNECTIONS + 5))
    for number, caller in enumerate(several):
        assert caller.identify({b"x-forwarded-for": f"198.51.{number // 250}.{number % 250}".encode()})
    direct = Caller(CLIENT, BY_XFF, limits)
    assert direct.connected()
    assert direct.identify({b"x-forwarded-for": b"1.2.3.4"})
    assert direct.address == CLIENT


def test_a_client_behind_a_proxy_that_has_far_too_many_is_refused() -> None:
    limits = ConnectionLimits(Limits(max_per_address=1))
    several = callers(limits, BY_XFF, *[PROXY] * (MAX_PENDING_CONNECTIONS + 2))
    outcomes = [caller.identify({b"x-forwarded-for": CLIENT.encode()}) for caller in several]
    assert outcomes == [True] * (MAX_PENDING_CONNECTIONS + 1) + [False]


def test_the_address_of_a_proxy_header_may_be_that_of_a_proxy_with_a_header_of_http() -> None:
    proxies = TrustedProxies(Proxies(proxy_protocol=[PROXY], x_forwarded_for=["192.0.2.0/24"]))
    limits = ConnectionLimits(Limits())
    balanced, direct, check = callers(limits, proxies, PROXY, PROXY, PROXY)
    assert balanced.sends_proxy_header
    assert balanced.came_from("192.0.2.1")
    assert balanced.identify({b"x-forwarded-for": CLIENT.encode()})
    assert direct.came_from(OTHER)
    assert direct.identify({b"x-forwarded-for": CLIENT.encode()})
    assert check.came_from(None)
    assert [each.address for each in (balanced, direct, check)] == [CLIENT, OTHER, PROXY]
    assert not Caller(CLIENT, proxies, limits).sends_proxy_header
    for each in (balanced, direct, check):
        each.disconnected()
    assert (limits.open, limits._addresses) == (0, {})


def test_a_connection_that_never_named_its_client_leaves_nothing() -> None:
    limits = ConnectionLimits(Limits())
    for proxies in (BY_XFF, TrustedProxies(Proxies(proxy_protocol=[PROXY]))):
        (caller,) = callers(limits, proxies, PROXY)
        caller.disconnected()
    assert (limits.open, limits._addresses) == (0, {})


def test_reprs_name_the_networks() -> None:
    assert "10.0.0.0/8" in repr(BY_XFF)
    assert repr(Caller(CLIENT, BY_XFF, ConnectionLimits(Limits()))) == f"<Caller at {CLIENT}>"
