"""ticker/bus/redis_link.py: over TLS the engine's certificate has to fit, and each mistake has its line."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
import trustme

from tests.bounds import HANG_SECONDS
from tests.bus.servers import Server, started
from tests.bus.test_redis_settings import accepted, refused
from tests.net.certificates import save
from ticker.bus.addresses import engine_for


class Secured(NamedTuple):
    """A Redis over TLS that wants certificates of its clients, as it does by default."""

    server: Server
    files: Path

    def options(self, ca: str = "ca.pem", client: str | None = "client") -> str:
        """What stands behind the port: the authority, and the client's certificate."""
        pair = f"&cert={self.files / client / 'cert.pem'}&key={self.files / client / 'key.pem'}" if client else ""
        return f"?ca={self.files / ca}{pair}"


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    cert, key = save(tmp_path / "server", authority.issue_cert("127.0.0.1"))
    save(tmp_path / "client", authority.issue_cert("edge"))
    save(tmp_path / "stranger", other.issue_cert("edge"))
    files = ["--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(tmp_path / "ca.pem")]
    server = Server(tmp_path, *files, tls=True)
    with started(server), trio.fail_after(HANG_SECONDS):
        await server.ready()
        yield Secured(server, tmp_path)


async def test_with_its_authority_and_a_certificate_of_the_client(secured: Secured) -> None:
    await accepted(secured.server.engine(options=secured.options()))


async def test_a_certificate_of_another_authority(secured: Secured) -> None:
    for options in (secured.options(ca="other.pem"), ""):
        text = await refused(secured.server.engine(options=options))
        assert "its certificate does not fit: " in text
        assert "name its authority (?ca=FILE) and its own host" in text


async def test_a_certificate_of_another_host(secured: Secured) -> None:
    engine = engine_for(f"rediss://localhost:{secured.server.port}{secured.options()}")
    text = await refused(engine)
    assert "its certificate does not fit: Hostname mismatch, certificate is not valid for 'localhost'" in text


async def test_no_certificate_of_the_client_or_one_of_a_stranger(secured: Secured) -> None:
    # Its alert may be lost where it closes the connection at once.
    text = await refused(secured.server.engine(options=secured.options(client=None)))
    assert re.search(r"it (wants|may want) a certificate of its clients: \?cert=FILE&key=FILE", text)
    text = await refused(secured.server.engine(options=secured.options(client="stranger")))
    assert re.search(r"it (does not know the authority|may not accept the certificate) of \?cert=FILE", text)


async def test_no_tls_where_it_is_wanted(secured: Secured) -> None:
    text = await refused(engine_for(f"redis://127.0.0.1:{secured.server.port}"))
    assert "it closed the connection; its log may say why (a tls-port closes what is no TLS: rediss://)" in text


async def test_tls_where_there_is_none(redis: Server) -> None:
    text = await refused(engine_for(f"rediss://{redis.address}"))
    assert "there is no TLS at that port" in text


async def test_files_that_are_renewed_are_read_for_the_next_connection(secured: Secured) -> None:
    ca = secured.files / "ca.pem"
    right, other = ca.read_bytes(), (secured.files / "other.pem").read_bytes()
    engine = secured.server.engine(options=secured.options())
    ca.write_bytes(other)
    assert "its certificate does not fit" in await refused(engine)
    ca.unlink()
    assert f"ca={ca}: No such file or directory; name a PEM file" in await refused(engine)
    ca.write_bytes(right)
    await accepted(engine)
