"""Tokens and what they open, through an independent client (tests/stranger/client.py): PROTOCOL.md, section 2.1."""

import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.stranger.client import Client, RequestFailed, Service, meet, running

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    public = home / "public.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with running(home, "simulated?symbols=8&rate=400", "--token-key", str(public)) as started:
        yield started


def token(*symbols: str, seconds: int = 3600, subject: str = "alice", **more: object) -> str:
    claims = {"sub": subject, "aud": "ticker", "exp": int(time.time()) + seconds, "symbols": list(symbols), **more}
    return jwt.encode(claims, KEY, "ES256")


def test_a_token_opens_the_instruments_and_the_tables_that_it_names_and_nothing_else(service: Service) -> None:
    with Client(service, token=token("EUR*", "XAUUSD", "E* book:*", "GBPUSD trades:50")) as client:
        names = ["*", "* book:10", "EURUSD book:25", "XAUUSD book:10", "EURUSD trades:50", "GBPUSD trades:50", "MSFT"]
        result = client.request("subscribe", symbols=names)
        assert [code for _, code, *_ in result["outcomes"]] == [0, 0, 0, 6, 6, 0, 6]
        assert client.copy.view().keys() == {
            "EURUSD",
            "XAUUSD",
            "EURUSD book:10",
            "ETHUSD book:10",
            "EURUSD book:25",
            "GBPUSD trades:50",
        }
        client.read(5)
        client.verify()


def test_a_fresh_token_for_other_symbols_says_what_leaves_and_brings_what_is_new(service: Service) -> None:
    with Client(service, token=token("EURUSD", "GBPUSD", "* book:*")) as client:
        client.request("subscribe", symbols=["*", "* book:10"])
        assert len(client.copy.records) == 2 + 8
        before = client.copy.epoch
        fresh = token("EURUSD", "XAUUSD", "EUR* book:10", max_symbols=3)
        result = client.request("auth", token=fresh)
        assert client.copy.view().keys() == {"EURUSD", "XAUUSD", "EURUSD book:10"}
        assert client.copy.epoch == result["epoch"] != before
        assert result["limits"]["max_symbols"] == 3
        client.read(5)
        client.verify()
        with pytest.raises(RequestFailed) as failed:
            client.request("auth", token=token("EURUSD", subject="bob"))
        assert (failed.value.code, failed.value.fatal) == (11, False)
        client.lose_the_connection()
    with Client(service, copy=client.copy, token=fresh) as back, Client(service, token=fresh) as other:
        defined = [each[0] for kind, *rest in back.received if kind == 4 for each in rest[0]]
        assert all(number < 0 for number in defined), "the copy was resumed"
        other.request("subscribe", symbols=["*", "* book:10"])
        meet(back, other)
        assert back.copy.view() == other.copy.view()


def test_the_time_of_expiring_is_that_of_the_token(service: Service) -> None:
    ends = int(time.time()) + 30
    with Client(service, token=token("EURUSD", exp=ends)) as client:
        while (message := client.receive())[0] != 9:
            pass
        assert message[1] == ends * 1_000_000
        assert client.request("auth", token=token("EURUSD"))["expires"] > ends * 1_000_000
