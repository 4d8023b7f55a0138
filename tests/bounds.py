"""How long a test waits for what must come."""

HANG_SECONDS = 300
"""Longer than anything takes on the slowest machine: what has not come by then never does."""
