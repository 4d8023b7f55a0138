"""A path before every path of the service, targets in the absolute form, and origins."""

from __future__ import annotations

import json

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Running, alarms, serving, upgrade
from tests.server.test_service import DECLARED
from ticker.client.client import connect
from ticker.config import Config
from ticker.errors import ConfigError

PREFIX = "/prices/eu"


async def got(service: Running, target: str, *more: str, host: str = "localhost") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a page."""
    lines = "".join(f"{line}\r\n" for line in more)
    head, _, body = (await service.refusal(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode())).partition(
        b"\r\n\r\n"
    )
    first, *headers = head.decode().split("\r\n")
    return int(first.split()[1]), {name.lower(): value for name, _, value in (h.partition(": ") for h in headers)}, body


async def test_everything_is_below_the_prefix() -> None:
    async with serving(*DECLARED, path_prefix=PREFIX) as service:
        assert service.url.endswith(f"{PREFIX}/v1/stream")
        for path in (
            "/",
            "/ticker.js",
            "/dashboard/dashboard.css",
            "/v1/instruments",
            "/v1/snapshot?symbols=A",
            "/healthz",
        ):
            assert (await got(service, PREFIX + path))[0] == 200, path
        for path in ("/", "/v1/instruments", "/healthz", "/prices", "/prices/eux/healthz", "/prices/eu2"):
            status, _, body = await got(service, path)
            assert (status, json.loads(body)["message"]) == (
                404,
                f"there is nothing here; everything is below {PREFIX}/",
            )
        status, _, body = await got(service, f"{PREFIX}/nowhere")
        assert status == 404
        assert f"the dashboard is at {PREFIX}/, the stream at {PREFIX}/v1/stream" in json.loads(body)["message"]
        await service.proves_alive()


@pytest.mark.parametrize("target", [PREFIX, f"{PREFIX}?a=b"])
async def test_the_prefix_without_its_slash_leads_to_the_dashboard(target: str) -> None:
    async with serving(path_prefix=PREFIX) as service:
        status, headers, _ = await got(service, target)
        assert (status, headers["location"]) == (308, f"{PREFIX}/")


async def test_the_event_stream_and_the_python_client_are_below_the_prefix() -> None:
    async with serving(*DECLARED, path_prefix=PREFIX) as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(f"GET {PREFIX}/v1/events?symbols=A HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert b"text/event-stream" in await peer.head()
            base = service.url.removesuffix("/v1/stream")
            for url in (base, base + "/", service.url):
                async with connect(url) as client, client.subscribe("A") as subscription:
                    async for _ in subscription:
                        break
                    assert str(client.values("A")["bid"]) == "1.00"


@pytest.mark.parametrize("prefix", ["/", "a", "/a/", "//a", "/a b", "/a?b", "/a/../b", "/.", "/é"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="give a path without a slash at its end: /ticker"):
        Config(path_prefix=prefix)
    assert Config(path_prefix="/a/.b/c.d").path_prefix


# Targets in the absolute form (RFC 9112, section 3.2.2)


@pytest.mark.parametrize("scheme", ["https", "HTTP", "wss"])
async def test_a_target_in_the_absolute_form_is_its_path(scheme: str) -> None:
    async with serving(*DECLARED) as service:
        for target, status in (
            ("/healthz", 200),
            ("/v1/instruments?match=A", 200),
            ("", 200),
            ("?a", 200),
            ("/no", 404),
        ):
            assert (await got(service, f"{scheme}://localhost{target}"))[0] == status, target
        peer = await service.dial()
        await peer.send(upgrade(path=f"{scheme}://localhost:8443/v1/stream"))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")


async def test_the_host_of_an_absolute_target_counts_and_not_that_of_the_header() -> None:
    async with serving(*DECLARED) as service:
        target, origin = "https://ticker.example.com/v1/instruments", "Origin: https://ticker.example.com"
        assert (await got(service, target, origin, host="elsewhere.example.com"))[0] == 200
        assert (await got(service, target, "Origin: https://elsewhere.example.com", host="elsewhere.example.com"))[
            0
        ] == 403


@pytest.mark.parametrize("target", ["https:///healthz", "https://", "https://me@localhost/healthz", "https://?a"])
async def test_an_absolute_target_without_a_host_of_its_own_is_a_bad_request(target: str) -> None:
    async with serving() as service:
        assert (await got(service, target))[0] == 400


# Origins


SHELLS = ["capacitor://localhost", "tauri://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "null"]


@pytest.mark.parametrize("origin", SHELLS)
async def test_an_application_comes_in_by_the_name_of_its_origin(origin: str, logs: Logs) -> None:
    page = "/v1/instruments"
    async with serving(*DECLARED, origins=[origin]) as service:
        status, headers, _ = await got(service, page, f"Origin: {origin}")
        assert (status, headers["access-control-allow-origin"]) == (200, origin)
        assert ("access-control-allow-credentials" in headers) is (origin != "null")
        await service.proves_alive(more=f"Origin: {origin}\r\n")
    assert alarms(logs) == []
    async with serving(*DECLARED) as service:
        assert (await got(service, page, f"Origin: {origin}"))[0] == 403
    (line,) = alarms(logs)
    assert (line["event"], line["origin"], line["peer"]) == ("a page was refused", origin, "127.0.0.1")
    assert line["remedy"].startswith(f'--origin {origin}, or origins = ["{origin}"]')


async def test_refused_origins_are_logged_once_and_not_without_end(logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        for number in range(3):
            await got(service, "/v1/instruments", "Origin: https://evil.example.com")
            await got(service, "/v1/instruments", f"Origin: not {number} an origin\x1b[2J".replace("\x1b", "\x80"))
        for number in range(20):
            await got(service, "/v1/instruments", f"Origin: https://evil{number}.example.com")
    lines = [entry for entry in alarms(logs) if entry["event"] == "a page was refused"]
    assert len(lines) == 10
    assert lines[0]["origin"] == "https://evil.example.com"
    assert "\x80" not in lines[1]["origin"]
    assert lines[1]["remedy"] == "none: that is no origin of a page"
