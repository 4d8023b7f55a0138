"""Books, prints and bars: the feed, the clients and the scenarios of the workloads `depth`, `tape` and `bars`."""
