"""From an enqueue to the first completed job of a pool that stands at zero workers, on real Pods."""
