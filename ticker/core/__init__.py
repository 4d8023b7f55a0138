"""The engine: last-value cache, encode cache, audiences and their instruments, hub, and the server's session.

Pure: no I/O and no clock; time is passed in. Imports the vocabulary, `ticker.protocol` and the pure modules of
`ticker.door`.
"""
