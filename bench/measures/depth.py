"""What enqueue and claim cost Redis while millions of jobs wait, against an empty queue."""

from __future__ import annotations

from bench.children import until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.peers.tally import Tally
from bench.stand import READY_SECONDS, Stand

SINGLES = 1_000
"""Jobs that are enqueued one by one, for the cost of a call."""
SHALLOW = 20_000
"""Jobs that are claimed, for the cost of a claim; this many is 'empty', for a claim needs something to claim."""
SETTLED = 0.1
"""This share of the claimed jobs passes before the cost is counted."""


class Depth(Measure):
    """By Redis' own count of microseconds in script calls, so that load from outside matters little."""

    name = "depth"
    title = "Cost of a deep queue"
    about = (
        "Microseconds of script calls by Redis' own count: an enqueue of one job, and settle and claim a job, "
        "with the queue empty and with jobs waiting in 10 priorities (and 10,000 groups, where there are any)."
    )
    figures = (
        Figure("waiting", "jobs waiting", Better.MORE),
        Figure("enqueue_empty", "enqueue, empty: µs", Better.LESS),
        Figure("enqueue_deep", "enqueue, deep: µs", Better.LESS),
        Figure("enqueue_ratio", "deep/empty", Better.LESS),
        Figure("claim_empty", "claim, empty: µs/job", Better.LESS),
        Figure("claim_deep", "claim, deep: µs/job", Better.LESS),
        Figure("claim_ratio", "deep/empty ", Better.LESS),
    )
    most_rounds = 3

    def able(self, peer: Peer) -> bool:
        return "deep" in peer.enqueues

    def prepare(self, stand: Stand, peer: Peer) -> int:
        del peer
        return stand.options.depth

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        claimed = min(SHALLOW, size)
        with stand.run_of(claimed + SINGLES) as tally:
            enqueue_empty = self._enqueue(stand, peer, first=0)
            stand.produce(peer, "deep", SINGLES, claimed)
            claim_empty = self._claim(stand, peer, tally, claimed)
        with stand.run_of(size + SINGLES) as tally:
            stand.produce(peer, "deep", 0, size)
            enqueue_deep = self._enqueue(stand, peer, first=size)
            stand.expect_waiting(peer, size + SINGLES)
            claim_deep = self._claim(stand, peer, tally, claimed)
        return {
            "waiting": size,
            "enqueue_empty": enqueue_empty,
            "enqueue_deep": enqueue_deep,
            "enqueue_ratio": enqueue_deep / enqueue_empty,
            "claim_empty": claim_empty,
            "claim_deep": claim_deep,
            "claim_ratio": claim_deep / claim_empty,
        }

    @staticmethod
    def _enqueue(stand: Stand, peer: Peer, first: int) -> float:
        calls, micros = stand.server.script_calls()
        stand.produce(peer, "one_async", first, SINGLES)
        calls_after, micros_after = stand.server.script_calls()
        return (micros_after - micros) / (calls_after - calls)

    @staticmethod
    def _claim(stand: Stand, peer: Peer, tally: Tally, claimed: int) -> float:
        with stand.worker(peer, "async", tally) as worker:
            begin = claimed * SETTLED
            until(lambda: tally.done() >= begin, READY_SECONDS, "the worker runs its first jobs", worker)
            done, (_, micros) = tally.done(), stand.server.script_calls()
            until(lambda: tally.done() >= claimed * 0.9, stand.options.patience, f"{claimed} jobs run", worker)
            done_after, (_, micros_after) = tally.done(), stand.server.script_calls()
        return (micros_after - micros) / max(1, done_after - done)
