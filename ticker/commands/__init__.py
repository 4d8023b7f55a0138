"""The command line: `ticker serve`, `watch`, `record`, `export`, `feeds` and `token`, each in a file of its own.

`cli.py` puts them together. This folder may import everything; only `ticker.__main__` imports it.
"""
