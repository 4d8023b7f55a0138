"""The death of every part of a service on a bus: in one process on a clock that jumps, and as real processes."""
