"""What an idle worker sends."""

from __future__ import annotations

import time

from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.redis_server import Monitor
from bench.stand import Stand, natural_handler

CALM_SECONDS = 1.0
"""How long after its first job a worker counts as idle."""


class Idle(Measure):
    """Listens with MONITOR; what scripts call inside Redis does not count."""

    name = "idle"
    title = "An idle worker"
    about = "Commands that a worker sends to an empty queue, by MONITOR, and the CPU that it uses meanwhile."
    figures = (
        Figure("commands", "commands/s", Better.LESS, compared=True),
        Figure("cpu", "CPU ms/s", Better.LESS),
    )
    most_rounds = 2

    def able(self, peer: Peer) -> bool:
        del peer
        return True

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        del size
        seconds = stand.options.idle_seconds
        with stand.run_of(1) as tally, stand.worker(peer, natural_handler(peer), tally) as worker:
            stand.make_ready(peer, worker, tally)
            time.sleep(CALM_SECONDS)
            monitor, cpu = Monitor(stand.server), worker.cpu_seconds()
            time.sleep(seconds)
            cpu, sent = worker.cpu_seconds() - cpu, monitor.stop()
        return {"commands": len(sent) / seconds, "cpu": cpu / seconds * 1e3}
