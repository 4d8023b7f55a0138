"""Tests of `ticker/core/`."""
