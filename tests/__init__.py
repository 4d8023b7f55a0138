"""Ticker's tests. Each name is a sentence of behaviour; the servers and sockets in them are real."""
