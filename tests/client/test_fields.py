"""ticker/client/fields.py: the types that a user's program is checked against; they name every standard field."""

from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import pytest

import ticker
from tests.bounds import HANG_SECONDS
from ticker.market import Field

PROGRAM = """
from decimal import Decimal
import ticker

async def main() -> None:
    async with ticker.connect("wss://localhost") as client:
        async for change in client.subscribe("EURUSD"):
            bid: Decimal | None = change.changes["EURUSD"]["bid"]
            status: str | None = change.changes["EURUSD"].get("status")
            values: ticker.Fields = client.values("EURUSD")
            spread: Decimal = values["ask"] - values["bid"]
            trades: int = values["trade_count"]
            own: object = values.get("mark_price")
            best: ticker.Level = client.values("EURUSD book:10")["bids"][0]
            size: Decimal = client.book("EURUSD").bids[0].size
            gone: Decimal | None = change.changes["EURUSD book:10"]["asks"][0].size
            print(best, size, gone, [bar.close + 1 for bar in client.candles("EURUSD").bars])
            async for trade in client.trades("EURUSD"):
                price: Decimal = trade.price
                print(price, trade.missed + 1)
            print(bid, status, spread, trades, own)
"""


@pytest.mark.parametrize("kind", [ticker.Fields, ticker.ChangedFields])
def test_every_standard_field_has_a_type(kind: type) -> None:
    assert get_type_hints(kind).keys() == {field.name.lower() for field in Field}


CHANGES = [
    ("", "", ""),
    ('values["ask"]', 'values["aks"]', 'TypedDict "Fields" has no key "aks"'),
    ("trades: int", "trades: str", "Incompatible types in assignment"),
    ("gone: Decimal | None", "gone: Decimal", "Incompatible types in assignment"),
    ("price: Decimal", "price: int", "Incompatible types in assignment"),
    ("bid: Decimal | None", "bid: Decimal", "Incompatible types in assignment"),
    ('subscribe("EURUSD")', "subscribe(7)", "incompatible type"),
]
"""What is written in place of what, and the error that it makes."""


def program(number: int) -> str:
    return f"user{number}.py"


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run of the type checker says of all programs: it reads the library in seconds, a program in none."""
    folder = tmp_path_factory.mktemp("users")
    for number, (before, after, _) in enumerate(CHANGES):
        (folder / program(number)).write_text(PROGRAM.replace(before, after) if before else PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *folder.iterdir()],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.untraced
@pytest.mark.parametrize(("before", "after", "error"), CHANGES)
def test_a_type_checker_finds_mistakes_in_a_users_program(checked: str, before: str, after: str, error: str) -> None:
    name = program(CHANGES.index((before, after, error)))
    said = [line for line in checked.splitlines() if f"{name}:" in line and "error:" in line]
    assert len(said) == bool(error), said
    assert all(error in line for line in said)
