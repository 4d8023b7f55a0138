"""The storm between hosts: each part of a service has a network namespace of its own, with links that can be cut.

Real processes of `ticker serve`, a real Redis, and clients in processes of their own, on Linux as root.
"""
