"""Tables of instruments: books and their views, prints, and bars, as the cache holds them.

Pure: no I/O and no clock; time is passed in. `stores` is the entry for the cache.
"""
