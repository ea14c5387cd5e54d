"""Limits of a queue and of its groups, as code gives them."""

from __future__ import annotations

from dataclasses import dataclass

from jobfleet import checks, codec
from jobfleet.options import check_group_name
from jobfleet.settings import MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a queue lets through; None leaves a limit as it is, 0 takes it away.

    Attributes:
        max_active: jobs that run at a time, on all workers together.
        rate: jobs that are handed out in ``rate_seconds``, with bursts up to the same number.
        max_length: jobs that may wait or be delayed; more are refused with :class:`jobfleet.QueueFull`.
        group_max_active, group_rate, group_rate_seconds: likewise for each group by itself.
    """

    max_active: int | None = None
    rate: int | None = None
    rate_seconds: float = 1.0
    max_length: int | None = None
    group_max_active: int | None = None
    group_rate: int | None = None
    group_rate_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_active", "rate", "max_length", "group_max_active", "group_rate"):
            if getattr(self, name) is not None:
                checks.whole(name, getattr(self, name), 0, MOST)
        for name in ("rate_seconds", "group_rate_seconds"):
            checks.number(name, getattr(self, name), 0.001, MOST // 1000, what="seconds")

    def settings(self) -> dict[str, int]:
        """What is given, as the queue keeps it."""
        found = {
            "max_active": self.max_active,
            "max_length": self.max_length,
            "group_max_active": self.group_max_active,
        }
        kept = {name: value for name, value in found.items() if value is not None}
        if self.rate is not None:
            kept |= {"rate_count": self.rate, "rate_ms": round(self.rate_seconds * 1000)}
        if self.group_rate is not None:
            kept |= {"group_rate_count": self.group_rate, "group_rate_ms": round(self.group_rate_seconds * 1000)}
        return kept


def group_config(group: str, weight: float, max_active: int, rate: int, rate_seconds: float) -> bytes:
    """A group's own weight and limits, packed.

    Raises:
        InvalidJob: no group may be called so, or a value is out of its bounds; the error names it.
    """
    check_group_name(group)
    checks.number("weight", weight, 0.001, 1000)
    checks.whole("max_active", max_active, 0, MOST)
    checks.whole("rate", rate, 0, MOST)
    checks.number("rate_seconds", rate_seconds, 0.001, MOST // 1000, what="seconds")
    return codec.pack_group(weight, max_active, rate, round(rate_seconds * 1000))
