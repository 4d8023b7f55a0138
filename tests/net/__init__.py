"""Tests of `ticker/net/`."""
