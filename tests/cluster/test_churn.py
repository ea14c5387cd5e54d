"""A fleet that never rests: scaled up and down at random, with jobs far longer than its drain time.

`JOBFLEET_CHURN_SECONDS` and `JOBFLEET_CHURN_WORKERS` make it as long and as large as you like; ten minutes with 30
workers run jobs of up to two minutes.
"""

from __future__ import annotations

import os
import random

from .arena import Arena, queue
from .polling import eventually, rounds

SECONDS = float(os.environ.get("JOBFLEET_CHURN_SECONDS", "40"))
WORKERS = int(os.environ.get("JOBFLEET_CHURN_WORKERS", "6"))
LONGEST_SECONDS = min(120.0, SECONDS / 3)
DRAIN_SECONDS = 1
"""A worker that is told to end while it has a job hands it back so soon: then the job has a second attempt."""


def test_nothing_is_lost_and_nothing_interrupted(arena: Arena) -> None:
    chance = random.Random(os.environ.get("JOBFLEET_CHURN_SEED", "1"))
    arena.set_up(maxReplicas=WORKERS, drainSeconds=DRAIN_SECONDS)
    arena.apply(queue(retention={"completed": {"count": 100_000}}))
    jobs: list[str] = []
    sizes = [0]
    shrunk_while_busy = 0
    level = WORKERS

    def look() -> int:
        """How many jobs have ended; notes how large the fleet is."""
        nonlocal shrunk_while_busy
        sizes.append(len(arena.pods()))
        shrunk_while_busy += sizes[-1] < sizes[-2] and arena.status.active > 0
        return arena.status.completed_total + arena.status.failed_total

    for _ in rounds(SECONDS, lambda: chance.uniform(0.5, 3.0)):
        if chance.random() < 0.2:
            level = chance.randint(0, WORKERS + 3)
        more = level - arena.status.active - arena.status.waiting
        jobs += arena.hold(*(LONGEST_SECONDS ** chance.random() for _ in range(more)))
        floor = chance.choice([0, 0, chance.randint(0, WORKERS)])
        arena.change_pool(minReplicas=floor, maxReplicas=max(1, chance.randint(floor, WORKERS)))
        look()
    arena.change_pool(minReplicas=0, maxReplicas=WORKERS)
    jobs += arena.hold(LONGEST_SECONDS, *[1.0] * (WORKERS - 1))
    eventually(lambda: look() == len(jobs), "every job has ended", seconds=90 + 2 * LONGEST_SECONDS + SECONDS / 2)

    print(f"{len(jobs)} jobs, {min(sizes)} to {max(sizes)} workers, {shrunk_while_busy} times fewer while jobs ran")
    done = [arena.job(job) for job in jobs]
    wrong = [job for job in done if (job.state, job.attempt, job.lost, job.failures) != ("completed", 1, 0, 0)]
    assert wrong == []
    assert (arena.status.completed_total, arena.status.reclaimed_total) == (len(jobs), 0)
    assert shrunk_while_busy, "it never shrank around a running job"
    arena.until_no_workers()
