"""ticker/server/operator_pages.py, metrics.py, metrics_listener.py: the pages of operators, over real TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conftest import Logs, Running, serving, upgrade
from tests.server.test_pages import MARKET, ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.config import Limits, Tokens
from ticker.errors import ConfigError, DropCause
from ticker.market import Instrument, Stale, Update
from ticker.protocol.messages import Delta
from ticker.server.blocked_loop import FeedBlocked

SCRIPTED = "tests.feeds_for_tests:Scripted"
COUNTING = "tests.feeds_for_tests:Counting"


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


async def states(service: Running) -> tuple[int, dict[str, str]]:
    """The status of /readyz, and the state of each feed in its body."""
    got = await ask(service, "/readyz")
    return got.status, got.json["feeds"]


async def measures(service: Running, *lines: str) -> dict[str, float]:
    got = await ask(service, "/metrics", *lines)
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(got.body.decode())
        for sample in family.samples
    }


# Readiness


async def test_it_is_not_ready_as_long_as_no_feed_has_brought_data(fast_clock: MockClock) -> None:
    async with serving() as service:
        assert await states(service) == (503, {SCRIPTED: "waiting"})
        await service.publish(Instrument("A"))
        await service.script.send([])  # a sign of life
        await service.publish(Stale("A", "no_data"))  # a mark
        await service.publish(update("NEVER_DECLARED", last=1))  # refused
        await service.proves_alive()
        fast_clock.jump(3600)
        got = await ask(service, "/readyz")
        assert (got.status, got.json["code"], got.headers["retry-after"]) == (503, 503, "1")
        assert got.json["message"] == f"no data yet from {SCRIPTED}"
        assert (await ask(service, "/healthz")).json == {"status": "ok"}
        await service.publish(update("A", last=1))
        await service.proves_alive()
        assert (await ask(service, "/readyz")).json == {"status": "ready", "feeds": {SCRIPTED: "live"}}


async def test_it_waits_for_the_other_feeds_for_a_while(fast_clock: MockClock) -> None:
    silent = "tests.feeds_for_tests:Keyed?api_key=abc"
    async with serving(more_feeds=[silent]) as service:
        await service.publish(Instrument("A"), update("A", last=1))
        await service.proves_alive()
        assert await states(service) == (503, {SCRIPTED: "live", "tests.feeds_for_tests:Keyed": "waiting"})
        fast_clock.jump(31)
        assert await states(service) == (200, {SCRIPTED: "live", "tests.feeds_for_tests:Keyed": "waiting"})


async def test_it_stays_ready_while_a_feed_is_down_and_says_so(
    fast_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.server.feed_runner.random.uniform", lambda _low, _high: 30.0)
    async with serving(*MARKET) as service:
        watcher = await service.watcher("EURUSD")
        await service.script.send(RuntimeError("the venue hung up"))
        await watcher.until(Delta)
        assert await states(service) == (200, {SCRIPTED: "down"})
        await wait_all_tasks_blocked()
        fast_clock.jump(30)
        await watcher.until(Delta)
        assert await states(service) == (200, {SCRIPTED: "reconnecting"})
        await service.publish(update("EURUSD", bid=2))
        await watcher.until(Delta)
        assert await states(service) == (200, {SCRIPTED: "live"})
        await service.script.aclose()
        await watcher.until(Delta)
        assert await states(service) == (200, {SCRIPTED: "ended"})


# Metrics


async def test_the_age_of_a_feed_counts_from_what_its_venue_said(fast_clock: MockClock) -> None:
    age, up = f"ticker_feed_age_seconds{{feed={SCRIPTED}}}", f"ticker_feed_up{{feed={SCRIPTED}}}"
    async with serving() as service:
        fast_clock.jump(100)
        await service.publish(Instrument("A"))  # it declares before it connects
        await service.proves_alive()
        found = await measures(service)
        assert found[age] >= 100
        assert found[up] == 0
        await service.script.send([])
        await wait_all_tasks_blocked()
        found = await measures(service)
        assert found[age] < 50
        assert found[up] == 0
        fast_clock.jump(100)
        await service.publish(update("A", last=1))
        await service.proves_alive()
        found = await measures(service)
        assert found[age] < 50
        assert found[up] == 1
        await service.script.send(RuntimeError("the venue hung up"))
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        await service.publish(Instrument("A"))
        await service.proves_alive()
        fast_clock.jump(100)
        found = await measures(service)
        assert found[age] >= 100, "the service's marks and the feed's declarations are no sign of life"
        assert found[up] == 0


async def test_metrics_count_what_happened(fast_clock: MockClock) -> None:
    async with serving(*MARKET, limits=Limits(max_per_address=1000)) as service:
        watcher = await service.watcher("EURUSD")
        for number in range(5):
            await service.publish(update("EURUSD", bid=number), update("EURUSD", ask=number))
            await watcher.until(Delta)
        await service.publish(Update("EURUSD", {"bid": 1.5}))  # type: ignore[dict-item]
        await watcher.until(Delta)
        await service.refusal(upgrade("nonesuch"))
        await service.script.send(RuntimeError("the venue hung up"))
        await watcher.until(Delta)
        fast_clock.jump(1)
        await watcher.until(Delta)
        fast_clock.jump(1)
        found = await measures(service)
        (feed,) = [name.partition("{")[2] for name in found if name.startswith("ticker_feed_publications_total")]
        assert found["ticker_feed_publications_total{" + feed] == 16
        assert found["ticker_feed_failures_total{" + feed] == 1
        assert found["ticker_feed_age_seconds{" + feed] >= 1
        assert (found["ticker_publications_applied_total"], found["ticker_publications_refused_total"]) == (16, 0)
        assert found["ticker_cuts_total"] == 9
        assert found["ticker_instruments"] == 3
        assert found["ticker_frames_sent_total"] == 9
        assert found["ticker_updates_sent_total"] == 9
        assert found["ticker_bytes_sent_total"] > 200
        assert found["ticker_clients{state=in_step}"] == 1
        assert found["ticker_clients{state=behind}"] == 0
        assert found["ticker_conflation_ratio"] == 11 / 9
        assert found["ticker_turned_away_total{cause=request}"] == 1
        assert found["ticker_connections_admitted"] == 1
        assert found["ticker_turns_waiting"] == 0
        assert found["ticker_cut_seconds_count"] == found["ticker_cut_seconds_bucket{le=+Inf}"] == 9
        assert found["ticker_resident_memory_bytes"] > 1e6


async def test_metrics_say_whether_it_is_ready_when_its_certificate_ends_and_how_full_the_queue_is(
    ticker_home: Path, fast_clock: MockClock
) -> None:
    certificate = x509.load_pem_x509_certificate((ticker_home / "server.pem").read_bytes())
    async with serving(limits=Limits(feed_queue=77)) as service:
        found = await measures(service)
        assert found["ticker_ready"] == 0
        assert found["ticker_certificate_expires_timestamp_seconds"] == certificate.not_valid_after_utc.timestamp()
        assert found["ticker_feed_queue_limit"] == 77
        assert found["ticker_feed_queue_items"] == found["ticker_feed_queue_senders_waiting"] == 0
        assert {found[f"ticker_clients_dropped_total{{cause={cause}}}"] for cause in DropCause} == {0}
        await service.publish(*MARKET)
        await service.publish(update("EURUSD", bid=1))
        await service.proves_alive()
        assert (await measures(service))["ticker_ready"] == 1
        await service.script.send(FeedBlocked("it blocked the service"))
        await service.proves_alive()
        fast_clock.jump(1)
        assert (await measures(service))[f"ticker_feed_blocked_total{{feed={SCRIPTED}}}"] == 1


async def test_refusals_are_counted_by_feed_and_cause_and_stale_instruments_are_a_gauge() -> None:
    async with serving(*MARKET) as service:
        assert (await measures(service))["ticker_instruments_stale"] == 0
        await service.publish(
            Update("EURUSD", {"bid": "oops", "ask": "1.5"}),
            Update("EURUSD", {"bid": "NaN"}),
            update("NEVER_DECLARED", last=1),
            Stale("XAUUSD", "gap"),
        )
        await service.proves_alive()
        found = await measures(service)
        refusals = {
            name.removeprefix("ticker_feed_refusals_total"): count
            for name, count in found.items()
            if name.startswith("ticker_feed_refusals_total")
        }
        assert refusals == {
            f"{{cause=unreadable bid}}{{feed={SCRIPTED}}}": 2,
            f"{{cause=undeclared instrument}}{{feed={SCRIPTED}}}": 1,
        }
        assert found["ticker_instruments_stale"] == 1
        await service.publish(update("XAUUSD", last=1))
        await service.proves_alive()
        assert (await measures(service))["ticker_instruments_stale"] == 0


async def test_each_feed_has_metrics_of_its_own_and_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"A": {"bid": "1"}}')
    from_file, keyed = "tests.feeds_for_tests:FromFile", "tests.feeds_for_tests:Keyed"
    specs = [*[f"{from_file}?path={tmp_path / 'a.json'}"] * 2, f"{keyed}?api_key=abc"]
    async with serving(more_feeds=specs) as service:
        found = await measures(service)
    names = [name.partition("=")[2] for name in found if name.startswith("ticker_feed_publications_total")]
    assert set(names) == {f"{name}}}" for name in (from_file, f"{from_file} (2)", keyed, SCRIPTED)}


# Rights


async def test_metrics_at_the_services_address_need_a_right_of_their_own(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        assert (await ask(service, "/metrics")).status == 401
        got = await ask(service, "/metrics", bearer(token()).strip())
        assert got.status == 403
        assert 'the claim "metrics": true' in got.json["message"]
        assert (await ask(service, "/metrics", bearer(token(metrics=False)).strip())).status == 403
        assert (await ask(service, "/metrics", bearer(token(metrics="yes")).strip())).status == 401
        assert await measures(service, bearer(token(metrics=True)).strip())


async def test_without_tokens_metrics_are_shown_to_this_machine_only() -> None:
    async with serving(*MARKET) as service:
        assert (await ask(service, "/metrics")).status == 200


async def test_pages_for_everybody_name_feeds_without_their_options(tokens: Tokens, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"HIDDEN": {"bid": "1"}}')
    spec = f"tests.feeds_for_tests:FromFile?path={tmp_path / 'secret.json'}"
    async with serving(*MARKET, tokens=tokens, more_feeds=[spec, spec]) as service:
        ready = await ask(service, "/readyz")
        metrics = await ask(service, "/metrics", bearer(token(metrics=True)).strip())
        for got in (ready, metrics):
            assert b"secret.json" not in got.body
            assert b"HIDDEN" not in got.body
            assert b"FromFile (2)" in got.body


async def test_operators_are_exempt_from_the_allowances_of_clients() -> None:
    limits = Limits(requests_per_second=1, request_burst=5, max_connections=1, max_per_address=1)
    async with serving(*MARKET, limits=limits) as service:
        await service.watcher("EURUSD")
        for _ in range(5):
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await ask(service, path)).status == 200
        statuses = [(await ask(service, "/v1/instruments")).status for _ in range(10)]
        assert (statuses[0], statuses[-1]) == (200, 429)


# An address of their own


@asynccontextmanager
async def with_own_address(logs: Logs, **settings: object) -> AsyncIterator[tuple[Running, Running]]:
    """A service, and the same at the address of `metrics_listen`."""
    async with serving(*MARKET, metrics_listen="127.0.0.1:0", **settings) as service:  # type: ignore[arg-type]  # settings
        (url,) = [entry["url"] for entry in logs if entry["event"] == "metrics are there"]
        address = url.removesuffix("/metrics").replace("https:", "wss:")
        own = Running(f"{address}/v1/stream", service.script, service.stop, service.done)
        yield service, own
        for peer in own.peers:
            await peer.close()


async def test_metrics_have_an_address_of_their_own_without_tokens_on_loopback(tokens: Tokens, logs: Logs) -> None:
    async with with_own_address(logs, tokens=tokens) as (_, own):
        assert (await measures(own))["ticker_instruments"] == 3
        assert (await ask(own, "/readyz")).json["status"] == "ready"
        assert (await ask(own, "/healthz")).json == {"status": "ok"}
        assert (await ask(own, "/metrics", method="HEAD")).body == b""
        for path in ("/", "/v1/snapshot?symbols=*", "/v1/stream", "/v1/events?symbols=*"):
            got = await ask(own, path)
            assert (got.status, got.json["message"]) == (404, "there is nothing here but /healthz, /readyz, /metrics")
        assert (await ask(own, "/metrics", method="POST")).status == 405
        assert (await own.refusal(b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_it_answers_when_clients_have_taken_every_place(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.door.connection_limits.MAX_PENDING_CONNECTIONS", 0)
    async with with_own_address(logs, limits=Limits(max_connections=1)) as (service, own):
        await service.watcher("EURUSD")
        with pytest.raises((trio.BrokenResourceError, OSError)):
            await service.dial()
        assert (await measures(own))["ticker_connections"] == 1


async def test_an_address_of_their_own_has_a_limit_of_connections(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.metrics_listener.MAX_METRICS_CONNECTIONS", 2)
    async with with_own_address(logs) as (_, own):
        first, second = await own.dial(), await own.dial()
        with pytest.raises((trio.BrokenResourceError, OSError)):
            await own.dial()
        for peer in (first, second):
            await peer.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await peer.rest()).endswith(b'{"status":"ok"}')
            await peer.close()
        while True:
            with suppress(trio.BrokenResourceError, OSError):  # until it has seen them go
                assert (await ask(own, "/healthz")).status == 200
                break


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("nowhere", "metrics_listen 'nowhere': give HOST:PORT, such as 127.0.0.1:9443 or [::1]:9443"),
        ("0.0.0.0:0", "a certificate"),
    ],
)
async def test_an_address_that_cannot_be_used_is_refused(address: str, text: str) -> None:
    with pytest.raises((ConfigError, BaseExceptionGroup)) as refused:
        async with serving(metrics_listen=address):
            pass
    error: BaseException = refused.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert text in str(error)
