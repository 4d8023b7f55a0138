"""The death of every part of a service on a bus: on a clock that jumps, as real processes, and between hosts."""
