"""`ticker serve --workers N`: the process that accepts connections, hands them to workers, and keeps those running.

It knows nothing of markets. It may import everything up to `ticker.door`, and `ticker.bus`; the other end of its
channels, `ticker.server.worker`, knows `channel` and `messages` of this folder. Read `supervisor.py` first.
"""
