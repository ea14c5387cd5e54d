"""When the next attempt begins: a pure function of how often the job has failed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from jobfleet import checks
from jobfleet.errors import InvalidJob

MAX_ATTEMPTS = 100
"""Attempts that a job may be given; its failures are counted in one byte."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failed job waits for its next attempt.

    Attributes:
        kind: ``exponential`` doubles the wait with each failure, ``fixed`` keeps it.
        seconds: the wait after the first failure.
        cap_seconds: the longest wait.
        jitter: the part of the wait that is drawn at random, 0 to 1, so that jobs that failed together do not come back
            together ("equal jitter", M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

    Raises:
        InvalidJob: a value is out of its range; the sentence names the field.
    """

    kind: Literal["exponential", "fixed"] = "exponential"
    seconds: float = 1.0
    cap_seconds: float = 3600.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("exponential", "fixed"):
            raise InvalidJob("backoff.kind", f"{self.kind!r} is unknown; use 'exponential' or 'fixed'")
        checks.seconds("backoff.cap_seconds", self.cap_seconds)
        checks.number("backoff.seconds", self.seconds, 0, self.cap_seconds, named=f"cap_seconds ({self.cap_seconds})")
        checks.number("backoff.jitter", self.jitter, 0, 1)


def delay_ms(backoff: Backoff, failures: int, draw: float | None = None) -> int:
    """Milliseconds from the ``failures``-th failure to the next attempt; ``draw`` in [0, 1) fixes the jitter.

    >>> [delay_ms(Backoff(jitter=0), n) for n in (1, 2, 3, 20)]
    [1000, 2000, 4000, 3600000]
    >>> delay_ms(Backoff(seconds=10, jitter=0.5), 1, draw=0.5)
    7500
    """
    wait = backoff.seconds
    if backoff.kind == "exponential":
        wait = min(backoff.cap_seconds, backoff.seconds * 2.0 ** min(failures - 1, 64))
    if draw is None:
        draw = random.random()  # noqa: S311 - spreads load, hides nothing
    return round(1000 * wait * (1 - backoff.jitter * draw))
