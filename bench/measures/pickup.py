"""How soon an idle worker runs a job."""

from __future__ import annotations

from bench.figures import Better, Figure, percentile
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import Stand, natural_handler


class Pickup(Measure):
    """One job at a time, each after the worker has been idle for some milliseconds."""

    name = "pickup"
    title = "Pick-up by an idle worker"
    about = "From the call of enqueue to the start of the handler, so that the enqueue itself is part of it."
    figures = (
        Figure("p50", "p50 ms", Better.LESS, compared=True),
        Figure("p99", "p99 ms", Better.LESS),
    )

    def able(self, peer: Peer) -> bool:
        del peer
        return True

    def prepare(self, stand: Stand, peer: Peer) -> int:
        del peer
        return stand.options.samples

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        warm_ups = 2  # job 0 shows that the worker is up; job 1 opens the timed producer's connection
        with stand.run_of(size + warm_ups) as tally, stand.worker(peer, natural_handler(peer), tally) as worker:
            stand.make_ready(peer, worker, tally)
            took = stand.produce(peer, "paced", 1, size + 1, tally=tally).took
        return {"p50": percentile(took, 0.5) * 1e3, "p99": percentile(took, 0.99) * 1e3}
