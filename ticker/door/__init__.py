"""Admission of connections: tokens and keys, origins, connection limits and rate limits.

Imports the vocabulary, `ticker.protocol` and `ticker.net`.
"""
