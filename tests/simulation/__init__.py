"""The whole service with real clients on simulated links and time: one seed is one run, and the same run every time."""
