"""Sockets, TLS, HTTP requests and responses, clocks, and the fair queue for work that connections cause.

Imports the vocabulary and `ticker.protocol`.
"""
