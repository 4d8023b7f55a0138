"""The configurations of ticker/door/README.md, run by nginx and HAProxy in front of one process, and of two workers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Peer, Running, alarms, serving, upgrade
from tests.programs import HAPROXY, NGINX, require
from tests.server.test_listeners import free_port
from tests.server.test_service import DECLARED
from tests.supervisor.running import supervised
from tests.support import update
from ticker.client.client import connect
from ticker.commands.settings import load_config
from ticker.config import Limits, Proxies
from ticker.net.devcert import AUTHORITY_FILE, data_folder, development_certificate
from ticker.net.tls import client_context
from ticker.protocol.messages import Welcome
from ticker.protocol.wire import ENCODINGS

PAGE = (Path(__file__).parents[2] / "ticker" / "door" / "README.md").read_text()
SOCKET = "/run/ticker/ticker.sock"

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of this machine on Linux only"),
]


class Behind(NamedTuple):
    """The service behind a proxy."""

    service: Running
    change: Callable[[], Awaitable[None]]
    """Has the bid of A become 777."""
    alarms: Callable[[], Awaitable[Logs]]
    """What it has warned of, once there is anything."""


Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Behind]]
"""Opens one: with a folder for its files, where it listens, the proxies that it believes, and its path prefix."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def adapted(text: str, *changes: tuple[str, str]) -> str:
    """A configuration of the page with other paths and ports, each of which has to be in it."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def running(*command: str) -> Iterator[None]:
    """A program in the foreground, until the block is left."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


@contextmanager
def nginx(folder: Path, port: int, location: str = "/") -> Iterator[None]:
    """The page's nginx, at a port of 127.0.0.1, in front of the Unix socket in a folder."""
    made = development_certificate(data_folder())
    site = adapted(
        blocks("nginx")[0],
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/dash.pem", str(made.cert)),
        ("/etc/ssl/dash.key", str(made.key)),
        (SOCKET, f"{folder}/ticker.sock"),
        ("location / {", f"location {location} {{"),
    )
    temporary = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{site}\n}}\n"
    )
    with running(require(NGINX), "-p", str(folder), "-c", str(config)):
        yield


@contextmanager
def haproxy(folder: Path, port: int, server: int) -> Iterator[None]:
    """The page's HAProxy, at a port of 127.0.0.1, in front of a port of the service."""
    config = folder / "haproxy.cfg"
    config.write_text(
        adapted(blocks("haproxy")[0], ("bind :443", f"bind 127.0.0.1:{port}"), ("10.0.0.7:8443", f"127.0.0.1:{server}"))
    )
    with running(require(HAPROXY), "-db", "-f", str(config)):
        yield


async def dialled(service: Running, port: int, source: str = "127.0.0.1") -> Peer:
    """A TLS connection to the proxy from an address of this machine, as soon as the proxy serves."""
    context = client_context("127.0.0.1", data_folder() / AUTHORITY_FILE)
    with trio.fail_after(HANG_SECONDS):
        while True:
            sock = trio.socket.socket()
            await sock.bind((source, 0))
            try:
                await sock.connect(("127.0.0.1", port))
                stream = trio.SSLStream(
                    trio.SocketStream(sock), context, server_hostname="127.0.0.1", https_compatible=True
                )
                await stream.do_handshake()
            except (OSError, trio.BrokenResourceError):  # HAProxy has not found the service ready yet
                sock.close()
                await trio.sleep(0.1)
                continue
            peer = Peer(stream, ENCODINGS["ticker.v1.msgpack"])
            service.peers.append(peer)
            return peer


async def status(service: Running, port: int, path: str, source: str, more: str = "") -> tuple[int, Peer]:
    """The status of an upgrade through the proxy."""
    peer = await dialled(service, port, source)
    with trio.fail_after(HANG_SECONDS):
        await peer.send(upgrade(path=path, more=more).replace(b"Host: localhost", b"Host: 127.0.0.1:%d" % port))
        return int((await peer.head()).split()[1]), peer


async def page(service: Running, port: int, path: str) -> tuple[int, bytes]:
    peer = await dialled(service, port)
    with trio.fail_after(HANG_SECONDS):
        await peer.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await peer.rest()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def check(behind: Behind, port: int, prefix: str = "") -> None:
    """The stream, the event stream, the dashboard, the limits of each client and its address in the log."""
    service = behind.service
    await check_streams(behind, port, prefix)
    await check_dashboard(service, port, prefix)
    stream = f"{prefix}/v1/stream"
    places = [await status(service, port, stream, source) for source in ("127.0.0.2",) * 3 + ("127.0.0.3",)]
    assert [code for code, _ in places] == [101, 101, 429, 101]
    assert isinstance(await places[0][1].message(), Welcome)
    # What a client says about itself changes nothing.
    forged = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
    assert (await status(service, port, stream, "127.0.0.2", forged))[0] == 429
    assert (await status(service, port, stream, "127.0.0.4", f"Origin: https://evil.example\r\n{forged}"))[0] == 403
    (line,) = await behind.alarms()
    assert (line["event"], line["origin"], line["peer"]) == ("a page was refused", "https://evil.example", "127.0.0.4")
    own = f"Origin: https://127.0.0.1:{port}\r\n"
    assert (await status(service, port, stream, "127.0.0.4", own))[0] == 101


async def check_streams(behind: Behind, port: int, prefix: str) -> None:
    service = behind.service
    await dialled(service, port)  # the proxy serves
    ca = data_folder() / AUTHORITY_FILE
    with trio.fail_after(HANG_SECONDS):
        async with connect(f"wss://127.0.0.1:{port}{prefix}", ca=ca) as client, client.subscribe("A") as subscription:
            async for change in subscription:
                if change.changes["A"]["bid"] == client.values("A")["bid"]:
                    break
        events = await dialled(service, port)
        await events.send(f"GET {prefix}/v1/events?symbols=A HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert b"text/event-stream" in await events.head()
        await behind.change()
        received = b""
        while b"77700" not in received:
            received += await events.take(1)
        await events.close()


async def check_dashboard(service: Running, port: int, prefix: str) -> None:
    assert b"globalThis.tickerStream" in (await page(service, port, f"{prefix}/"))[1]
    code, body = await page(service, port, f"{prefix}/index.html")
    assert code == 200
    files = re.findall(r'(?:src|href)="([^"#]+)"', body.decode())
    assert "dashboard/dashboard.js" in files
    for file in {*files, "ticker.js"}:
        assert (await page(service, port, f"{prefix}/{file}"))[0] == 200, file


@asynccontextmanager
async def one_process(
    folder: Path,  # noqa: ARG001  # for the others' sake
    logs: Logs,
    listen: str,
    proxies: Proxies,
    path_prefix: str = "",
) -> AsyncIterator[Behind]:
    limits = Limits(max_per_address=2)
    async with serving(
        *DECLARED, listen=listen, limits=limits, proxies=proxies, allow_anyone=True, path_prefix=path_prefix
    ) as service:

        async def change() -> None:
            await service.publish(update("A", bid="777.00"))

        async def warned() -> Logs:
            return alarms(logs)

        yield Behind(service, change, warned)


@asynccontextmanager
async def two_workers(
    folder: Path,
    logs: Logs,  # noqa: ARG001  # its processes have their own
    listen: str,
    proxies: Proxies,
    path_prefix: str = "",
) -> AsyncIterator[Behind]:
    prices = trio.Path(folder / "prices.json")
    await prices.write_text('{"A": {"bid": "1.00"}}')
    believed = {key: getattr(proxies, key) for key in ("x_forwarded_for", "proxy_protocol") if getattr(proxies, key)}
    ((key, networks),) = believed.items()
    async with supervised(
        folder,
        "--insecure-allow-anyone",
        "--log-format=json",
        *(["--path-prefix", path_prefix] if path_prefix else []),
        feed=f"tests.feeds_for_tests:FromFile?path={prices}",
        listen=listen,
        toml=f"[proxies]\n{key} = {json.dumps(networks)}\n[limits]\nmax_per_address = 2\n",
    ) as service:

        async def change() -> None:
            await prices.write_text('{"A": {"bid": "777.00"}}')

        async def warned() -> Logs:
            await service.until_logged("a page was refused")
            lines = [json.loads(line) for line in service.log.read_text().splitlines()]
            return alarms([{**line, "log_level": line["level"]} for line in lines if "peer" in line])

        yield Behind(service, change, warned)


both = pytest.mark.parametrize("opening", [one_process, two_workers])


async def check_nginx(folder: Path, logs: Logs, opening: Opening, prefix: str = "") -> None:
    settings = load_config(toml(folder, 0))
    assert settings.proxies == Proxies(x_forwarded_for=["unix"])
    assert settings.listen == f"http://unix:{SOCKET}"
    port = free_port()
    with nginx(folder, port, f"{prefix}/"):
        async with opening(folder, logs, f"http://unix:{folder}/ticker.sock", settings.proxies, prefix) as behind:
            await check(behind, port, prefix)


def toml(folder: Path, number: int) -> Path:
    """A config file of the page."""
    path = folder / f"page{number}.toml"
    path.write_text(blocks("toml")[number])
    return path


@both
async def test_nginx_that_ends_tls(opening: Opening, tmp_path: Path, logs: Logs) -> None:
    await check_nginx(tmp_path, logs, opening)


@both
async def test_nginx_below_a_path(opening: Opening, tmp_path: Path, logs: Logs) -> None:
    await check_nginx(tmp_path, logs, opening, "/prices")


@both
async def test_haproxy_with_the_proxy_protocol_in_front_of_tls(opening: Opening, tmp_path: Path, logs: Logs) -> None:
    settings = load_config(toml(tmp_path, 1))
    assert settings.proxies == Proxies(proxy_protocol=["10.0.0.2"])
    port = free_port()
    async with opening(tmp_path, logs, "127.0.0.1:0", Proxies(proxy_protocol=["127.0.0.1"])) as behind:
        with haproxy(tmp_path, port, behind.service.port):
            await check(behind, port)


@pytest.mark.parametrize("number", range(len(blocks("toml"))))
def test_every_config_of_the_page_is_accepted(number: int, tmp_path: Path) -> None:
    assert load_config(toml(tmp_path, number)).proxies.wanted
