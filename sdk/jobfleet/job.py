"""A job as its handler and its onlookers see it: records that know nothing of Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from jobfleet.retry import Backoff
from jobfleet.states import State


class Body(msgspec.Struct, frozen=True):
    """What the producer packed; no script of the queue looks into it."""

    name: str
    args: dict[str, Any]
    attempts: int
    backoff: Backoff
    timeout: float | None
    metadata: dict[str, str]


class ClaimedJob(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a job to a worker. ``attempt`` numbers the deliveries from 1 and is the fencing token."""

    queue: str
    id: str
    attempt: int
    failures: int
    lost: int
    enqueued_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        kind: the exception's class, or ``timeout``, ``lease lost``, ``poison``, ``expired``, ``unknown job``,
            ``bad arguments``, ``bad result``.
        message: its text, cut at 2,000 characters.
        traceback: cut at 8,000 characters from the end; empty where there is none.
        attempt: which delivery failed; 0 where no worker lived to tell.
        fingerprint: the same for failures with one cause, whatever numbers and ids their messages hold.
        final: its kind: no further attempt could have helped (``Unrecoverable``, bad arguments or result, poison,
            expired), so the job failed whatever attempts were left. False: it was worth another one, if there was one.
        at_ms: when, Unix ms of Redis' clock.
        worker: the id of the worker whose attempt it was; empty where none ran it.
    """

    kind: str
    message: str
    traceback: str = ""
    attempt: int = 0
    fingerprint: str = ""
    final: bool = False
    at_ms: int = 0
    worker: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job looked up by its id. Times are Unix milliseconds of Redis' clock; 0: not yet.

    Attributes:
        since_ms: when it came into its state; of a delayed job, when it is due.
        started_ms: when its last attempt began.
        attempt: deliveries so far; ``failures`` of them failed, ``lost`` of them lost their lease.
        error: the last failure; ``history`` has the earlier ones too, the oldest first, 32 KiB of them at most.
        progress: what a handler told last: percent, or data; None also where it cannot be opened here.
        worker: the id of the worker that runs it, where that was looked up (``fleet.queue(name).job(id)`` does).
        unopened: why the result cannot be opened here, so that ``result`` is None; empty: it was, or there is none.
    """

    queue: str
    id: str
    state: State
    name: str
    args: dict[str, Any]
    priority: int
    attempt: int
    attempts: int
    failures: int
    lost: int
    enqueued_ms: int
    since_ms: int
    started_ms: int
    result: Any
    error: Failure | None
    history: tuple[Failure, ...]
    progress: Any
    group: str | None
    metadata: dict[str, str]
    worker: str = ""
    unopened: str = ""

    @property
    def ended_ms(self) -> int:
        """When it completed, failed or was cancelled; 0: it has not."""
        return self.since_ms if self.state.terminal else 0

    @property
    def due_ms(self) -> int:
        """When a delayed job may run; 0: it is not delayed."""
        return self.since_ms if self.state is State.DELAYED else 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a handler logged: when, in Unix ms of its worker's clock, and in which attempt."""

    at_ms: int
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class JobLog:
    """A page of a job's log. Lines are numbered from 0 over all attempts, and keep their numbers when older ones go.

    Attributes:
        first: the number of the page's first line; above what was asked for where older lines are gone.
        total: how many lines were logged so far; to follow a log, ask for what comes from there.
    """

    first: int
    lines: tuple[LogLine, ...]
    total: int
