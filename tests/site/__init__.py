"""The documentation site: it builds without a warning, and its first steps lead to a ladder."""
