"""Tests of `ticker/bus/`."""
