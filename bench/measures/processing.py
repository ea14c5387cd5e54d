"""How many jobs one worker process processes a second, and what that costs."""

from __future__ import annotations

from bench.children import Broken, until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import READY_SECONDS, Stand, natural_handler


class Processing(Measure):
    """A queue is filled, then a worker empties it; timed is from the first handler to the last."""

    figures = (
        Figure("rate", "jobs/s", Better.MORE, compared=True),
        Figure("worker_cpu", "worker CPU µs/job", Better.LESS),
        Figure("redis_cpu", "Redis CPU µs/job", Better.LESS),
        Figure("rss", "worker RSS MB", Better.LESS),
    )

    def __init__(self, handler: str) -> None:
        self._handler = handler
        self.name = f"process_{handler}"
        if handler == "async":
            self.title = "Process: async no-op handlers"
            self.about = "One worker process. Peers without async handlers run the kind that they have."
        else:
            self.title = "Process: sync no-op handlers in threads"
            self.about = "One worker process, with as many threads as the peer is quickest with, or its default."

    def able(self, peer: Peer) -> bool:
        return self._handler == "async" or "sync" in peer.handlers

    def prepare(self, stand: Stand, peer: Peer) -> int:
        return stand.options.jobs(self.round(stand, peer, stand.options.warm_up)["rate"])

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        handler = self._handler if self._handler in peer.handlers else natural_handler(peer)
        with stand.run_of(size) as tally:
            stand.preload(peer, tally)
            with stand.worker(peer, handler, tally) as worker:
                until(lambda: tally.done() > 0, READY_SECONDS, "the worker runs its first job", worker)
                left = tally.missing()
                worker_cpu, redis_cpu = worker.cpu_seconds(), stand.server.cpu_seconds()
                until(lambda: tally.missing() == 0, stand.options.patience, f"{size} jobs run", worker)
                worker_cpu, redis_cpu = worker.cpu_seconds() - worker_cpu, stand.server.cpu_seconds() - redis_cpu
                rss = worker.rss_bytes()
            if twice := tally.repeated():
                raise Broken(f"{twice} jobs ran more than once, though nothing went wrong")
            figures = {"rate": (size - 1) / tally.seconds(), "rss": rss / 1e6}
        if left:
            figures |= {"worker_cpu": worker_cpu / left * 1e6, "redis_cpu": redis_cpu / left * 1e6}
        return figures
