"""The Python client: replica and session (both pure), connector, subscriptions, and a synchronous iterator.

Imports the vocabulary, `ticker.protocol` and `ticker.net`; nothing of the server.
"""
