"""Tests of `ticker/commands/`."""
