"""Tests of `ticker_feeds`."""
