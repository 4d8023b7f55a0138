"""Which instruments move together: correlations of five-minute returns, as a pandas table.

python research.py EURUSD GBPUSD XAUUSD [--url wss://localhost:8443]
"""

import argparse

import pandas as pd

import ticker

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("symbols", nargs="+")
parser.add_argument("--url", default="wss://localhost:8443")
options = parser.parse_args()

names = {symbol: f"{symbol} candles:1m:300" for symbol in options.symbols}
tables = ticker.snapshot(options.url, names.values())
missing = [symbol for symbol, name in names.items() if name not in tables]
if missing:
    parser.error(f"the service has no candles of {', '.join(missing)}")

closes = pd.DataFrame(
    {
        symbol: pd.Series({bar.start: float(bar.close) for bar in tables[name]["candles"]})
        for symbol, name in names.items()
    }
)
closes.index = pd.to_datetime(closes.index, unit="s", utc=True)
returns = closes.ffill().resample("5min").last().pct_change().dropna()
print(f"{len(returns)} returns, the last one at {returns.index[-1]}")
print(returns.corr().round(3))
