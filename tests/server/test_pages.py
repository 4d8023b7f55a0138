"""ticker/server/pages.py, files.py, metrics.py: HTTP besides the streams, over real TLS."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.conftest import Running, serving
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.config import Limits, Tokens
from ticker.market import Instrument, Publication, Update
from ticker.protocol.messages import Delta
from ticker.server.files import Files

MARKET: tuple[Publication, ...] = (
    Instrument("EURUSD", 5, 0, {"name": "Euro"}),
    Instrument("XAUUSD"),
    Instrument("QUIET"),
    update("EURUSD", bid="1.08500", bid_size=1_000_000, status="live"),
    Update("XAUUSD", {"last": "2350.10", "own": 7}),
)


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever it is
        return json.loads(self.body)


class Unanswered(Exception):
    """The connection ended before a whole answer, as it may where a process dies, or a market ends at once."""


async def ask(service: Running, target: str, *lines: str, method: str = "GET") -> Got:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost:{service.port}\r\n"
    try:
        answer = await service.refusal((head + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode("latin-1"))
    except trio.BrokenResourceError as error:
        raise Unanswered(target) from error
    top, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        raise Unanswered(target)
    first, *rest = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    if "content-length" in headers and method != "HEAD":
        if len(body) < int(headers["content-length"]):
            raise Unanswered(target)
        assert int(headers["content-length"]) == len(body)
    return Got(int(first.split()[1]), headers, body)


# Prices at one moment


async def test_a_snapshot_has_exact_values_by_name_at_one_cut() -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, "/v1/snapshot?symbols=EUR*,XAUUSD,NOPE,QUIET")
        assert (got.status, got.headers["content-type"]) == (200, "application/json")
        assert got.json["instruments"] == {
            "EURUSD": {"bid": "1.08500", "bid_size": "1000000", "status": "live"},
            "QUIET": {},
            "XAUUSD": {"last": "2350.10", "own": 7},
        }
        assert (got.json["unknown"], got.json["more"], got.json["cut"]) == (["NOPE"], False, 1)
        assert Decimal(got.json["instruments"]["EURUSD"]["bid"]) == Decimal("1.085")


async def test_a_snapshot_of_some_fields_has_no_others() -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, "/v1/snapshot?symbols=*&fields=bid,own,bid")
        assert got.json["instruments"] == {
            "EURUSD": {"bid": "1.08500", "status": "live"},
            "QUIET": {},
            "XAUUSD": {"own": 7},
        }


async def test_a_snapshot_that_is_known_already_is_not_sent_again() -> None:
    async with serving(*MARKET) as service:
        tag = (await ask(service, "/v1/snapshot?symbols=*")).headers["etag"]
        for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            got = await ask(service, "/v1/snapshot?symbols=*", f"If-None-Match: {known}")
            assert (got.status, got.body, got.headers["etag"]) == (304, b"", tag)
        watcher = await service.watcher("EURUSD")
        await service.publish(update("EURUSD", bid="1.08501"))
        await watcher.until(Delta)
        got = await ask(service, "/v1/snapshot?symbols=*", f"If-None-Match: {tag}")
        assert got.status == 200
        assert got.headers["etag"] != tag


async def test_what_is_long_comes_in_pages() -> None:
    async with serving(*[Instrument(f"S{number:04}") for number in range(1100)]) as service:
        for target, key in (("/v1/snapshot?symbols=S*&after=", "instruments"), ("/v1/instruments?after=", "")):
            seen: list[str] = []
            more, after = True, ""
            while more:
                content = (await ask(service, target + after)).json
                found = content["instruments"]
                seen += found if key else [entry["symbol"] for entry in found]
                more, after = content["more"], seen[-1]
            assert seen == [f"S{number:04}" for number in range(1100)]


async def test_instruments_are_found_by_pattern() -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, "/v1/instruments?match=EUR*")
        description = {"symbol": "EURUSD", "price_scale": 5, "size_scale": 0, "metadata": {"name": "Euro"}}
        assert got.json == {"instruments": [description], "more": False}
        assert len((await ask(service, "/v1/instruments")).json["instruments"]) == 3


async def test_names_may_be_percent_encoded() -> None:
    async with serving(Instrument("BTC/USD"), Instrument("ÄÖ")) as service:
        got = await ask(service, "/v1/snapshot?symbols=BTC%2FUSD,%C3%84%2A")
        assert set(got.json["instruments"]) == {"BTC/USD", "ÄÖ"}


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


# Bad requests


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/nowhere", 404, "the dashboard is at /"),
        ("/v1/", 404, "the stream at /v1/stream"),
        ("/../ticker/config.py", 404, "nothing here"),
        ("/%2e%2e/config.py", 404, "nothing here"),
        ("/package.json", 404, "nothing here"),
        ("/v1/snapshot", 400, "give symbols="),
        ("/v1/snapshot?symbols=", 400, "give symbols="),
        ("/v1/snapshot?symbols=a%20b", 400, "there is no such table as 'a b'; this service offers book:"),
        ("/v1/snapshot?symbols=" + "x" * 129, 400, "neither a symbol nor a pattern"),
        ("/v1/snapshot?symbols=%FF", 400, "UTF-8"),
        ("/v1/snapshot?symbols=A&symbols=B", 400, "twice"),
        (
            "/v1/snapshot?symbols=A&colour=red",
            400,
            "unknown key 'colour' in the query; there are after, fields, symbols",
        ),
        ("/v1/snapshot?symbols", 400, "key=value"),
        ("/v1/snapshot?" + "&".join(f"a{number}=1" for number in range(30)), 400, "key=value"),
        ("/v1/instruments?match=", 400, "neither a symbol nor a pattern"),
        (f"/v1/instruments?text={'x' * 129}", 400, "text: give at most 128 characters"),
        ("/healthz?a=b", 400, "there are none"),
        ("/v1/events?symbols=A&interval_ms=-1", 400, "interval_ms"),
        ("/v1/events", 400, "give symbols="),
    ],
)
async def test_a_request_that_cannot_be_is_answered_with_what_is_wrong(target: str, status: int, text: str) -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, target)
        assert (got.status, got.json["code"]) == (status, status)
        assert text in got.json["message"]
        assert got.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("target", ["/v1/snapshot?symbols=*", "/v1/instruments", "/metrics", "/healthz", "/v1/events"])
async def test_only_reading_is_possible(target: str) -> None:
    async with serving(*MARKET) as service:
        for method in ("POST", "PUT", "DELETE", "PATCH", "NONSENSE"):
            got = await ask(service, target, method=method)
            assert (got.status, got.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "target", ["/v1/snapshot?symbols=*", "/v1/instruments", "/metrics", "/healthz", "/v1/events?symbols=*", "/nowhere"]
)
async def test_a_head_has_no_body(target: str) -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, target, method="HEAD")
        assert got.status == (404 if target == "/nowhere" else 200)
        assert got.body == b""


@given(st.binary(max_size=60))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    import h11  # noqa: PLC0415

    from ticker.net.http1 import Refusal  # noqa: PLC0415
    from ticker.server.query import parse_names, parse_query  # noqa: PLC0415

    request = h11.Request(method="GET", target=b"/v1/snapshot?symbols=A", headers=[("Host", "a")])
    object.__setattr__(request, "target", b"/v1/snapshot?" + query)
    try:
        names = parse_names(parse_query(request))
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017  # or nothing is raised
    else:
        assert all(0 < len(name) <= 64 for name in names)


async def test_a_query_cannot_name_more_than_a_connection_may_have() -> None:
    async with serving(*MARKET, limits=Limits(max_symbols=4, max_patterns=2)) as service:
        assert (await ask(service, "/v1/snapshot?symbols=A,B,C*,D*")).status == 200
        for names in ("A,B,C,D,E", "A*,B*,C*"):
            for path in ("/v1/snapshot", "/v1/events"):
                got = await ask(service, f"{path}?symbols={names}")
                assert got.status == 400
                assert "at most 4 symbols and patterns, and 2 patterns among them" in got.json["message"]


async def test_a_token_that_grants_fewer_names_lowers_the_limit_of_every_query(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens, limits=Limits(max_symbols=4, max_patterns=2)) as service:
        narrow, nothing = (bearer(token(max_symbols=number)).strip() for number in (2, 0))
        wide = bearer(token(max_symbols=100)).strip()
        for path in ("/v1/snapshot", "/v1/events"):
            assert (await ask(service, f"{path}?symbols=A,B*", narrow, method="HEAD")).status == 200
            for names, grant, most in (("A,B,C*", narrow, 2), ("A", nothing, 0), ("A,B,C,D,E", wide, 4)):
                got = await ask(service, f"{path}?symbols={names}", grant)
                assert got.status == 400
                assert f"at most {most} symbols and patterns, and 2 patterns among them" in got.json["message"]
        assert (await ask(service, "/v1/instruments?match=E*", narrow)).status == 200
        assert (await ask(service, "/v1/instruments", nothing)).status == 200


async def test_a_query_without_a_token_is_refused_before_its_names_are_counted(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens, limits=Limits(max_symbols=1)) as service:
        for path in ("/v1/snapshot", "/v1/events"):
            assert (await ask(service, f"{path}?symbols=A,B")).status == 401


async def test_a_client_that_asks_for_too_much_is_told_when_to_try_again(fast_clock: MockClock) -> None:
    limits = Limits(requests_per_second=1, request_burst=6)
    async with serving(*MARKET, limits=limits) as service:
        fast_clock.rate = 0  # time passes by the jump alone, however slow the machine is
        for _ in range(5):  # each costs a little more than one, for comparing and writing
            assert (await ask(service, "/v1/instruments")).status == 200
        for target in ("/v1/instruments", "/v1/snapshot?symbols=A", "/v1/events?symbols=A"):
            got = await ask(service, target)
            assert (got.status, got.json["message"]) == (429, "too many requests; try again later")
            assert int(got.headers["retry-after"]) >= 1
        await service.proves_alive()
        fast_clock.jump(10)
        assert (await ask(service, "/v1/instruments")).status == 200


# Authorization


async def test_prices_and_metrics_need_the_token_that_the_stream_needs(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        for target in ("/v1/snapshot?symbols=*", "/v1/instruments", "/metrics", "/v1/events?symbols=*"):
            assert (await ask(service, target)).status == 401
        with_token = bearer(token(symbols=["EUR*"])).strip()
        got = await ask(service, "/v1/snapshot?symbols=*,XAUUSD", with_token)
        assert (list(got.json["instruments"]), got.json["unknown"]) == (["EURUSD"], ["XAUUSD"])
        got = await ask(service, "/v1/instruments", with_token)
        assert [entry["symbol"] for entry in got.json["instruments"]] == ["EURUSD"]
        for target in ("/healthz", "/readyz", "/"):
            assert (await ask(service, target)).status in {200, 404}


async def test_a_page_of_the_service_itself_may_use_the_cookie_without_an_origin(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        cookie = f"Cookie: ticker_token={token()}"
        assert (await ask(service, "/v1/instruments", cookie)).status == 403
        assert (await ask(service, "/v1/instruments", cookie, "Sec-Fetch-Site: cross-site")).status == 403
        assert (await ask(service, "/v1/instruments", cookie, "Sec-Fetch-Site: same-origin")).status == 200


async def test_pages_of_allowed_origins_may_read_and_others_may_not() -> None:
    async with serving(*MARKET, origins=["https://dash.example.com"]) as service:
        origin = "Origin: https://dash.example.com"
        got = await ask(service, "/v1/instruments", origin)
        assert got.headers["access-control-allow-origin"] == "https://dash.example.com"
        assert got.headers["vary"] == "Accept-Encoding, Origin"
        refused = await ask(service, "/v1/snapshot", origin)
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (400, "https://dash.example.com")
        before = await ask(service, "/v1/instruments", origin, method="OPTIONS")
        assert (before.status, before.body) == (204, b"")
        assert "Authorization" in before.headers["access-control-allow-headers"]
        for method in ("GET", "OPTIONS"):
            got = await ask(service, "/v1/instruments", "Origin: https://evil.example", method=method)
            assert got.status == 403
            assert "access-control-allow-origin" not in got.headers
        own = await ask(service, "/v1/instruments", f"Origin: https://localhost:{service.port}")
        assert own.status == 200


# Files


def test_files_are_served_plain_and_compressed(tmp_path: Path) -> None:
    text = b"<p>hello</p>" * 100
    (tmp_path / "index.html").write_bytes(text)
    (tmp_path / "secret.pem").write_bytes(b"secret")
    files = Files(tmp_path)
    plain, packed = files.find("/", {}), files.find("/index.html", {b"accept-encoding": b"br, gzip;q=0.8"})
    assert plain is not None
    assert packed is not None
    assert (plain.body, gzip.decompress(packed.body)) == (text, text)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert len(packed.body) < 200
    assert "default-src 'none'" in plain.headers["Content-Security-Policy"]
    assert "unsafe" not in plain.headers["Content-Security-Policy"]
    assert files.find("/secret.pem", {}) is None


def test_without_files_nothing_is_there(tmp_path: Path) -> None:
    assert Files(tmp_path / "nowhere").find("/", {}) is None


async def test_many_requests_at_once_are_answered() -> None:
    async with serving(*MARKET) as service, trio.open_nursery() as nursery:

        async def one() -> None:
            assert (await ask(service, "/v1/snapshot?symbols=*")).status == 200

        for _ in range(50):
            nursery.start_soon(one)


async def test_the_head_of_an_event_stream_that_may_not_be_is_refused_likewise() -> None:
    async with serving(*MARKET, limits=Limits(max_symbols=1)) as service:
        for method in ("HEAD", "GET"):
            assert (await ask(service, "/v1/events?symbols=EURUSD,XAUUSD", method=method)).status == 400
        assert (await ask(service, "/v1/events?symbols=EURUSD", method="HEAD")).status == 200
