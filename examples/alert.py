"""Say when a price is reached: python alert.py EURUSD bid 1.09 [wss://localhost:8443]."""

import sys
from decimal import Decimal

import ticker

symbol, field, level, *rest = sys.argv[1:]
for change in ticker.watch(rest[0] if rest else "wss://localhost:8443", [symbol], fields=[field]):
    price = change.changes.get(symbol, {}).get(field)
    if isinstance(price, Decimal) and price >= Decimal(level):
        print(f"\a{symbol}: {field} is {price}, which is {level} or more")
        break
