"""Mutation testing, a developer's tool: `python -m tests.mutants ticker/core --count 40`."""
