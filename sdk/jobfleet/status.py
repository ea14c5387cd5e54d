"""How a queue is, for people and programs: a record made from one reading of Redis."""

from __future__ import annotations

from dataclasses import dataclass

from jobfleet.scripts.looking import QueueReading


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker: ``busy`` of its ``slots`` run a job; ``alive`` while its lease lasts."""

    name: str
    pool: str
    slots: int
    busy: int
    alive: bool
    draining: bool


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue at one instant.

    Attributes:
        waiting, delayed, active, completed, failed: jobs in that state now; of the last two, those still kept.
        completed_total, failed_total, retried_total, reclaimed_total, enqueued_total: ever since.
        oldest_age: seconds for which the oldest waiting job has been ready; 0 where none waits.
        forwarding: failed jobs that are on their way to the dead-letter queue; ``failed`` counts them as well.
        mean_run: seconds that an attempt took on average, ever since; None before the first.
    """

    queue: str
    waiting: int
    delayed: int
    active: int
    completed: int
    failed: int
    forwarding: int
    enqueued_total: int
    completed_total: int
    failed_total: int
    retried_total: int
    reclaimed_total: int
    oldest_age: float
    mean_run: float | None
    paused: bool
    workers: tuple[WorkerStatus, ...]

    @classmethod
    def of(cls, queue: str, reading: QueueReading) -> QueueStatus:
        """The status that a reading shows."""
        finished = reading.count("finished")
        oldest = reading.oldest_waiting_ms
        return cls(
            queue=queue,
            waiting=reading.count("waiting"),
            delayed=reading.delayed,
            active=reading.count("active"),
            completed=reading.completed,
            failed=reading.failed,
            forwarding=reading.forwarding,
            enqueued_total=reading.count("enqueued"),
            completed_total=reading.count("completed"),
            failed_total=reading.count("failed"),
            retried_total=reading.count("retried"),
            reclaimed_total=reading.count("reclaimed"),
            oldest_age=0.0 if oldest is None else max(0, reading.now_ms - oldest) / 1000,
            mean_run=reading.count("busy_ms") / finished / 1000 if finished else None,
            paused=reading.settings is not None and reading.settings.paused,
            workers=tuple(
                WorkerStatus(w.name or w.id, w.pool, w.slots, w.busy, w.lease_ms > 0, w.draining)
                for w in reading.workers
            ),
        )

    def problems(self) -> list[str]:
        """What a person should know, a sentence each; empty when all is well."""
        found = []
        alive = [w for w in self.workers if w.alive]
        lost = [w.name for w in self.workers if not w.alive]
        if self.paused:
            found.append("the queue is paused")
        elif self.waiting and not alive:
            found.append(f"{self.waiting} jobs wait, the oldest for {self.oldest_age:.0f} s, and no worker is there")
        if lost:
            found.append(f"workers without a lease: {', '.join(lost)}; their jobs go back to the queue")
        return found
