"""ticker/commands/tokens.py: keys and tokens from the command line."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from ticker.door.grants import Grant
from ticker.door.key_ring import public_key, shared_secret
from ticker.door.tokens import Verifier


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "HS256"])
def test_a_made_key_issues_tokens_that_are_accepted(algorithm: str, run_ticker: RunTicker, tmp_path: Path) -> None:
    made = run_ticker("token", "keys", tmp_path, "--algorithm", algorithm)
    assert made.code == 0, made.stderr
    secret = algorithm == "HS256"
    private = tmp_path / ("token-secret" if secret else "token-private.pem")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    claims = ["--symbols", "EUR*", "--symbols", "XAUUSD", "--max-symbols", "5", "--min-interval", "100"]
    issued = run_ticker("token", "issue", "--key", private, "--subject", "alice", *claims, "--minutes", "5")
    assert issued.code == 0, issued.stderr
    ring = shared_secret(private.read_bytes()) if secret else public_key((tmp_path / "token-public.pem").read_bytes())
    assert ring.algorithm == algorithm
    now = int(time.time() * 1e6)
    grant = Verifier(ring, "ticker").check(issued.stdout.strip(), now)
    assert grant == Grant("alice", grant.expires, frozenset({"EUR*", "XAUUSD"}), 5, 100)
    assert grant.expires is not None
    assert 300_000_000 <= grant.expires - now + 5_000_000 <= 320_000_000


@pytest.mark.parametrize("flags", [[], ["--metrics"]])
def test_a_token_may_read_metrics_only_if_that_was_asked_for(
    flags: list[str], run_ticker: RunTicker, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("0" * 64)
    issued = run_ticker("token", "issue", "--key", tmp_path / "secret", "--subject", "prometheus", *flags)
    grant = Verifier(shared_secret(b"0" * 64), "ticker").check(issued.stdout.strip(), int(time.time() * 1e6))
    assert grant.metrics == bool(flags)


def test_an_existing_key_is_not_overwritten(run_ticker: RunTicker, tmp_path: Path) -> None:
    (tmp_path / "token-private.pem").write_text("precious")
    refused = run_ticker("token", "keys", tmp_path)
    assert refused.code == 2
    assert refused.stderr == (
        f"ticker: {tmp_path}/token-private.pem: File exists; give a writable folder without this file\n"
    )
    assert (tmp_path / "token-private.pem").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "No such file"), ("nonsense", "32 bytes"), ("-----BEGIN PUBLIC KEY-----\nA\n", "no private key")],
    ids=["missing", "too short", "no key"],
)
def test_an_unusable_key_is_refused_by_name(
    content: str | None, cause: str, run_ticker: RunTicker, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    refused = run_ticker("token", "issue", "--key", path, "--subject", "alice")
    assert refused.code == 2
    assert refused.stderr.startswith(f"ticker: --key {path}: ")
    assert cause in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("minutes", ["0.0", "-1.0", "525600.1", "nan", "inf"])
def test_a_token_of_no_validity_or_of_more_than_a_year_is_refused(
    minutes: str, run_ticker: RunTicker, tmp_path: Path
) -> None:
    refused = run_ticker("token", "issue", "--key", tmp_path, "--subject", "alice", "--minutes", minutes)
    expected = f"ticker: --minutes {minutes}: give a number above 0, at most 525600, a year\n"
    assert refused == (2, "", expected)


def test_a_token_may_be_valid_for_a_year(run_ticker: RunTicker, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0" * 64)
    issued = run_ticker("token", "issue", "--key", tmp_path / "secret", "--subject", "alice", "--minutes", "525600")
    assert issued.code == 0
    grant = Verifier(shared_secret(b"0" * 64), "ticker").check(issued.stdout.strip(), int(time.time() * 1e6))
    assert grant.expires is not None
    assert 365 * 86_400 - 60 <= grant.expires / 1e6 - time.time() <= 365 * 86_400 + 60
