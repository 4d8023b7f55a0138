"""The simulated market and its fault symbols."""
