"""How many jobs one process enqueues a second."""

from __future__ import annotations

from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import Stand

TEXTS = {
    "bulk": (
        "Enqueue: in bulk",
        "By the peer's bulk call; where it has none, by the quickest way that it documents.",
    ),
    "concurrent": (
        "Enqueue: one by one, 1,000 calls in flight",
        "One process, one event loop, 1,000 enqueues awaited at a time.",
    ),
    "one_async": ("Enqueue: one by one, async", "Each call is awaited before the next."),
    "one_sync": ("Enqueue: one by one, sync", "Each call returns before the next; no event loop."),
}
"""Of each shape: title and method."""


class Enqueueing(Measure):
    """A producer enqueues in one shape while no worker runs; counted afterwards."""

    figures = (
        Figure("rate", "jobs/s", Better.MORE, compared=True),
        Figure("redis_cpu", "Redis CPU µs/job", Better.LESS),
    )

    def __init__(self, shape: str) -> None:
        self._shape = shape
        self.name = f"enqueue_{shape}"
        self.title, self.about = TEXTS[shape]

    def able(self, peer: Peer) -> bool:
        return self._shape in peer.enqueues

    def prepare(self, stand: Stand, peer: Peer) -> int:
        return stand.options.jobs(self.round(stand, peer, stand.options.warm_up)["rate"])

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        stand.server.empty()
        redis_cpu = stand.server.cpu_seconds()
        produced = stand.produce(peer, self._shape, 0, size)
        redis_cpu = stand.server.cpu_seconds() - redis_cpu
        stand.expect_waiting(peer, size)
        return {"rate": produced.rate, "redis_cpu": redis_cpu / size * 1e6}
