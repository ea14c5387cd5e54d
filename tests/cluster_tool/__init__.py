"""Brings a real Kubernetes up for tests and demos, and takes it down without a trace.

The package needs nothing but Python's standard library, so that it runs before any `pip install`.
`python3 -m cluster_tool --help` lists its commands; `errors.py` says how it fails.
"""
