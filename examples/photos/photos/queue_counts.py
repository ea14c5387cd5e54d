"""The counts of the photo queue, as the SDK tells them."""

from __future__ import annotations

from jobfleet import Fleet


def queue_counts(fleet: Fleet) -> dict[str, int]:
    """Return what the queue holds now and what it has finished since it exists."""
    status = fleet.status_sync("photos")
    return {
        "waiting": status.waiting,
        "active": status.active,
        "delayed": status.delayed,
        "completed": status.completed_total,
        "failed": status.failed_total,
    }
