"""How fast Ticker is, beside what else one could use: `python -m benchmarks --help`."""
