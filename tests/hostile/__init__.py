"""Hostile peers against the real service, beside clients that must be served exactly."""
