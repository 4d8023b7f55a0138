"""The golden frames of PROTOCOL.md, section 10: their source, and `python -m tests.golden`, which makes the file."""
