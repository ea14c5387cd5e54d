"""How many jobs one worker process processes a second, and what that costs."""

from __future__ import annotations

from bench.children import Broken, until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import READY_SECONDS, Stand, natural_handler

SEARCHED = (
    "Each peer has as many slots as it was quickest with in a short run, of 50, 100, 200 and 400 coroutines, or of 4, "
    "8, 16 and 32 threads."
)
SEARCH_PART = 1 / 3
"""How long such a run takes, in rounds."""
SLEEP_SECONDS = 2.0
"""How long a job takes where it is counted how many run at a time."""


class Processing(Measure):
    """A queue is filled, then a worker empties it; timed is from the first handler to the last.

    Each peer gets as many slots as it was quickest with in one short run each, and shows that it fills them.
    """

    figures = (
        Figure("rate", "jobs/s", Better.MORE, compared=True),
        Figure("worker_cpu", "worker CPU µs/job", Better.LESS),
        Figure("redis_cpu", "Redis CPU µs/job", Better.LESS),
        Figure("rss", "worker RSS MB", Better.LESS),
        Figure("slots", "slots", Better.LESS),
    )

    def __init__(self, handler: str) -> None:
        self._handler = handler
        self._slots: dict[str, int] = {}
        self.name = f"process_{handler}"
        if handler == "async":
            self.title = "Process: async no-op handlers"
            self.about = f"One worker process. Peers without async handlers run the kind that they have. {SEARCHED}"
        else:
            self.title = "Process: sync no-op handlers in threads"
            self.about = f"One worker process. {SEARCHED}"

    def able(self, peer: Peer) -> bool:
        return self._handler == "async" or "sync" in peer.handlers

    def prepare(self, stand: Stand, peer: Peer) -> int:
        widths, options = peer.widths(self._kind(peer)), stand.options
        rates = {widths[0]: self._run(stand, peer, options.warm_up, widths[0])["rate"]}
        if len(widths) > 1:
            size = options.jobs(rates[widths[0]] * SEARCH_PART)
            rates = {slots: self._run(stand, peer, size, slots)["rate"] for slots in widths}
        slots = self._slots[peer.key] = max(rates, key=rates.__getitem__)
        self._fills(stand, peer, slots)
        return options.jobs(rates[slots])

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        return self._run(stand, peer, size, self._slots[peer.key])

    def _kind(self, peer: Peer) -> str:
        return self._handler if self._handler in peer.handlers else natural_handler(peer)

    def _fills(self, stand: Stand, peer: Peer, slots: int) -> None:
        """Make sure that the worker runs as many jobs at a time as it was told."""
        with stand.run_of(2 * slots) as tally:
            stand.preload(peer, tally)
            with stand.worker(peer, self._kind(peer), tally, slots=slots, sleep=SLEEP_SECONDS) as worker:
                what = f"the worker runs {slots} jobs at a time"
                until(lambda: tally.running() >= slots, READY_SECONDS, what, worker)
                if (running := tally.running()) > slots:
                    raise Broken(f"the worker was told to run {slots} jobs at a time and runs {running}")

    def _run(self, stand: Stand, peer: Peer, size: int, slots: int) -> dict[str, float]:
        with stand.run_of(size) as tally:
            stand.preload(peer, tally)
            with stand.worker(peer, self._kind(peer), tally, slots=slots) as worker:
                until(lambda: tally.done() > 0, READY_SECONDS, "the worker runs its first job", worker)
                left = tally.missing()
                worker_cpu, redis_cpu = worker.cpu_seconds(), stand.server.cpu_seconds()
                until(lambda: tally.missing() == 0, stand.options.patience, f"{size} jobs run", worker)
                worker_cpu, redis_cpu = worker.cpu_seconds() - worker_cpu, stand.server.cpu_seconds() - redis_cpu
                rss = worker.rss_bytes()
            if twice := tally.repeated():
                raise Broken(f"{twice} jobs ran more than once, though nothing went wrong")
            figures = {"rate": (size - 1) / tally.seconds(), "rss": rss / 1e6, "slots": slots}
        if left:
            figures |= {"worker_cpu": worker_cpu / left * 1e6, "redis_cpu": redis_cpu / left * 1e6}
        return figures
