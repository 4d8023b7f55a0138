"""Benchmarks of Ticker beside other servers: `python -m benchmarks --help`."""
