"""What the operator says in `status`: conditions, display strings, and when a change is worth a write.

Pure. Conditions follow the conventions of Kubernetes: a list keyed by type, and
`lastTransitionTime` moves only when the status of the condition does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from jobfleet_operator.models import Condition
from jobfleet_operator.world import Manifest

READY = "Ready"
WORKERS_HEALTHY = "WorkersHealthy"
SCALING_LIMITED = "ScalingLimited"
ROLLED_OUT = "RolledOut"
DEAD_LETTER_READY = "DeadLetterReady"
CIRCUIT_CLOSED = "CircuitClosed"

HELD = frozenset({"RedisUnreachable", "QueueUnreadable"})
"""Reasons of troubles that may pass by themselves: a pool keeps what it knew before, and its roll-out goes on."""

MESSAGE_LIMIT = 1024
"""Characters that the API server keeps of a message."""

SHARE_THAT_MATTERS = 0.1
"""A number is written again at once when it has changed by more than this share."""
FRESH_SECONDS = 60.0
"""Smaller changes are written when the last write is this old."""
CALM_SECONDS = 2.0
"""Numbers of a queue are written no more often than this."""
AGE_SLACK_SECONDS = 5.0
"""The oldest job's time may be off by this much, or by the share above of its age."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said by one condition."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def conditions(
    before: Sequence[Manifest], findings: Sequence[Finding], *, generation: int, now: datetime
) -> list[Condition]:
    """The findings as conditions; the transition time of one that did not change its status stays."""
    known = {condition["type"]: condition for condition in before}
    return [
        Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:MESSAGE_LIMIT],
            observed_generation=generation,
            last_transition_time=known[finding.type]["lastTransitionTime"]
            if finding.type in known and known[finding.type]["status"] == finding.status
            else timestamp(now),
        )
        for finding in findings
    ]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times.

    >>> timestamp(datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_of_ms(unix_ms: int) -> str:
    """The same for milliseconds since 1970."""
    return timestamp(datetime.fromtimestamp(unix_ms / 1000, UTC))


def rate(jobs: int, seconds: float) -> str:
    """A throughput for people, with two digits, so that it does not change with every job.

    >>> rate(2403, 10.0), rate(37, 10.0), rate(2, 10.0), rate(0, 10.0)
    ('240/s', '3.7/s', '12/min', '0/s')
    """
    if jobs <= 0 or seconds <= 0:
        return NO_RATE
    per_second = jobs / seconds
    if per_second < 1:
        return f"{_two_digits(per_second * 60)}/min"
    return f"{_two_digits(per_second)}/s"


def _two_digits(value: float) -> str:
    if value >= 10:
        scale = 10 ** (len(str(int(value))) - 2)
        return str(round(value / scale) * scale)
    return f"{value:.1f}".removesuffix(".0")


def matters(before: Manifest, after: Manifest, *, age_seconds: float, now: datetime) -> bool:
    """Whether `after` is worth a write over `before`, which was written `age_seconds` ago.

    Words, conditions and small numbers count at once, large numbers when they change by a tenth,
    and any difference at all once the last write is a minute old. Sizes of a fleet count as they are.

    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> matters({"waiting": 1000}, {"waiting": 1050}, age_seconds=5.0, now=now)
    False
    >>> matters({"waiting": 1000}, {"waiting": 1050}, age_seconds=61.0, now=now)
    True
    >>> matters({"waiting": 1}, {"waiting": 0}, age_seconds=5.0, now=now)
    True
    """
    if before == after:
        return False
    if age_seconds >= FRESH_SECONDS:
        return True
    keys = before.keys() | after.keys()
    if age_seconds < CALM_SECONDS:
        keys -= _QUIET
    return any(_differs(key, before.get(key), after.get(key), now) for key in keys)


def only_numbers(before: Manifest, after: Manifest) -> bool:
    """Whether nothing differs but numbers that move with the jobs, and marks.

    >>> only_numbers({"waiting": 1, "health": "Healthy"}, {"waiting": 9, "health": "Healthy"})
    True
    """
    return all(before.get(key) == after.get(key) for key in (before.keys() | after.keys()) - _QUIET)


_GAUGES = frozenset({"waiting", "active", "delayed", "failed"})
_NUMBERS = _GAUGES | {"oldestJobTime", "rate", "busyWorkers"}
_MARKS = frozenset({"deploymentGeneration", "disruptionPercent", "connection"})
"""For the next operator: where they are old, its start costs one apply more."""
_BY_THE_WAY = frozenset({"startSeconds"})
"""Written along with something else."""
_QUIET = _NUMBERS | _MARKS | _BY_THE_WAY
NO_RATE = "0/s"


def _differs(key: str, before: object, after: object, now: datetime) -> bool:
    if before == after or key in _BY_THE_WAY:
        return False
    if key == "rate":
        return NO_RATE in {before, after}
    if key in _GAUGES and isinstance(before, int) and isinstance(after, int):
        if not before or not after:
            return True
        return abs(after - before) > max(before, after) * SHARE_THAT_MATTERS
    if key == "oldestJobTime" and isinstance(before, str) and isinstance(after, str):
        then, later = datetime.fromisoformat(before), datetime.fromisoformat(after)
        age = (now - later).total_seconds()
        return abs((later - then).total_seconds()) > max(AGE_SLACK_SECONDS, age * SHARE_THAT_MATTERS)
    return True
