"""Captures and other recordings of market data: written, read, replayed."""
