"""A fleet that never rests: scaled up and down at random, with jobs far longer than its drain time.

`JOBFLEET_CHURN_SECONDS` and `JOBFLEET_CHURN_WORKERS` make it as long and as large as you like; ten minutes with 30
workers run jobs of up to two minutes.
"""

from __future__ import annotations

import os
import random

from .arena import Arena, queue
from .polling import rounds

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
    sizes: list[int] = []
    shrunk_while_busy = 0
    for _ in rounds(SECONDS, lambda: chance.uniform(0.5, 4.0)):
        if arena.status.waiting < WORKERS:
            durations = [LONGEST_SECONDS ** chance.random() for _ in range(chance.randint(0, WORKERS))]
            jobs += arena.hold(*durations)
        floor = chance.randint(0, WORKERS)
        arena.change_pool(minReplicas=floor, maxReplicas=max(1, chance.randint(floor, WORKERS)))
        sizes.append(len(arena.pods()))
        shrunk_while_busy += len(sizes) > 1 and sizes[-1] < sizes[-2] and arena.status.active > 0
    arena.change_pool(minReplicas=0, maxReplicas=WORKERS)
    done = arena.until_completed(*jobs, seconds=90 + 2 * LONGEST_SECONDS + SECONDS / 2)

    print(f"{len(jobs)} jobs, {min(sizes)} to {max(sizes)} workers, {shrunk_while_busy} times fewer while jobs ran")
    assert [job.id for job in done if (job.attempt, job.lost, job.failures) != (1, 0, 0)] == []
    status = arena.status
    assert (status.completed_total, status.failed_total, status.reclaimed_total) == (len(jobs), 0, 0)
    assert shrunk_while_busy, "it never shrank around a running job"
    arena.until_no_workers()
