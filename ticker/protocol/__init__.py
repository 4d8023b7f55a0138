"""The wire protocol, version 1: messages, their two encodings, and symbol patterns.

Pure: no I/O and no clock. Imports only the vocabulary (`ticker.market`, `ticker.errors`, `ticker.config`).
"""
