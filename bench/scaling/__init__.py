"""jobfleet's scaling beside KEDA and the HPA, simulated on five traces: `make bench-scaling`."""
