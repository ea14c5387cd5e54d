"""Verbs of those who make jobs."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from jobfleet import codec
from jobfleet.errors import InvalidJob, MemoryHigh, QueueFull
from jobfleet.keys import WAKE_CHANNEL, queue_keys
from jobfleet.scripts.command import Argument, Command, Script

_enqueue = Script("enqueue")
_enqueue_extended = Script("enqueue_extended")

_encode = msgspec.msgpack.Encoder().encode
_TERMS = attrgetter("priority", "due")
_BODY = attrgetter("body")

BATCH = 1000
"""Jobs in one call: few enough that a call keeps Redis busy for some milliseconds at most."""

BATCH_BYTES = 4 * 1024 * 1024
"""A call ends with the job that makes so many bytes: 250 MB at once hold Redis up for most of a second."""


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A job ready to send: checked and packed. ``due``: 0 now; above: Unix ms; below: ms from now.

    ``extension``: what :func:`jobfleet.codec.pack_extension` packed, or empty.
    ``wait``: seconds that its producer waits for room.
    """

    id: str
    priority: int
    due: int
    body: bytes
    extension: bytes = b""
    wait: float = 0.0


def batch_of(jobs: Sequence[NewJob], start: int = 0, most: int = BATCH) -> Sequence[NewJob]:
    """The jobs from ``start`` on that go in one call, within :data:`BATCH_BYTES`; at least one, where there is one.

    >>> jobs = [NewJob(str(n), 5, 0, bytes(1_500_000)) for n in range(5)]
    >>> [job.id for job in batch_of(jobs)], [job.id for job in batch_of(jobs, start=3)]
    (['0', '1', '2'], ['3', '4'])
    """
    batch = jobs[start : start + most]
    bytes_so_far = list(itertools.accumulate(map(len, map(_BODY, batch))))
    return batch[: bisect.bisect_left(bytes_so_far, BATCH_BYTES) + 1]


def enqueue(realm: str, queue: str, jobs: Sequence[NewJob]) -> Command[list[str | None]]:
    """Accept a batch of at most :data:`BATCH` jobs, all or none.

    The answer has for each its id where it is new, None where that id was known already, or the id of the job that
    stands for it by deduplication.

    Raises (from the answer):
        InvalidJob: a job is larger than its queue allows; nothing was accepted.
        QueueFull: the queue, or Redis (MemoryHigh), has no room for those of them that need some; nothing was accepted.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument]
    if any(job.extension for job in jobs):
        special = [(job.id, job.priority + (codec.EXTENDED if job.extension else 0), job.due) for job in jobs]
        args = [WAKE_CHANNEL, keys.address, keys.ends, _encode(special), *(job.extension + job.body for job in jobs)]
        return Command(_enqueue_extended, keys.all, args, lambda raw: _answer(queue, jobs, raw))
    lines: dict[int, int] = {}
    runs: list[list[int | str]] = []
    for (priority, due), alike in itertools.groupby(jobs, _TERMS):
        runs.append([lines.setdefault(priority, len(lines) + 1), priority, due, *(job.id for job in alike)])
    args = [WAKE_CHANNEL, keys.address, _encode(runs), *(job.body for job in jobs)]
    names = [keys.jobs, keys.counters, keys.delayed, keys.wake, keys.config, keys.events, *map(keys.line, lines)]
    return Command(_enqueue, names, args, lambda raw: _answer(queue, jobs, raw))


def offer(realm: str, queue: str, jobs: Sequence[NewJob]) -> Command[list[str | None] | InvalidJob | QueueFull]:
    """As :func:`enqueue`, with a refusal as its answer."""
    command = enqueue(realm, queue, jobs)

    def parse(raw: list[Any]) -> list[str | None] | InvalidJob | QueueFull:
        try:
            return command.parse(raw)
        except (InvalidJob, QueueFull) as refusal:
            return refusal

    return Command(command.script, command.keys, command.args, parse)


def room_pause(tries: int) -> float:
    """Seconds to wait before the ``tries``-th look whether there is room: from 10 ms to a quarter of a second."""
    return min(0.25, 0.01 * 2.0 ** min(tries - 1, 10)) * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, hides nothing


def _answer(queue: str, jobs: Sequence[NewJob], raw: list[Any]) -> list[str | None]:
    if raw and raw[0] == -1:
        _, index, limit = raw
        job = jobs[index - 1]
        weight = len(job.extension) + len(job.body)
        raise InvalidJob(
            "args",
            f"job {job.id} weighs {weight} bytes and queue {queue!r} takes at most {limit}; "
            "pass a reference to the data instead of the data, or raise spec.maxJobBytes",
        )
    if raw and raw[0] in (-2, -3):
        _, length, limit, *needless = raw
        full = (QueueFull if raw[0] == -2 else MemoryHigh)(queue, length, limit)
        full.needless = frozenset(place - 1 for place in needless)
        raise full
    if not raw:
        return [job.id for job in jobs]
    return [
        (job.id if answer == 1 else None) if answer in (0, 1) else answer.decode()
        for job, answer in zip(jobs, raw, strict=True)
    ]
