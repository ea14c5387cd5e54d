"""Verbs of those who look: a queue, a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobfleet import codec
from jobfleet.job import JobLog, JobView
from jobfleet.keys import queue_keys
from jobfleet.report import unpack_log
from jobfleet.scripts.command import Command, Script
from jobfleet.seal import PLAIN, Seal
from jobfleet.states import State

_inspect = Script("inspect")
_look = Script("look")
_await_end = Script("await_end")
_list = Script("list")
_read_log = Script("read_log")


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker of a queue. ``id`` is unique to a process, ``name`` is what its environment calls it (its Pod).

    Attributes:
        lease_ms: what is left of its lease; negative: overdue.
    """

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
    cancelled: int
    groups: int
    oldest_waiting_ms: int | None
    settings: dict[str, int]
    workers: tuple[WorkerView, ...]

    def count(self, word: str) -> int:
        """A counter by name; 0 before its first event, and never below."""
        return max(0, self.counters.get(word, 0))


def inspect(realm: str, queue: str) -> Command[QueueReading]:
    """How a queue is; the cost grows with its workers, not with its jobs."""
    keys = queue_keys(realm, queue)
    names = [
        keys.jobs, keys.counters, keys.delayed, keys.config, keys.workers, keys.info, keys.draining, keys.busy,
        keys.completed, keys.failed, *keys.lines, keys.cancelled, keys.ring, keys.group_parked,
    ]  # fmt: skip
    return Command(_inspect, names, [], _reading)


def _numbers(flat: list[bytes]) -> dict[str, int]:
    """The whole numbers among a hash's fields: a counter, a setting."""
    return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2) if flat[i + 1].lstrip(b"-").isdigit()}


def _reading(raw: list[Any]) -> QueueReading:
    now, counters, delayed, delayed_due, next_due, completed, failed, oldest, settings, fleet, cancelled, groups = raw
    workers = []
    for i in range(0, len(fleet), 5):
        worker, lease_end, info, busy, draining = fleet[i : i + 5]
        said = codec.unpack_info(info)
        workers.append(
            WorkerView(worker.decode(), said.name, said.pool, said.slots, busy, lease_end - now, draining == 1)
        )
    return QueueReading(
        now_ms=now,
        counters=_numbers(counters),
        delayed=delayed,
        delayed_due=delayed_due,
        next_due_ms=next_due or None,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        groups=groups,
        oldest_waiting_ms=oldest or None,
        settings=_numbers(settings),
        workers=tuple(workers),
    )


def look(realm: str, queue: str, job_id: str, *, seal: Seal = PLAIN) -> Command[JobView | None]:
    """One job by its id; None where there is none, or no longer."""
    keys = queue_keys(realm, queue)
    return Command(_look, [keys.jobs, keys.results, keys.errors, keys.progress], [job_id], _one(queue, job_id, seal))


def await_end(realm: str, queue: str, job_id: str, *, seal: Seal = PLAIN) -> Command[JobView | None]:
    """As :func:`look`; and if the job has not ended, its end will be told once on the channel ``QueueKeys.ends``."""
    keys = queue_keys(realm, queue)
    names = [keys.jobs, keys.results, keys.errors, keys.progress, keys.awaited]
    return Command(_await_end, names, [job_id], _one(queue, job_id, seal))


def _one(queue: str, job_id: str, seal: Seal) -> Callable[[list[Any] | None], JobView | None]:
    return lambda raw: codec.view(queue, job_id, *raw, seal=seal) if raw else None


def list_jobs(
    realm: str, queue: str, state: State, start: int, limit: int, *, seal: Seal = PLAIN
) -> Command[list[JobView]]:
    """A page of the jobs that wait, are delayed or have ended: the newest first, of delayed and waiting the next."""

    def parse(flat: list[Any]) -> list[JobView]:
        return [codec.view(queue, flat[i].decode(), *flat[i + 1 : i + 5], seal=seal) for i in range(0, len(flat), 5)]

    return Command(_list, queue_keys(realm, queue).all, [state.value, start, limit], parse)


def read_log(realm: str, queue: str, job_id: str, start: int, limit: int) -> Command[JobLog]:
    """Lines of a job's log from number ``start``, at most ``limit``; below 0, ``start`` counts from the end."""
    names = [queue_keys(realm, queue).logs]
    return Command(_read_log, names, [job_id], lambda raw: unpack_log(raw, start, limit))
