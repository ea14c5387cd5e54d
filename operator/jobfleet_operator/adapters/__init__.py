"""The only modules that speak with the outside: one Kubernetes, one Redis."""
