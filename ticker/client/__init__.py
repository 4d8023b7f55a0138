"""The Python client: replica and session (pure), retry rules, connections, subscriptions, and a synchronous iterator.

Imports the vocabulary, `ticker.protocol` and `ticker.net`; nothing of the server.
"""
