"""Tests of `ticker/door/`."""
