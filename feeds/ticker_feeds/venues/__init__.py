"""Adapters for exchanges, one module each, and what they share."""
