"""What a queue can be told: its settings, their defaults and bounds, spelt once.

Redis keeps them in the hash ``config`` of the queue, field by field, and the scripts read them there. Where a field is
missing, the scripts use the default from here: :mod:`jobfleet.scripts.command` writes it into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from jobfleet import checks
from jobfleet.errors import InvalidJob
from jobfleet.options import check_queue_name

MOST = 2_000_000_000
DAY = 86_400


def _stored(value: int | str) -> int | str:
    return value if isinstance(value, str) else int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """All settings of a queue, as Redis keeps them. 0 takes a limit away.

    Attributes:
        max_deliveries: lost leases after which a job is poison and fails.
        keep_completed, keep_completed_seconds, keep_failed, keep_failed_seconds: ended jobs that are kept, by count and
            by age, whichever is reached first; 0 keeps none; cancelled jobs are kept as failed ones. Age is looked
            at where jobs end, and every ten seconds by idle workers.
        max_job_bytes: what a job may weigh, packed.
        max_length: jobs that may wait or be delayed.
        max_memory_percent: used memory, in percent of Redis' ``maxmemory``, above which jobs are refused.
        events: events that are kept, about; fewer where they tell of many jobs each: some 20 ids for each event.
        audit: entries of the audit that are kept; it cannot be turned off.
        max_active: jobs that run at a time, on all workers together.
        rate_count, rate_ms: jobs that are handed out in that many milliseconds, with bursts up to the same number.
        group_max_active, group_rate_count, group_rate_ms: likewise for each group that has no limits of its own.
        paused: nothing is handed out.
        return_running: while it is paused, running jobs go back to the queue, unfailed.
        breaker_percent: failures, in percent of the outcomes of the last ``breaker_window_ms`` (at least of its second
            half), at which the circuit opens: nothing is handed out; 0: there is no circuit breaker.
        breaker_least: outcomes that must be known before it may open.
        breaker_open_ms: how long it stays open; then it is half open.
        breaker_probes: jobs that may run while it is half open; so many successes close it, one failure opens it again.
        breaker_per_group: each group of jobs has a circuit of its own, and jobs of no group have none.
        dead_letter: the queue that gets jobs which fail for good; empty: none.
    """

    max_deliveries: int = 3
    keep_completed: int = 1_000
    keep_completed_seconds: int = DAY
    keep_failed: int = 10_000
    keep_failed_seconds: int = 30 * DAY
    max_job_bytes: int = 256 * 1024
    max_length: int = 0
    max_memory_percent: int = 0
    events: int = 1_000
    audit: int = 1_000
    max_active: int = 0
    rate_count: int = 0
    rate_ms: int = 1_000
    group_max_active: int = 0
    group_rate_count: int = 0
    group_rate_ms: int = 1_000
    breaker_percent: int = 0
    breaker_least: int = 20
    breaker_window_ms: int = 60_000
    breaker_open_ms: int = 30_000
    breaker_probes: int = 3
    breaker_per_group: bool = False
    paused: bool = False
    return_running: bool = False
    dead_letter: str = ""

    def stored(self) -> dict[str, int | str]:
        """The fields as Redis keeps them."""
        return {name: _stored(getattr(self, name)) for name in NAMES}

    @classmethod
    def read(cls, flat: Sequence[bytes]) -> Self | None:
        """What the hash ``config`` says, name and value in turn; None where it says nothing.

        What this version does not know is left out.
        """
        if not flat:
            return None
        held = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
        known: dict[str, Any] = {name: held[name] for name in _TEXTS if name in held}
        known |= {name: held[name] == "1" for name in _SWITCHES if name in held}
        known |= {name: int(held[name]) for name in BOUNDS if held.get(name, "").isdigit()}
        return cls(**known)


_SWITCHES = ("paused", "return_running", "breaker_per_group")
_TEXTS = ("dead_letter",)
NAMES = tuple(field.name for field in fields(QueueSettings))
BOUNDS = {name: (0, MOST) for name in NAMES if name not in _SWITCHES + _TEXTS} | {
    "max_deliveries": (1, 254),
    "max_job_bytes": (1, 512 * 1024 * 1024),
    "max_memory_percent": (0, 100),
    "audit": (100, 100_000),
    "rate_ms": (1, MOST),
    "group_rate_ms": (1, MOST),
    "breaker_percent": (0, 100),
    "breaker_least": (1, 1_000_000),
    "breaker_window_ms": (2, 86_400_000),
    "breaker_open_ms": (1, 86_400_000),
    "breaker_probes": (1, 1_000_000),
}
"""The least and the most of each setting that is a number."""

DEFAULTS: dict[str, int | str] = QueueSettings().stored()
"""What a queue does that was told nothing."""


def checked(queue: str, settings: Mapping[str, int | str]) -> dict[str, int | str]:
    """Settings that may be written to ``queue``, as Redis keeps them.

    Raises:
        InvalidJob: one is unknown or out of its bounds; the error names it.
    """
    for name, value in settings.items():
        if name not in NAMES:
            raise InvalidJob(name, f"no queue has such a setting; there are {', '.join(NAMES)}")
        if name in _TEXTS:
            _check_dead_letter(queue, name, value)
        elif name in _SWITCHES:
            checks.truth(name, value)
        else:
            checks.whole(name, value, *BOUNDS[name])
    return {name: _stored(value) for name, value in settings.items()}


def _check_dead_letter(queue: str, name: str, value: object) -> None:
    if value == "":
        return
    try:
        check_queue_name(value)
    except InvalidJob as error:
        raise InvalidJob(name, str(error)) from error
    if value == queue:
        raise InvalidJob(name, f"queue {queue!r} cannot be its own dead-letter queue; name another one")
