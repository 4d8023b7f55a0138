"""The examples, each as a user runs it."""
