"""The service: publisher, feed supervision, connections over WebSocket and server-sent events, HTTP pages, metrics.

Imports everything but `ticker.client.client` and `ticker.commands`.
"""
