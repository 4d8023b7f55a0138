"""Tests of `ticker/server/`."""
