"""ticker/server/compression.py: responses over HTTP, compressed for those that accept it."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.conftest import serving
from tests.server.test_pages import MARKET, Got, ask
from tests.support import update
from ticker.bounds import COMPRESSED_PER_STEP
from ticker.market import Instrument
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import Response, accepts_gzip
from ticker.server.compression import compressed

MANY = [Instrument(f"S{number:03}", 2, 0, {"name": "An instrument with a name"}) for number in range(400)]
GZIP = "Accept-Encoding: gzip, deflate, br"


def unpacked(got: Got) -> bytes:
    assert got.headers["content-encoding"] == "gzip"
    return gzip.decompress(got.body)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"deflate,gzip ; q=1", True),
        (b"gzip;q=0", False),
        (b"gzip; Q=0.000", False),
        (b"gzip;q=0.001", True),
        (b"gzipped", False),
        (b"*", False),
        (b"identity", False),
        (b"", False),
        (b";,;q=0,gzip;;", True),
    ],
)
def test_a_client_says_whether_it_accepts_gzip(value: bytes, *, accepted: bool) -> None:
    assert accepts_gzip({b"accept-encoding": value}) == accepted


@pytest.mark.parametrize("target", ["/v1/instruments", "/v1/snapshot?symbols=*", "/metrics", "/", "/ticker.js"])
async def test_what_is_long_is_compressed_and_the_same(target: str) -> None:
    async with serving(*MANY, update("S001", bid="1.00")) as service:
        plain, packed = await ask(service, target), await ask(service, target, GZIP)
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert len(packed.body) < len(plain.body) / 2
        if target != "/metrics":  # which change
            assert unpacked(packed) == plain.body
        head = await ask(service, target, GZIP, method="HEAD")
        assert (head.body, head.headers["content-encoding"]) == (b"", "gzip")


async def test_what_is_short_or_not_to_be_compressed_goes_out_as_it_is() -> None:
    async with serving(*MARKET) as service:
        for target, lines in (("/v1/snapshot?symbols=*", (GZIP,)), ("/metrics", ("Accept-Encoding: gzip;q=0",))):
            got = await ask(service, target, *lines)
            assert "content-encoding" not in got.headers
            assert got.headers["vary"] == "Accept-Encoding"


async def test_a_compressed_page_is_known_again_in_either_form() -> None:
    async with serving(*MANY) as service:
        for first, again in (((GZIP,), ()), ((), (GZIP,)), ((GZIP,), (GZIP,))):
            tag = (await ask(service, "/v1/snapshot?symbols=*", *first)).headers["etag"]
            got = await ask(service, "/v1/snapshot?symbols=*", f"If-None-Match: {tag}", *again)
            assert (got.status, got.body, got.headers["etag"]) == (304, b"", tag)
            assert "content-encoding" not in got.headers


async def test_a_page_of_another_origin_varies_by_that_too() -> None:
    async with serving(*MANY, origins=["https://dash.example.com"]) as service:
        got = await ask(service, "/v1/instruments", GZIP, "Origin: https://dash.example.com")
        assert got.headers["vary"] == "Accept-Encoding, Origin"
        assert len(json.loads(unpacked(got))["instruments"]) == 400
        file = await ask(service, "/ticker.js", GZIP, "Origin: https://dash.example.com")
        assert file.headers["vary"] == "Accept-Encoding, Origin"


@pytest.mark.parametrize("size", [COMPRESSED_PER_STEP - 1, COMPRESSED_PER_STEP, COMPRESSED_PER_STEP + 1, 200_000])
async def test_pieces_make_one_whole_with_turns_between_them(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    async def take_another(_: FairQueue) -> None:
        nonlocal taken
        taken += 1

    monkeypatch.setattr(FairQueue, "take_another", take_another)
    body = bytes(number * number % 251 for number in range(size))
    response = await compressed(Response(body), {b"accept-encoding": b"gzip"}, FairQueue())
    assert gzip.decompress(response.body) == body
    assert taken == (size - 1) // COMPRESSED_PER_STEP
