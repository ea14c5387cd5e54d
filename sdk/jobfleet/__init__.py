"""Job queues as Kubernetes resources: the SDK."""
