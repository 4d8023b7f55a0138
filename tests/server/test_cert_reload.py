"""ticker/server/cert_reload.py: certificates that are replaced while clients are connected."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import trio
import trustme
from trio.testing import MockClock

from tests.conftest import Logs, Running, serving
from tests.support import hangups, update
from ticker import connect
from ticker.client.events import Connected, Event
from ticker.config import TlsFiles
from ticker.market import Instrument, Publication
from ticker.server.cert_reload import reload_on_change
from ticker.server.service_manager import ServiceManager

MARKET: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


class Pair:
    """A certificate in files that can be replaced, from an authority that clients know."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.issue()

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(str(self.cert), str(self.key))

    def issue(self, *, with_key: bool = True) -> None:
        leaf = self.authority.issue_cert("127.0.0.1")
        self.cert.write_bytes(leaf.cert_chain_pems[0].bytes())
        if with_key:
            self.key.write_bytes(leaf.private_key_pem.bytes())

    async def seen_by(self, service: Running) -> bytes:
        """The certificate that a new client gets."""
        context = ssl.create_default_context(cafile=self.ca)
        async with await trio.open_ssl_over_tcp_stream(service.host, service.port, ssl_context=context) as stream:
            await stream.do_handshake()
            certificate: bytes = stream.getpeercert(binary_form=True)
            return certificate

    def own(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())


async def test_a_renewed_certificate_is_served_without_a_dropped_connection(
    tmp_path: Path, fast_clock: MockClock
) -> None:
    pair = Pair(tmp_path)
    events: list[Event] = []
    async with serving(*MARKET, tls=pair.files) as service:
        async with connect(service.url, ca=pair.ca, on_event=events.append) as client:
            subscription = client.subscribe("A")
            await anext(subscription)
            before = await pair.seen_by(service)
            pair.issue()
            assert await pair.seen_by(service) == before != pair.own()
            with trio.fail_after(1000):
                while await pair.seen_by(service) != pair.own():
                    fast_clock.jump(5)
                    await trio.sleep(0.01)
            await service.publish(update("A", bid="2.00"))
            assert str((await anext(subscription)).changes["A"]["bid"]) == "2.00"
        assert [type(event) for event in events] == [Connected]


async def test_a_hangup_renews_at_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    async with hangups() as (send, receive), serving(*MARKET, tls=pair.files, hangups=receive) as service:
        pair.issue()
        await send.send(None)
        await send.send(None)  # it is taken only when the first one was done
        assert await pair.seen_by(service) == pair.own()


async def test_a_pair_that_does_not_match_is_refused_and_the_old_one_stays(tmp_path: Path, logs: Logs) -> None:
    pair = Pair(tmp_path)
    async with hangups() as (send, receive), serving(*MARKET, tls=pair.files, hangups=receive) as service:
        before = pair.own()
        pair.issue(with_key=False)
        await send.send(None)
        await send.send(None)
        assert await pair.seen_by(service) == before
        pair.key.unlink()
        await send.send(None)
        await send.send(None)
        assert await pair.seen_by(service) == before
        pair.issue()
        await send.send(None)
        await send.send(None)
        assert await pair.seen_by(service) == pair.own()
    refused = [entry["cause"] for entry in logs if entry["event"] == "not reloaded; what was in use stays"]
    assert "is not the private key of" in refused[0]
    assert "cannot read" in refused[2]


async def test_files_on_a_drive_that_does_not_answer_hold_up_no_price_and_no_stop(tmp_path: Path, logs: Logs) -> None:
    """A FIFO without a writer hangs as such a drive does."""
    pair = Pair(tmp_path)
    async with hangups() as (hang_up, received):
        async with (
            serving(*MARKET, tls=pair.files, hangups=received) as service,
            connect(service.url, ca=pair.ca) as client,
        ):
            subscription = client.subscribe("A")
            await anext(subscription)
            pair.cert.unlink()
            os.mkfifo(pair.cert)
            await hang_up.send(None)
            for price in range(2, 5):
                await service.publish(update("A", bid=price))
                while (await anext(subscription)).changes["A"]["bid"] != price:
                    pass
                await trio.sleep(0.05)
        os.close(os.open(pair.cert, os.O_RDWR))  # lets the thread go on
    assert not [entry for entry in logs if entry["event"] == "reloaded" and "cert.pem" in entry["source"]]


class Broken:
    """A source whose renewal raises an error that nobody expects."""

    source = "broken"
    files: tuple[Path, ...] = ()

    async def reload(self) -> None:
        raise LookupError("a fault of code")


async def test_a_renewal_that_fails_in_any_way_ends_nothing_and_has_one_traceback(logs: Logs) -> None:
    async with hangups() as (send, receive), trio.open_nursery() as nursery:
        nursery.start_soon(reload_on_change, [Broken()], receive, ServiceManager())
        for _ in range(4):
            await send.send(None)
        nursery.cancel_scope.cancel()
    failures = [entry for entry in logs if entry["event"] == "not reloaded; what was in use stays"]
    assert ["exc_info" in entry for entry in failures[:3]] == [True, False, False]
    assert all(entry["next_try"] for entry in failures)
