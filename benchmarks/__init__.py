"""Benchmarks: how fast Ticker is beside what one could use instead. See README.md in this folder."""
