"""What `make demo` runs: a cluster, the product, the example, and the proof that all was processed once."""
