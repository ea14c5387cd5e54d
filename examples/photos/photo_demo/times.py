"""How long the parts of the demo took. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Instants in Unix ms. Cluster and demo share one machine, and so one clock; None: it never happened."""

    applied_ms: int
    enqueued_ms: int | None
    first_pod_ms: int | None
    first_completion_ms: int | None
    last_completion_ms: int | None
    no_workers_ms: int | None

    def lines(self) -> list[str]:
        """Return what to print."""
        return [
            f"kubectl apply -> first worker Pod      {_seconds(self.applied_ms, self.first_pod_ms)}",
            f"enqueue -> first worker Pod            {_seconds(self.enqueued_ms, self.first_pod_ms)}",
            f"enqueue -> first completion            {_seconds(self.enqueued_ms, self.first_completion_ms)}",
            f"enqueue -> last completion             {_seconds(self.enqueued_ms, self.last_completion_ms)}",
            f"last completion -> zero workers        {_seconds(self.last_completion_ms, self.no_workers_ms)}",
        ]


def _seconds(begin_ms: int | None, end_ms: int | None) -> str:
    """The time between two instants.

    >>> _seconds(1_000, 2_500), _seconds(1_000, None)
    ('   1.5 s', 'never')
    """
    if begin_ms is None or end_ms is None:
        return "never"
    return f"{(end_ms - begin_ms) / 1000:6.1f} s"
