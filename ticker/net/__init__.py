"""Sockets, TLS, HTTP requests and responses, clocks, the fair queue for work that connections cause, and resources that
may hang outside: names, files, and the readers of a log.

Imports the vocabulary and `ticker.protocol`.
"""
