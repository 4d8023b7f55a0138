"""Tests of `ticker/client/`."""
