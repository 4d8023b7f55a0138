"""Admission of connections: addresses behind proxies, Origin, tokens and their keys, connection limits and rate limits.

`auth` decides on one request; each of the others has one part of the decision. Imports the vocabulary,
`ticker.protocol` and `ticker.net`; `ticker.core` imports `grants`.
"""
