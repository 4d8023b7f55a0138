"""What failures and restarts cost: a source that dies, and workers that are replaced."""
