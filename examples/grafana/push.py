"""Prices on a Grafana dashboard, as they change: sends them to Grafana Live, whose panels draw what comes.

GRAFANA_TOKEN=glsa_... python push.py EURUSD 'XAU*' [--url wss://localhost:8443] [--grafana http://localhost:3000]

The token is that of a service account with the role Admin. Grafana keeps nothing of what it is sent.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from urllib.error import URLError
from urllib.request import Request, urlopen

import ticker

FIELDS = ("bid", "ask", "last")
STREAM = "ticker"
"""Panels read the channel `stream/ticker/prices`."""


def lines(change: ticker.Change) -> Iterator[str]:
    """The prices of a change in InfluxDB's line protocol, as Grafana Live reads it; times are in nanoseconds."""
    milliseconds = round(change.time.timestamp() * 1000)
    for symbol, fields in change.changes.items():
        prices = {name: value for name in FIELDS if isinstance(value := fields.get(name), Decimal)}
        if prices:
            values = ",".join(f"{name}={value:f}" for name, value in prices.items())
            yield f"prices,symbol={escaped(symbol)} {values} {milliseconds}000000"


def escaped(text: str) -> str:
    """A text as the value of a tag."""
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def main() -> None:
    """Push until Grafana refuses, or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--url", default="wss://localhost:8443")
    parser.add_argument("--grafana", default="http://localhost:3000")
    options = parser.parse_args()
    headers = {"Authorization": f"Bearer {os.environ.get('GRAFANA_TOKEN', '')}"}
    address = f"{options.grafana}/api/live/push/{STREAM}"
    for change in ticker.watch(options.url, options.symbols, interval_ms=250, fields=FIELDS):
        if body := "\n".join(lines(change)):
            try:
                urlopen(Request(address, body.encode(), headers), timeout=10).close()  # noqa: S310  # the user's Grafana
            except URLError as error:
                sys.exit(f"{address}: {error}")


if __name__ == "__main__":
    main()
