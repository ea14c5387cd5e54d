"""The one place that spells Redis keys.

Every key of a queue carries the hash tag ``{realm/queue}``, so that a queue lives in one slot of a Redis Cluster and
its scripts may touch all of them. The realm keeps apart who shares a Redis: the operator uses the Kubernetes namespace.
"""

from __future__ import annotations

from functools import lru_cache

from jobfleet.options import FIRST_PRIORITY, LAST_PRIORITY

WAKE_CHANNEL = "jf:wake"
"""Where a queue that gets work while it is empty says so, as ``realm/queue``."""


class QueueKeys:
    """The keys of one queue, spelt once."""

    __slots__ = (
        "address",
        "busy",
        "completed",
        "config",
        "counters",
        "delayed",
        "draining",
        "errors",
        "failed",
        "info",
        "jobs",
        "lines",
        "prefix",
        "results",
        "wake",
        "workers",
    )

    def __init__(self, realm: str, queue: str) -> None:
        self.address = f"{realm}/{queue}"
        self.prefix = prefix = f"jf:{{{realm}/{queue}}}:"
        self.jobs = prefix + "jobs"  # hash: id -> record
        self.counters = prefix + "counters"  # hash: word -> number
        self.config = prefix + "config"  # hash: setting -> value
        self.lines = tuple(
            f"{prefix}wait:{p}" for p in range(FIRST_PRIORITY, LAST_PRIORITY + 1)
        )  # list: ids, head first
        self.delayed = prefix + "delayed"  # zset: id by due ms
        self.completed = prefix + "completed"  # list: ids, newest first
        self.failed = prefix + "failed"  # zset: id by ms
        self.results = prefix + "results"  # hash: id -> bytes
        self.errors = prefix + "errors"  # hash: id -> bytes
        self.workers = prefix + "workers"  # zset: worker by end of lease, ms
        self.info = prefix + "info"  # hash: worker -> bytes
        self.busy = prefix + "busy"  # hash: worker -> jobs it holds
        self.draining = prefix + "draining"  # set: worker
        self.wake = prefix + "wake"  # list: at most one token

    def active(self, worker: str) -> str:
        """Hash id -> attempt: what one worker holds."""
        return f"{self.prefix}active:{worker}"

    def line(self, priority: int) -> str:
        """The waiting line of a priority, 1 to 10."""
        return self.lines[priority - FIRST_PRIORITY]

    def shared(self) -> tuple[str, ...]:
        """Every key but the workers' own."""
        return (
            self.jobs, self.counters, self.config, *self.lines, self.delayed, self.completed, self.failed, self.results,
            self.errors, self.workers, self.info, self.busy, self.draining, self.wake,
        )  # fmt: skip


@lru_cache(maxsize=65_536)
def queue_keys(realm: str, queue: str) -> QueueKeys:
    """The keys of a queue, made once for each."""
    return QueueKeys(realm, queue)
