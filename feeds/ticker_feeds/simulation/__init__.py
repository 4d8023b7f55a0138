"""The simulated market (`Simulated`), and the fault symbols beside it: an instrument's bad day, every 20 seconds.

Modules here import only `ticker.market`, `ticker.errors` and each other.
"""

from ticker_feeds.simulation.market import Simulated

__all__ = ["Simulated"]
