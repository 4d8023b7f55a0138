"""ticker/client/fields.py: the types that a user's program is checked against; they name every standard field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import ticker
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


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ("", "", ""),
        ('values["ask"]', 'values["aks"]', 'TypedDict "Fields" has no key "aks"'),
        ("trades: int", "trades: str", "Incompatible types in assignment"),
        ("gone: Decimal | None", "gone: Decimal", "Incompatible types in assignment"),
        ("price: Decimal", "price: int", "Incompatible types in assignment"),
        ("bid: Decimal | None", "bid: Decimal", "Incompatible types in assignment"),
        ('subscribe("EURUSD")', "subscribe(7)", "incompatible type"),
    ],
)
def test_a_type_checker_finds_mistakes_in_a_users_program(tmp_path: Path, before: str, after: str, error: str) -> None:
    file = tmp_path / "user.py"
    file.write_text(PROGRAM.replace(before, after) if before else PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == bool(error), done.stdout
    assert error in done.stdout
