"""How fast the operator is and what it costs, on a real API server with its controllers. `make bench-operator`."""
