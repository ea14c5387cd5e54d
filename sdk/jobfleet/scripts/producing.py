"""Verbs of those who make jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobfleet.errors import InvalidJob
from jobfleet.keys import WAKE_CHANNEL, queue_keys
from jobfleet.scripts.command import Argument, Command, Script

_enqueue = Script("enqueue")

BATCH = 1000
"""Jobs in one call: few enough that a call keeps Redis busy for some milliseconds at most."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job ready to send: checked and packed. ``due``: 0 now; above: Unix ms; below: ms from now."""

    id: str
    priority: int
    due: int
    body: bytes


def enqueue(realm: str, queue: str, jobs: Sequence[NewJob]) -> Command[list[bool]]:
    """Accept a batch of at most :data:`BATCH` jobs, all or none; the answer says of each whether it is new.

    Raises (from the answer):
        InvalidJob: a job is larger than its queue allows; nothing was accepted.
    """
    keys = queue_keys(realm, queue)
    lines: dict[int, int] = {}
    args: list[Argument] = [WAKE_CHANNEL, keys.address]
    for job in jobs:
        index = lines.setdefault(job.priority, len(lines) + 1)
        args += (job.id, index, job.priority, job.due, job.body)

    def parse(raw: list[Any]) -> list[bool]:
        if raw and raw[0] == -1:
            _, index, limit = raw
            job = jobs[index - 1]
            raise InvalidJob(
                "args",
                f"job {job.id} weighs {len(job.body)} bytes and queue {queue!r} takes at most {limit}; "
                "pass a reference to the data instead of the data, or raise spec.maxJobBytes",
            )
        return [answer == 1 for answer in raw]

    names = [keys.jobs, keys.counters, keys.delayed, keys.wake, keys.config, *(keys.line(p) for p in lines)]
    return Command(_enqueue, names, args, parse)
