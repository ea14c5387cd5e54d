"""The fleet over time, from the events of its Pods. Pure: whoever feeds it says what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FleetHistory:
    """What happened to the Pods of one pool. All times are Unix ms of the observer's clock."""

    most_ready: int = 0
    """The largest number of workers that were ready at the same time."""

    first_pod_ms: int | None = None
    """When the first Pod was seen."""

    first_ready_ms: int | None = None
    """When the first Pod was ready."""

    emptied_ms: int | None = None
    """When the last Pod had gone; None while there is one, and before there was any."""

    ready: dict[str, bool] = field(default_factory=dict)
    """Pods that exist now, and whether each is ready."""

    def observe(self, event: Mapping[str, Any], now_ms: int) -> None:
        """Take in one watch event of a Pod: `{"type": "ADDED", "object": {...}}`."""
        pod = event["object"]
        name = pod["metadata"]["name"]
        if event["type"] == "DELETED" or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self.ready.pop(name, None)
        else:
            self.ready[name] = is_ready(pod)
        if self.ready and self.first_pod_ms is None:
            self.first_pod_ms = now_ms
        ready = sum(self.ready.values())
        if ready and self.first_ready_ms is None:
            self.first_ready_ms = now_ms
        self.most_ready = max(self.most_ready, ready)
        if self.ready or self.first_pod_ms is None:
            self.emptied_ms = None
        elif self.emptied_ms is None:
            self.emptied_ms = now_ms


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the Pod is ready and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
