"""ticker/door/key_source.py: keys of tokens in files and at URLs, loaded and refreshed while a service runs."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.asymmetric import ed25519
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, serving, upgrade
from tests.net.pair import Contexts
from tests.support import hangups, update
from tests.tokens import KEYS, SECRET, PrivateKey, bearer, jwk, key_file, token
from ticker.bounds import KEY_FETCH_SECONDS, MAX_JWKS_BYTES
from ticker.config import Tokens
from ticker.door.key_source import KeySource
from ticker.errors import ConfigError
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Reply

MARKET: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


def write_jwks(path: Path, keys: dict[str, PrivateKey]) -> None:
    path.write_text(json.dumps({"keys": [jwk(key, kid) for kid, key in keys.items()]}))


async def test_a_renewed_key_file_is_used_and_the_old_key_is_good_no_more(tmp_path: Path) -> None:
    old, new = KEYS["EdDSA"], ed25519.Ed25519PrivateKey.generate()
    path = Path(key_file(tmp_path))
    async with hangups() as (send, receive), serving(*MARKET, tokens=Tokens(key=str(path)), hangups=receive) as service:
        inside = await service.watcher(more=bearer(token(old)))
        key_file(tmp_path, new)
        await send.send(None)
        await send.send(None)
        assert (await service.refusal(upgrade(more=bearer(token(old))))).startswith(b"HTTP/1.1 401")
        await service.proves_alive(bearer(token(new)))
        assert isinstance(await inside.answer("ping"), Reply)


async def test_keys_of_a_set_in_a_file_are_rotated(tmp_path: Path) -> None:
    old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "jwks.json"
    write_jwks(path, {"old": old})
    tokens = Tokens(jwks=str(path), algorithm="EdDSA")
    async with hangups() as (send, receive), serving(*MARKET, tokens=tokens, hangups=receive) as service:
        with_old, with_new = token(old, "EdDSA", {"kid": "old"}), token(new, "EdDSA", {"kid": "new"})
        await service.proves_alive(bearer(with_old))
        assert (await service.refusal(upgrade(more=bearer(with_new)))).startswith(b"HTTP/1.1 401")
        write_jwks(path, {"old": old, "new": new})
        await send.send(None)
        await send.send(None)
        await service.proves_alive(bearer(with_old))
        await service.proves_alive(bearer(with_new))


class Publisher:
    """An issuer that publishes its keys at an https address."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.asked = 0
        self.answer: bytes | None = None
        self.hangs = False

    async def run(self, contexts: Contexts, *, task_status: trio.TaskStatus[str]) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(f"https://127.0.0.1:{listener.socket.getsockname()[1]}/jwks")
        await trio.serve_listeners(self._reply, [trio.SSLListener(listener, contexts.server, https_compatible=True)])

    async def _reply(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive_some()
            self.asked += 1
            if self.answer is not None:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(self.answer)
                    if self.hangs:
                        await stream.receive_some()
                return
            body = json.dumps({"keys": [jwk(key, kid) for kid, key in self.keys.items()]}).encode()
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )


@pytest.fixture
async def issuer(contexts: Contexts, nursery: trio.Nursery) -> tuple[Publisher, Tokens]:
    publisher = Publisher()
    url = await nursery.start(publisher.run, contexts)
    return publisher, Tokens(jwks=url, algorithm="EdDSA")


async def test_an_unknown_key_is_looked_for_at_most_every_half_minute(
    fast_clock: MockClock, issuer: tuple[Publisher, Tokens]
) -> None:
    publisher, tokens = issuer
    first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    publisher.keys = {"first": first}
    async with serving(*MARKET, tokens=tokens) as service:
        await service.proves_alive(bearer(token(first, "EdDSA", {"kid": "first"})))
        assert publisher.asked == 1
        publisher.keys["second"] = second
        with_second = bearer(token(second, "EdDSA", {"kid": "second"}))
        for _ in range(5):
            assert (await service.refusal(upgrade(more=with_second))).startswith(b"HTTP/1.1 401")
        assert publisher.asked == 1
        fast_clock.jump(31)
        await service.proves_alive(with_second)
        for _ in range(5):
            unknown = bearer(token(second, "EdDSA", {"kid": "third"}))
            assert (await service.refusal(upgrade(more=unknown))).startswith(b"HTTP/1.1 401")
        assert publisher.asked == 2


async def test_a_key_that_is_published_no_more_is_forgotten(
    fast_clock: MockClock, issuer: tuple[Publisher, Tokens]
) -> None:
    publisher, tokens = issuer
    first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    publisher.keys = {"first": first}
    async with serving(*MARKET, tokens=tokens) as service:
        publisher.keys = {"second": second}
        await wait_all_tasks_blocked(0.01)
        fast_clock.jump(301)
        with trio.fail_after(1000):
            while publisher.asked < 2:
                await trio.sleep(0.01)
        await service.proves_alive(bearer(token(second, "EdDSA", {"kid": "second"})))
        assert (await service.refusal(upgrade(more=bearer(token(first, "EdDSA", {"kid": "first"}))))).startswith(
            b"HTTP/1.1 401"
        )


async def test_while_the_issuer_is_away_its_known_keys_are_good(
    fast_clock: MockClock, issuer: tuple[Publisher, Tokens], logs: Logs
) -> None:
    publisher, tokens = issuer
    first = ed25519.Ed25519PrivateKey.generate()
    publisher.keys = {"first": first}
    async with serving(*MARKET, tokens=tokens) as service:
        publisher.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        await wait_all_tasks_blocked(0.01)
        fast_clock.jump(301)
        with trio.fail_after(1000):
            while publisher.asked < 2:
                await trio.sleep(0.01)
        await service.proves_alive(bearer(token(first, "EdDSA", {"kid": "first"})))
    assert any(entry["event"] == "keys not loaded; those in use stay" for entry in logs)


async def test_before_the_keys_could_be_had_clients_are_told_to_come_again(
    fast_clock: MockClock, issuer: tuple[Publisher, Tokens]
) -> None:
    publisher, tokens = issuer
    first = ed25519.Ed25519PrivateKey.generate()
    publisher.answer = b"not HTTP at all\r\n\r\n"
    async with serving(*MARKET, tokens=tokens) as service:
        with_first = bearer(token(first, "EdDSA", {"kid": "first"}))
        answer = await service.refusal(upgrade(more=with_first))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in answer
        publisher.answer, publisher.keys = None, {"first": first}
        fast_clock.jump(31)
        await service.proves_alive(with_first)


class Untrusted(Publisher):
    """An issuer with whom nobody completes a handshake."""

    async def _reply(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):
            await super()._reply(stream)


def nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"https://127.0.0.1:{free.getsockname()[1]}/jwks"


async def test_an_issuer_that_cannot_be_reached_is_one_line_with_its_cause_and_the_next_try(
    fast_clock: MockClock, logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    stranger = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.configure_cert(context)
    monkeypatch.setenv("TICKER_HOME", str(tmp_path))
    untrusted = await nursery.start(Untrusted().run, Contexts(context, context))
    for url, cause in {
        nobody_listens(): "",
        "https://nosuchhost.invalid/jwks": "",
        untrusted: "CERTIFICATE_VERIFY_FAILED",
    }.items():
        logs.clear()
        keys = KeySource(Tokens(jwks=url, algorithm="EdDSA"))
        await keys.start()
        async with trio.open_nursery() as refreshing:
            refreshing.start_soon(keys.refresh)
            await wait_all_tasks_blocked(0.01)
            fast_clock.jump(31)
            with trio.fail_after(HANG_SECONDS):
                while len(logs) < 2:
                    await trio.sleep(0.01)
            refreshing.cancel_scope.cancel()
        for entry in logs:
            assert url in entry["cause"]
            assert cause in entry["cause"]
            assert entry["retry_seconds"] == 30
            assert "exc_info" not in entry
        assert [entry["event"].partition(":")[0] for entry in logs] == [
            "no keys yet",
            "keys not loaded; those in use stay",
        ]


async def test_a_fault_while_keys_are_fetched_ends_no_service(
    fast_clock: MockClock, logs: Logs, monkeypatch: pytest.MonkeyPatch, issuer: tuple[Publisher, Tokens]
) -> None:
    publisher, tokens = issuer
    key = ed25519.Ed25519PrivateKey.generate()
    publisher.keys = {"first": key}

    async def fault(_url: str) -> bytes:
        raise LookupError("a fault of the library that fetches them")

    async with serving(*MARKET, tokens=tokens) as service:
        monkeypatch.setattr("ticker.door.key_source._fetch", fault)
        for count in (1, 2):
            await wait_all_tasks_blocked(0.01)
            fast_clock.jump(301)
            with trio.fail_after(1000):
                while len([entry for entry in logs if "keys not loaded" in entry["event"]]) < count:
                    await trio.sleep(0.01)
        await service.proves_alive(bearer(token(key, "EdDSA", {"kid": "first"})))
    failures = [entry for entry in logs if "keys not loaded" in entry["event"]]
    assert ["exc_info" in entry for entry in failures[:2]] == [True, False]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no JWK Set"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}', "has no key"),
    ],
    ids=["nonsense", "empty"],
)
async def test_a_url_without_keys_is_refused_at_the_start(
    answer: bytes, why: str, issuer: tuple[Publisher, Tokens]
) -> None:
    publisher, tokens = issuer
    publisher.answer = answer
    with pytest.raises(ConfigError, match=why):
        await KeySource(tokens).start()


async def test_keys_in_a_response_that_is_an_error_are_not_taken(issuer: tuple[Publisher, Tokens], logs: Logs) -> None:
    publisher, tokens = issuer
    document = json.dumps({"keys": [jwk(KEYS["EdDSA"], "one")]}).encode()
    publisher.answer = b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        len(document),
        document,
    )
    keys = KeySource(tokens)
    await keys.start()
    assert keys.ring is None
    assert any("500" in entry.get("cause", "") for entry in logs)


async def test_a_password_in_the_url_of_keys_is_in_no_line_and_no_error(
    issuer: tuple[Publisher, Tokens], logs: Logs
) -> None:
    publisher, tokens = issuer
    url = (tokens.jwks or "").replace("//", "//me:SEKRIT@") + "?key=SEKRIT"
    publisher.keys = {"one": KEYS["EdDSA"]}
    keys = KeySource(Tokens(jwks=url, algorithm="EdDSA"))
    await keys.start()
    assert keys.ring is not None
    publisher.answer = b"HTTP/1.1 404 Oh\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    await KeySource(Tokens(jwks=url, algorithm="EdDSA")).start()
    with pytest.raises(ConfigError) as refused:
        await KeySource(Tokens(jwks=url.replace("https", "http"), algorithm="EdDSA")).start()
    assert len(logs) == 2
    assert "SEKRIT" not in f"{logs} {refused.value} {keys!r}"


@pytest.mark.parametrize(("size", "accepted"), [(MAX_JWKS_BYTES, True), (MAX_JWKS_BYTES + 1, False)])
async def test_a_set_of_keys_has_a_longest_size(
    size: int,
    accepted: bool,  # noqa: FBT001
    issuer: tuple[Publisher, Tokens],
    logs: Logs,
) -> None:
    publisher, tokens = issuer
    document = json.dumps({"keys": [jwk(KEYS["EdDSA"], "one")]}).encode().ljust(size)
    publisher.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (size, document)
    keys = KeySource(tokens)
    await keys.start()
    assert (keys.ring is not None) is accepted
    assert any("is longer than 1048576 bytes" in entry.get("cause", "") for entry in logs) is not accepted


async def test_an_endless_document_is_given_up(issuer: tuple[Publisher, Tokens], logs: Logs) -> None:
    publisher, tokens = issuer
    publisher.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b" " * 2_000_000
    publisher.hangs = True
    keys = KeySource(tokens)
    with trio.fail_after(KEY_FETCH_SECONDS / 2):
        await keys.start()
    assert keys.ring is None
    assert repr(keys) == "<KeySource 127.0.0.1: no keys yet>"  # a URL may hold a password
    assert any("is longer than" in entry.get("cause", "") for entry in logs)


def source(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: Tokens(key=str(folder / "missing")), "missing: No such file"),
        (lambda folder: Tokens(key=source(folder, "a", b"nonsense")), "no public key"),
        (lambda folder: Tokens(secret=source(folder, "b", b"short")), "32 bytes"),
        (lambda folder: Tokens(jwks=source(folder, "c", b"{}"), algorithm="ES256"), "no JWK Set"),
        (lambda _folder: Tokens(jwks="http://127.0.0.1/", algorithm="ES256"), "https"),
    ],
    ids=["missing", "no key", "short secret", "no set", "no TLS"],
)
async def test_keys_that_cannot_be_used_are_refused_by_name(make: Any, why: str, tmp_path: Path) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=why) as caught:
        await KeySource(make(tmp_path)).start()
    assert "\n" not in str(caught.value)


async def test_a_secret_lets_in_who_has_it(tmp_path: Path) -> None:
    tokens = Tokens(secret=source(tmp_path, "secret", SECRET))
    async with serving(*MARKET, tokens=tokens) as service:
        await service.proves_alive(bearer(token(SECRET, "HS256")))
        await wait_all_tasks_blocked(0.01)
        assert (await service.refusal(upgrade(more=bearer(token())))).startswith(b"HTTP/1.1 401")
