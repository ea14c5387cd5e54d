"""The states of a job.

::

                      ┌──────────── promote ───────────┐
                      │                                ▼
    enqueue ──► delayed ◄── retry after a delay ──┐  waiting ◄── enqueue
                                                  │    │  ▲
                                                  │  claim│ retry at once, return, reclaim
                                                  │    ▼  │
                                                  └── active ──► completed
                                                       │
                                                       └───────► failed   (fail; reclaim of a poison job)

    waiting, delayed, active ──► cancelled;  blocked ──► waiting: reserved for cancel and for dependencies.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job is in its life; the value is the word in status, metrics and logs."""

    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether a job stays here until it is retried by hand or forgotten."""
        return self in (State.COMPLETED, State.FAILED, State.CANCELLED)


BYTE = {
    State.WAITING: ord("W"),
    State.DELAYED: ord("D"),
    State.BLOCKED: ord("B"),
    State.ACTIVE: ord("A"),
    State.COMPLETED: ord("C"),
    State.FAILED: ord("F"),
    State.CANCELLED: ord("X"),
}
"""A state as the first byte of a record in Redis."""

FROM_BYTE = {byte: state for state, byte in BYTE.items()}
