"""What an operator sees of a queue in one look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from jobfleet.scripts import looking
from jobfleet.scripts.looking import Circuit, WorkerView
from jobfleet.settings import QueueSettings


@dataclass(frozen=True, slots=True, order=True)
class QueueAddress:
    """A queue's place in a Redis: the realm (in Kubernetes the namespace) and its name.

    >>> str(QueueAddress("shop", "photos")), QueueAddress.parse("shop/photos").queue
    ('shop/photos', 'photos')
    """

    realm: str
    queue: str

    def __str__(self) -> str:
        return f"{self.realm}/{self.queue}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that ``str()`` of it wrote.

        Raises:
            ValueError: there is no slash in it.
        """
        realm, slash, queue = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no queue's address; it has the form realm/queue")
        return cls(realm, queue)


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A queue at one instant of Redis' clock.

    Attributes:
        waiting, active, delayed, delayed_due, completed, failed, cancelled: jobs now in that state (and kept).
        delayed_soon: delayed jobs that are not due and will be within the time that was asked for.
        forwarding: failed jobs on their way to the dead-letter queue.
        oldest_waiting_ms: when the oldest waiting job became ready, Unix ms.
        oldest_free_ms: the same of those that no circuit of their group holds back.
        next_due_ms: when the next delayed job is due, Unix ms.
        enqueued_total … cancelled_total, finished_total, busy_ms_total: counters that only grow, of jobs, of attempts
            that came to an end, and of the milliseconds these ran.
        settings: what Redis holds; None: nothing was ever pushed.
        circuits_open, circuits: how many circuits are not closed, and up to twenty of them.
    """

    address: QueueAddress
    now_ms: int
    waiting: int
    active: int
    delayed: int
    delayed_due: int
    completed: int
    failed: int
    cancelled: int
    forwarding: int
    oldest_waiting_ms: int | None
    oldest_free_ms: int | None
    next_due_ms: int | None
    enqueued_total: int
    completed_total: int
    failed_total: int
    retried_total: int
    reclaimed_total: int
    cancelled_total: int
    busy_ms_total: int
    finished_total: int
    settings: QueueSettings | None
    workers: tuple[WorkerView, ...]
    delayed_soon: int = 0
    circuits_open: int = 0
    circuits: tuple[Circuit, ...] = ()

    @property
    def backlog(self) -> int:
        """Jobs that want a worker now: waiting, active, and delayed ones that are due."""
        return self.waiting + self.active + self.delayed_due

    @property
    def needy(self) -> bool:
        """Whether a due job waits to be promoted, a worker's lease has ended, or nobody is there to forward."""
        return self.delayed_due > 0 or any(worker.lease_ms < 0 for worker in self.workers) or self.abandoned

    @property
    def abandoned(self) -> bool:
        """Whether failed jobs are to be forwarded, and no live worker is there to do it."""
        return self.forwarding > 0 and all(worker.lease_ms < 0 for worker in self.workers)

    @classmethod
    def of(cls, address: QueueAddress, reading: looking.QueueReading) -> Self:
        """What was read."""
        return cls(
            address=address,
            now_ms=reading.now_ms,
            waiting=reading.count("waiting"),
            active=reading.count("active"),
            delayed=reading.delayed,
            delayed_due=reading.delayed_due,
            completed=reading.completed,
            failed=reading.failed,
            cancelled=reading.cancelled,
            forwarding=reading.forwarding,
            oldest_waiting_ms=reading.oldest_waiting_ms,
            oldest_free_ms=reading.oldest_free_ms,
            next_due_ms=reading.next_due_ms,
            enqueued_total=reading.count("enqueued"),
            completed_total=reading.count("completed"),
            failed_total=reading.count("failed"),
            retried_total=reading.count("retried"),
            reclaimed_total=reading.count("reclaimed"),
            cancelled_total=reading.count("cancelled"),
            busy_ms_total=reading.count("busy_ms"),
            finished_total=reading.count("finished"),
            settings=reading.settings,
            workers=reading.workers,
            delayed_soon=reading.delayed_soon,
            circuits_open=reading.circuits_open,
            circuits=reading.circuits,
        )
