"""Ticker: live market data, pushed to thousands of clients over TLS."""
