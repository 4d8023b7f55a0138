"""A client written from PROTOCOL.md alone, and the service as it finds it."""
