"""ticker/bus/addresses.py: addresses of engines, and one clear line for each that is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trustme

from ticker.bus.addresses import RedisAddress, engine_for, parse_redis_address
from ticker.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", RedisAddress("redis", (("h", 6379),))),
        ("redis://h/", RedisAddress("redis", (("h", 6379),))),
        ("redis://h:1/12", RedisAddress("redis", (("h", 1),), db=12)),
        ("redis://[::1]", RedisAddress("redis", (("::1", 6379),))),
        ("redis://[::1]:7", RedisAddress("redis", (("::1", 7),))),
        ("redis://:p%40%23@h", RedisAddress("redis", (("h", 6379),), password="p@#")),  # noqa: S106
        ("redis://me:a:b@h", RedisAddress("redis", (("h", 6379),), user="me", password="a:b")),  # noqa: S106
        ("redis://h?name=fx.1", RedisAddress("redis", (("h", 6379),), name="fx.1")),
        ("rediss://h", RedisAddress("rediss", (("h", 6379),))),
        ("redis+sentinel://a,b:1/main", RedisAddress("redis+sentinel", (("a", 26379), ("b", 1)), service="main")),
        (
            "redis+sentinel://u:p@a/m?sentinel_user=v&sentinel_password=q%2B",
            RedisAddress(
                "redis+sentinel",
                (("a", 26379),),
                service="m",
                user="u",
                password="p",  # noqa: S106
                sentinel_user="v",
                sentinel_password="q+",  # noqa: S106
            ),
        ),
        ("rediss+sentinel://a/m/2", RedisAddress("rediss+sentinel", (("a", 26379),), service="m", db=2)),
    ],
)
def test_an_address_is_taken_apart(url: str, address: RedisAddress) -> None:
    assert parse_redis_address(url) == address


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", r"give redis://HOST:6379, rediss://USER:PASSWORD@HOST:6379 or redis\+sentinel://"),
        ("http://h", "give redis://HOST"),
        ("redis:h", "give redis://HOST"),
        ("redis://", "give redis://HOST"),
        ("redis://[::1", "give redis://HOST"),
        ("redis://:a#b@h", "in a password a # is written %23"),
        ("redis://me@h", "before the @ stand USER:PASSWORD, or :PASSWORD"),
        ("redis://h:99999", "a port is a number"),
        ("redis://h:0", "a port is a number from 1"),
        ("redis://h:x", "give HOST:PORT"),
        ("redis://a,b", r"give one host; several are those of sentinels: redis\+sentinel://"),
        ("rediss://a,b", r"give one host; several are those of sentinels: rediss\+sentinel://"),
        ("redis://h/x", "a database's number"),
        ("redis://h/1/2", "a database's number"),
        ("redis+sentinel://h", "the name they have for the engine"),
        ("redis+sentinel://h/", "the name they have for the engine"),
        ("redis+sentinel://h/m/x", "a database's number"),
        ("redis://h?x=1", r"stand name, ca, cert and key, for sentinels .* each once, not 'x'"),
        ("redis://h?sentinel_password=x", r"sentinel_password: there are sentinels only behind redis\+sentinel://"),
        ("rediss://h?sentinel_password=x", r"sentinel_password: there are sentinels only behind rediss\+sentinel://"),
        ("redis+sentinel://h/m?sentinel_user=x", "sentinel_user= stands only beside it"),
        ("redis+sentinel://h/m?sentinel_password=", "sentinel_password= names a password"),
        ("redis://h?name=a&name=b", "each once"),
        ("redis://h?name", "pairs such as name=main"),
        ("redis://h?name=a%20b", "1 to 64 letters"),
        ("redis://h?ca=x", r"ca: files of certificates are for TLS: rediss://"),
        ("redis+sentinel://h/m?ca=x", r"ca: files of certificates are for TLS: rediss\+sentinel://"),
        ("rediss://h?cert=x", "cert= and key= go together"),
        ("rediss://h?ca=", "each of ca=, cert= and key= names a file"),
        ("rediss://h?ca=/nowhere", "ca=/nowhere: No such file or directory; name a PEM file"),
        ("rediss://h?cert=/nowhere&key=/nowhere", "cert=/nowhere: No such file or directory; name the PEM files"),
    ],
)
def test_what_is_no_address_is_named_with_the_remedy(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^bus '.*': .*{text}") as caught:
        parse_redis_address(url)
    assert "\n" not in str(caught.value)


def test_no_error_and_no_name_shows_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_redis_address("redis://me:secret@h/x", "--bus")
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("--bus 'redis://me:***@h/x': ")
    with pytest.raises(ConfigError) as caught:
        parse_redis_address("redis+sentinel://h/main/x?sentinel_password=secret")
    assert "secret" not in str(caught.value)
    for unencoded in (
        "redis://me:sec/ret@h",
        "redis://me:sec?ret@h",
        "redis://me:sec#ret@h",
        "redis://:sec/ret@h/0?name=a",
        "redis:/me:secret@h",
        "me:secret@h:6379",
    ):
        with pytest.raises(ConfigError, match=r"a # is written %23, a / %2F, a \? %3F and an @ %40") as caught:
            parse_redis_address(unencoded)
        assert "sec" not in str(caught.value)
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    engine = engine_for(f"rediss+sentinel://me:secret@h,[::1]:7/main/3?ca={ca}&sentinel_password=secret")
    assert engine.name == "rediss+sentinel://h:26379,[::1]:7/main/3"
    assert "secret" not in repr(engine)
    assert "secret" not in repr(parse_redis_address("redis://me:secret@h"))


def test_without_its_library_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("ticker.bus.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "coredis", None)
    monkeypatch.setitem(sys.modules, "coredis.exceptions", None)
    with pytest.raises(ConfigError, match=r"bus: Redis and Valkey need `pip install 'ticker-push\[redis\]'`"):
        engine_for("redis://h")
