"""The service: feeds and publisher, connections over WebSocket and server-sent events, HTTP pages, metrics.

Everything that `ticker serve` does for feeds and clients belongs here. May import all of `ticker` but `ticker.client`
and `ticker.commands`; only `service` and `feed_runner` know `ticker_feeds`. README.md has the files in reading order.
"""
