"""Sockets, TLS, HTTP requests and responses, clocks, and fair turns for work that connections cause.

Imports the vocabulary and `ticker.protocol`.
"""
