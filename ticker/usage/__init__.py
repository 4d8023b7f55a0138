"""The usage log: which client saw which instruments and tables, from when to when, in files of JSON lines.

`lines` says what stands in them, `writer` writes them in a thread of its own, `reading` reads them again, and
`counting` sums them by month and subject. The service's part, which knows its clients, is `ticker/server/usage_log.py`.
Here stands what needs neither the cache nor the clients; it may import `ticker.net`, and of the core only `bitmaps`.
"""
