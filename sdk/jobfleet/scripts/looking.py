"""Verbs of those who look: a queue, a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from jobfleet import codec, record
from jobfleet.audit import AuditEntry, unpack_entries
from jobfleet.job import JobLog, JobView
from jobfleet.keys import queue_keys
from jobfleet.report import unpack_log
from jobfleet.scripts.command import Argument, Command, Script
from jobfleet.seal import PLAIN, Seal
from jobfleet.settings import QueueSettings
from jobfleet.states import State

_inspect = Script("inspect")
_look = Script("look")
_await_end = Script("await_end")
_holder = Script("holder")
_list = Script("list")
_list_active = Script("list_active")
_waiting_groups = Script("waiting_groups")
_list_groups = Script("list_groups")
_read_log = Script("read_log")
_read_audit = Script("read_audit")


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker of a queue. ``id`` is unique to a process, ``name`` is what its environment calls it (its Pod).

    Attributes:
        lease_ms: what is left of its lease; negative: overdue.
        drain_ms: for how long it will be given no job, unless it is told again; 0: it is given jobs.
        started_ms: when its process started, by its own clock, Unix ms; 0: it does not say.
    """

    id: str
    name: str
    pool: str
    slots: int
    busy: int
    lease_ms: int
    drain_ms: int = 0
    started_ms: int = 0

    @property
    def process(self) -> str:
        """The process id within its container, from an id as `WorkerSettings` makes it."""
        return self.id.rpartition(".")[2].partition("-")[0]

    @property
    def draining(self) -> bool:
        """Whether it is given no job."""
        return self.drain_ms > 0


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit that is not closed.

    Attributes:
        group: whose it is; empty: the queue's.
        half_open: whether probes may run. An open one whose ``probes_ms`` has come lets them through as well.
        since_ms: when it opened, Unix ms.
        probes_ms: when probes begin, Unix ms.
        failed_percent: failures in percent of all outcomes, as it opened.
        kind: what the last failure is called; empty: it is not known.
        waiting: jobs of that group that wait; 0 for the queue's.
        probing: probes that run.
    """

    group: str
    half_open: bool
    since_ms: int
    probes_ms: int
    failed_percent: int
    kind: str
    waiting: int = 0
    probing: int = 0


@dataclass(frozen=True, slots=True)
class QueueReading:
    """The answer to inspect. Counters only grow; the other numbers are how things stand at ``now_ms``.

    ``settings`` is what Redis holds; None: nothing was ever written. ``circuits`` are up to twenty of the
    ``circuits_open`` that are not closed.
    """

    now_ms: int
    counters: dict[str, int]
    delayed: int
    delayed_due: int
    delayed_soon: int
    next_due_ms: int | None
    completed: int
    failed: int
    cancelled: int
    groups: int
    forwarding: int
    oldest_waiting_ms: int | None
    oldest_free_ms: int | None
    settings: QueueSettings | None
    workers: tuple[WorkerView, ...]
    circuits_open: int
    circuits: tuple[Circuit, ...]

    def count(self, word: str) -> int:
        """A counter by name; 0 before its first event, and never below."""
        return max(0, self.counters.get(word, 0))


def inspect(realm: str, queue: str, ahead_ms: int = 0) -> Command[QueueReading]:
    """How a queue is, and how many delayed jobs fall due within ``ahead_ms``.

    The cost grows with its workers, and with the logarithm of its delayed jobs. Since when the oldest job has waited is
    found for jobs of no group and for up to sixteen groups (and 32 lines of theirs, one for each priority); where more
    have waiting jobs, those are looked at whose turn is next. Behind jobs that were handed back, it is a bound.
    """
    keys = queue_keys(realm, queue)
    names = [
        keys.jobs, keys.counters, keys.delayed, keys.config, keys.workers, keys.info, keys.draining, keys.busy,
        keys.completed, keys.failed, *keys.lines, keys.cancelled, keys.ring, keys.group_parked, keys.forwarding,
        keys.kept, keys.circuit, keys.group_wait, keys.group_line, keys.group_part,
    ]  # fmt: skip
    return Command(_inspect, names, [ahead_ms], _reading)


def _numbers(flat: list[bytes]) -> dict[str, int]:
    """The whole numbers among a hash's fields."""
    return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2) if flat[i + 1].lstrip(b"-").isdigit()}


def _reading(raw: list[Any]) -> QueueReading:
    now, counters, delayed, delayed_due, next_due, completed, failed, oldest, settings, fleet, *rest = raw
    cancelled, groups, forwarding, soon, circuits_open, circuits, oldest_free = rest
    workers = []
    for i in range(0, len(fleet), 5):
        worker, lease_end, info, busy, drained_until = fleet[i : i + 5]
        said = codec.unpack_info(info)
        workers.append(
            WorkerView(
                worker.decode(),
                said.name,
                said.pool,
                said.slots,
                busy,
                lease_end - now,
                max(0, drained_until - now),
                said.started_ms,
            )
        )
    return QueueReading(
        now_ms=now,
        counters=_numbers(counters),
        delayed=delayed,
        delayed_due=delayed_due,
        delayed_soon=soon,
        next_due_ms=next_due or None,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        groups=groups,
        forwarding=forwarding,
        oldest_waiting_ms=oldest or None,
        oldest_free_ms=oldest_free or None,
        settings=QueueSettings.read(settings),
        workers=tuple(workers),
        circuits_open=circuits_open,
        circuits=tuple(sorted(_circuits(circuits), key=lambda circuit: circuit.group)),
    )


class _Circuit(msgspec.Struct):
    """As ``_circuit.lua`` keeps it."""

    half: int
    since: int
    ends: int
    out: int
    percent: int
    kind: str


_decode_circuit = msgspec.msgpack.Decoder(_Circuit).decode


def _circuits(flat: list[Any]) -> Iterator[Circuit]:
    for i in range(0, len(flat), 3):
        scope, packed, waiting = flat[i : i + 3]
        said = _decode_circuit(packed)
        half_open, probing = said.half > 0, said.out if said.half else 0
        yield Circuit(scope.decode(), half_open, said.since, said.ends, said.percent, said.kind, waiting, probing)


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
    return lambda raw: record.view(queue, job_id, *raw, seal=seal) if raw else None


def holder(realm: str, queue: str, job_id: str, workers: Sequence[str]) -> Command[str]:
    """Which of these workers runs a job; empty: none."""
    keys = queue_keys(realm, queue)
    names = [keys.active(worker) for worker in workers]
    return Command(_holder, names, [job_id, *workers], lambda raw: raw.decode())


Page = tuple[int, list[JobView]]
"""How many ids were looked at, and the jobs behind those that still stand for one."""


def list_jobs(realm: str, queue: str, state: State, start: int, limit: int, *, seal: Seal = PLAIN) -> Command[Page]:
    """A page of the jobs that wait in no group, are delayed or have ended: the newest first, of the others the next."""
    args: list[Argument] = [state.value, start, limit]
    return Command(_list, queue_keys(realm, queue).all, args, lambda raw: (raw[0], _views(queue, raw[1], seal)))


def list_active(
    realm: str, queue: str, workers: Sequence[str], start: int, limit: int, *, seal: Seal = PLAIN
) -> Command[Page]:
    """A page of the jobs that these workers run."""
    keys = queue_keys(realm, queue)
    names = [keys.jobs, keys.results, keys.errors, keys.progress, *(keys.active(worker) for worker in workers)]

    def parse(raw: list[Any]) -> Page:
        looked, flat = raw
        parts = (flat[i : i + 6] for i in range(0, len(flat), 6))
        return looked, [
            replace(record.view(queue, job_id.decode(), *rest, seal=seal), worker=worker.decode())
            for job_id, *rest, worker in parts
        ]

    return Command(_list_active, names, [start, limit, *workers], parse)


def waiting_groups(realm: str, queue: str, cursor: int) -> Command[tuple[int, list[str]]]:
    """Some groups with waiting jobs, and where to go on; from 0 until it is 0 again."""
    names = [queue_keys(realm, queue).group_wait]
    return Command(_waiting_groups, names, [cursor], lambda raw: (raw[0], [group.decode() for group in raw[1]]))


@dataclass(frozen=True, slots=True)
class GroupsPage:
    """Waiting jobs of groups; so many of the groups are through, and ``place`` is where to go on in the next."""

    through: int
    place: tuple[int, bytes]
    jobs: list[JobView]


HEAD = (1, b"")
"""The place at which a group's jobs begin."""


def list_groups(
    realm: str, queue: str, groups: Sequence[str], place: tuple[int, bytes], limit: int, *, seal: Seal = PLAIN
) -> Command[GroupsPage]:
    """The waiting jobs of these groups, from ``place`` on in the first; a few more than ``limit`` may come."""
    keys = queue_keys(realm, queue)
    names = [keys.jobs, keys.results, keys.errors, keys.progress, keys.group_line, keys.group_part]

    def parse(raw: list[Any]) -> GroupsPage:
        through, priority, node, flat = raw
        return GroupsPage(through, (priority, node), _views(queue, flat, seal))

    return Command(_list_groups, names, [limit, *place, *groups], parse)


def _views(queue: str, flat: list[Any], seal: Seal) -> list[JobView]:
    return [record.view(queue, flat[i].decode(), *flat[i + 1 : i + 5], seal=seal) for i in range(0, len(flat), 5)]


def read_log(realm: str, queue: str, job_id: str, start: int, limit: int) -> Command[JobLog]:
    """Lines of a job's log from number ``start``, at most ``limit``; below 0, ``start`` counts from the end."""
    names = [queue_keys(realm, queue).logs]
    return Command(_read_log, names, [job_id], lambda raw: unpack_log(raw, start, limit))


def read_audit(realm: str, queue: str, newest: int) -> Command[list[AuditEntry]]:
    """The newest entries of a queue's audit, the newest first."""
    return Command(_read_audit, [queue_keys(realm, queue).audit], [newest], unpack_entries)
