"""Thin shells that run Commands: one async, one sync. What is retried, and how long, is decided in ``patience``."""
