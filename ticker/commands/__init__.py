"""The command line: `ticker serve`, `watch`, `record`, `export`, `feeds`, `token`.

Imports everything; nothing imports it but `ticker.__main__`.
"""
