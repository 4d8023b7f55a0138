"""Tests of `ticker/protocol/`."""
