"""Verbs of those who look: a queue, a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobfleet import codec
from jobfleet.job import JobView
from jobfleet.keys import queue_keys
from jobfleet.scripts.command import Command, Script

_inspect = Script("inspect")
_look = Script("look")


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """A worker as Redis knows it; ``lease_ms`` is what is left of its lease, negative when overdue."""

    id: str
    name: str
    pool: str
    slots: int
    busy: int
    lease_ms: int
    draining: bool


@dataclass(frozen=True, slots=True)
class QueueReading:
    """The answer to inspect. Counters only grow; the other numbers are how things stand at ``now_ms``."""

    now_ms: int
    counters: dict[str, int]
    delayed: int
    delayed_due: int
    next_due_ms: int | None
    completed: int
    failed: int
    oldest_waiting_ms: int | None
    settings: dict[str, int]
    workers: tuple[WorkerReading, ...]

    def count(self, word: str) -> int:
        """A counter by name; 0 before its first event, and never below."""
        return max(0, self.counters.get(word, 0))


def inspect(realm: str, queue: str) -> Command[QueueReading]:
    """How a queue is; the cost grows with its workers, not with its jobs."""
    keys = queue_keys(realm, queue)
    names = [
        keys.jobs, keys.counters, keys.delayed, keys.config, keys.workers, keys.info, keys.draining, keys.busy,
        keys.completed, keys.failed, *keys.lines,
    ]  # fmt: skip
    return Command(_inspect, names, [], _reading)


def _numbers(flat: list[bytes]) -> dict[str, int]:
    return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}


def _reading(raw: list[Any]) -> QueueReading:
    now, counters, delayed, delayed_due, next_due, completed, failed, oldest, settings, fleet = raw
    workers = []
    for i in range(0, len(fleet), 5):
        worker, lease_end, info, busy, draining = fleet[i : i + 5]
        said = codec.unpack_info(info)
        workers.append(
            WorkerReading(worker.decode(), said.name, said.pool, said.slots, busy, lease_end - now, draining == 1)
        )
    return QueueReading(
        now_ms=now,
        counters=_numbers(counters),
        delayed=delayed,
        delayed_due=delayed_due,
        next_due_ms=next_due or None,
        completed=completed,
        failed=failed,
        oldest_waiting_ms=oldest or None,
        settings=_numbers(settings),
        workers=tuple(workers),
    )


def look(realm: str, queue: str, job_id: str) -> Command[JobView | None]:
    """One job by its id; None where there is none, or no longer."""
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any] | None) -> JobView | None:
        return codec.view(queue, job_id, *raw) if raw else None

    return Command(_look, [keys.jobs, keys.results, keys.errors], [job_id], parse)
