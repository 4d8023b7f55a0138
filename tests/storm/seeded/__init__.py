"""The storm on a clock that jumps: one seed is one run, and the same run every time."""
