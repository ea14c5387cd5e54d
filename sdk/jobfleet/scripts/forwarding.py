"""Verbs of those who carry failed jobs to a dead-letter queue, in two steps: the queues may live in different slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobfleet.audit import Author
from jobfleet.keys import queue_keys
from jobfleet.scripts.command import Argument, Command, Script

_forward = Script("forward")
_forwarded = Script("forwarded")

LEASE_MS = 30_000
"""How long taken jobs are left to whoever took them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A failed job to be carried: its record and its failures, as Redis keeps them."""

    id: str
    record: bytes
    errors: bytes | None


def forward(realm: str, queue: str, limit: int) -> Command[tuple[str, list[Taken]]]:
    """Take up to ``limit`` failed jobs to carry; the answer is where to, and the jobs."""

    def parse(raw: list[Any]) -> tuple[str, list[Taken]]:
        target, flat = raw
        return target.decode(), [Taken(flat[i].decode(), flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)]

    return Command(_forward, queue_keys(realm, queue).all, [limit, LEASE_MS], parse)


def forwarded(realm: str, queue: str, jobs: Sequence[tuple[str, int]], by: Author | None = None) -> Command[int]:
    """Say that these need not be carried any more: id, and when it failed, Unix ms. At least one must be given.

    ``by``: who asked for it, for the queue's audit; None: nobody, it was due.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument] = [by.packed() if by else b"", *(part for job in jobs for part in job)]
    return Command(_forwarded, [*keys.all, keys.audit], args, int)
