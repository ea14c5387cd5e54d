"""How a queue is, for people and programs: a record made from one reading of Redis."""

from __future__ import annotations

from dataclasses import dataclass

from jobfleet.scripts.looking import Circuit, QueueReading

PROBLEM_CIRCUITS = 3
"""So many circuits are told of one by one."""


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
class CircuitStatus:
    """A circuit that is not closed.

    Attributes:
        group: whose it is; empty: the queue's.
        half_open: whether probes may run.
        open_seconds: how long ago it opened.
        probes_in: seconds until probes begin; 0: they may.
        failed_percent: failures in percent of the attempts that had ended, as it opened.
        kind: what the last failure is called; empty: it is not known.
    """

    group: str
    half_open: bool
    open_seconds: float
    probes_in: float
    failed_percent: int
    kind: str

    @classmethod
    def of(cls, seen: Circuit, now_ms: int) -> CircuitStatus:
        """The circuit as it is at a time."""
        since, probes = max(0, now_ms - seen.since_ms) / 1000, max(0, seen.probes_ms - now_ms) / 1000
        half_open = seen.half_open or not probes
        return cls(seen.group, half_open, since, 0.0 if half_open else probes, seen.failed_percent, seen.kind)

    def sentence(self) -> str:
        """What a person should know of it."""
        name = f"the circuit of group {self.group}" if self.group else "the circuit"
        why = f"{self.failed_percent} % of the attempts failed" + (f", the last by {self.kind}" if self.kind else "")
        when = "probes may run" if self.half_open else f"probes in {self.probes_in:.0f} s"
        return f"{name} is {'half open' if self.half_open else 'open'}: {why}; {when}"


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue at one instant.

    Attributes:
        waiting, delayed, active, completed, failed: jobs in that state now; of the last two, those still kept.
        completed_total, failed_total, retried_total, reclaimed_total, enqueued_total: ever since.
        oldest_age: seconds for which the oldest waiting job has been ready; 0 where none waits. Where more than sixteen
            groups have waiting jobs, of those whose turn is next. A job that was handed back is ready anew.
        forwarding: failed jobs that are on their way to the dead-letter queue; ``failed`` counts them as well.
        circuits_open: circuits that are not closed, one for the queue or one for each group.
        circuits: up to twenty of them.
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
    circuits_open: int = 0
    circuits: tuple[CircuitStatus, ...] = ()

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
            circuits_open=reading.circuits_open,
            circuits=tuple(CircuitStatus.of(circuit, reading.now_ms) for circuit in reading.circuits),
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
        found += [circuit.sentence() for circuit in self.circuits[:PROBLEM_CIRCUITS]]
        if (more := self.circuits_open - PROBLEM_CIRCUITS) > 0:
            found.append(f"the circuits of {more} more groups are not closed")
        if lost:
            found.append(f"workers without a lease: {', '.join(lost)}; their jobs go back to the queue")
        return found
