"""How much of Redis' memory a job takes."""

from __future__ import annotations

from bench.children import until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.peers.tally import Tally
from bench.stand import Stand, natural_handler

ABOUT = "What Redis has allocated more than before, divided by the jobs; their arguments are 64 bytes as JSON."
WARM_UP = 3_000
"""Jobs before the first look, flushed again: scripts are cached then, and buffers and statistics have their size."""
LOOKS = 20
"""So many looks in a row must find the same before memory counts as settled."""


class Memory(Measure):
    """Memory of waiting jobs, or of completed ones that are kept."""

    figures = (Figure("bytes", "bytes/job", Better.LESS, compared=True),)
    most_rounds = 2

    def __init__(self, state: str) -> None:
        self._completed = state == "completed"
        self.name = f"memory_{state}"
        self.title = f"Redis' memory: a {state} job" + (", kept" if self._completed else "")
        self.about = ABOUT

    def able(self, peer: Peer) -> bool:
        return peer.keeps_completed or not self._completed

    def prepare(self, stand: Stand, peer: Peer) -> int:
        del peer
        return stand.options.stored

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        keep = size if self._completed else 0
        with stand.run_of(min(size, WARM_UP)) as first:
            self._go(stand, peer, first.jobs, keep, first)
        with stand.run_of(size) as tally:
            before = stand.server.used_memory()
            self._go(stand, peer, size, keep, tally)
            return {"bytes": (stand.server.used_memory() - before) / size}

    def _go(self, stand: Stand, peer: Peer, size: int, keep: int, tally: Tally) -> None:
        stand.preload(peer, tally, keep)
        if self._completed:
            with stand.worker(peer, natural_handler(peer), tally, keep=keep) as worker:
                until(lambda: tally.missing() == 0, stand.options.patience, f"{size} jobs run", worker)
                self._settle(stand)
        self._settle(stand)

    @staticmethod
    def _settle(stand: Stand) -> None:
        seen: list[int] = []

        def settled() -> bool:
            seen.append(stand.server.used_memory())
            return len(seen) >= LOOKS and max(seen[-LOOKS:]) - min(seen[-LOOKS:]) < 4096

        until(settled, stand.options.patience, "Redis' memory settles")
