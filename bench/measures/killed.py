"""What becomes of jobs whose worker is killed."""

from __future__ import annotations

import contextlib
import time

from bench.children import Broken, until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import READY_SECONDS, Stand, natural_handler

SLEEP_SECONDS = 0.2
SLOTS = 10
KILL_AFTER = 0.2
"""The worker is killed when this share of the jobs is done."""


class Killed(Measure):
    """Jobs of 200 ms; the worker gets SIGKILL while some run, and another one is started at once."""

    name = "killed"
    title = "After kill -9"
    about = (
        "Jobs of 200 ms, ten at a time; the worker is killed at a fifth, another starts at once. Seconds from the kill "
        "until every job has run to its end; jobs that had not by the end of the wait; jobs that were begun twice. "
        "Each peer has the time limits that it has by default."
    )
    figures = (
        Figure("struck", "jobs that ran when it was killed", Better.MORE),
        Figure("seconds", "s until all done", Better.LESS, compared=True),
        Figure("never", "never done", Better.LESS),
        Figure("twice", "begun twice", Better.LESS),
    )
    optional = True
    most_rounds = 1

    def able(self, peer: Peer) -> bool:
        del peer
        return True

    def prepare(self, stand: Stand, peer: Peer) -> int:
        del peer
        return stand.options.killed

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        handler = natural_handler(peer)
        with stand.run_of(size) as tally:
            stand.preload(peer, tally)
            with stand.worker(peer, handler, tally, slots=SLOTS, sleep=SLEEP_SECONDS) as first:
                until(lambda: tally.done() >= size * KILL_AFTER, READY_SECONDS, "the worker runs jobs", first)
                until(lambda: tally.running() > 0, READY_SECONDS, "the worker runs further jobs", first)
                time.sleep(SLEEP_SECONDS / 3)  # jobs that began together end together: strike in between
                first.kill()
                if not (struck := tally.running()):
                    raise Broken("no job ran at the moment of the kill")
            with stand.worker(peer, handler, tally, slots=SLOTS, sleep=SLEEP_SECONDS) as second:
                began = time.monotonic()
                with contextlib.suppress(Broken):
                    until(lambda: tally.missing() == 0, stand.options.kill_seconds, "all jobs run", second)
                seconds = time.monotonic() - began
            figures = {"struck": float(struck), "never": float(tally.missing()), "twice": float(tally.repeated())}
        return figures | ({} if figures["never"] else {"seconds": seconds})
