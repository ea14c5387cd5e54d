"""Rounds: a job for a pool at zero, what happened when, and back to zero."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from photo_demo.history import FleetHistory
from photo_demo.pod_watch import PodWatch

from bench.children import Broken, until
from jobfleet import Fleet

WORKERS = "jobfleet.dev/pool=zero"
QUEUE = "zero"


@dataclass(frozen=True, slots=True)
class Round:
    """When what happened in one round, Unix ms: everything runs on one machine, and so by one clock.

    Attributes:
        enqueued: just before the call.
        created: the API server told of the worker's Pod.
        began: the worker's process began, in steps of 10 ms.
        claimed: it had the job.
        completed: Redis had the result.
    """

    enqueued: int
    created: int
    began: int
    claimed: int
    completed: int


STAGES = {
    "enqueue to the first completed job": ("enqueued", "completed"),
    "of this the operator and the API server: until there is a Pod": ("enqueued", "created"),
    "of this Kubernetes: until the worker's process begins": ("created", "began"),
    "of this the worker: until it has the job": ("began", "claimed"),
    "of this the job: until Redis has its result": ("claimed", "completed"),
}
"""What is told of a round: from when to when."""


def seconds(rounds: Sequence[Round], begin: str, end: str) -> list[float]:
    """How long a stage took in each round.

    >>> seconds([Round(1000, 1100, 2000, 2500, 2510)], "enqueued", "completed")
    [1.51]
    """
    return [(getattr(one, end) - getattr(one, begin)) / 1000 for one in rounds]


def play(watch: PodWatch, fleet: Fleet, patience: float) -> Round:
    """One round, which begins and ends with the pool at zero.

    Raises:
        Broken: a step was not through within ``patience`` seconds, or the job did not complete at its first attempt.
    """
    watch.history = history = FleetHistory()
    enqueued = time.time_ns() // 1_000_000
    job_id = fleet.enqueue_sync(QUEUE, "quick", {})
    try:
        job = fleet.queue_sync(QUEUE).wait(job_id, patience)
    except TimeoutError as late:
        raise Broken(str(late)) from None
    if job is None or job.error is not None or job.attempt != 1:
        raise Broken(f"the job did not complete at its first attempt: {job}")
    until(lambda: history.emptied_ms is not None or not watch.alive, patience, "the pool is back at zero")
    if history.first_pod_ms is None or not watch.alive:
        raise Broken("kubectl does not follow the Pods any more")
    return Round(enqueued, history.first_pod_ms, job.result, job.started_ms, job.ended_ms)
