"""The history: candles in an SQLite file, written once a second and loaded at the start.

`database` opens the file and says what is wrong with it, `bar_store` has its statements, `history_file` is the file as
its one writer has it, `export` reads it for tables. Everything here blocks, so a service calls it in threads
(`ticker/server/bar_history.py`). It knows the vocabulary and `net`, and nothing of cuts and clients.
"""
