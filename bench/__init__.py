"""Benchmarks: jobfleet and its peers side by side, in alternating rounds, on one machine and one Redis."""
