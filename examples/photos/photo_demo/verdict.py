"""The judgement: what was enqueued, what the queue and the store say of it, and whether that is right. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Verdict:
    """The numbers of one demo."""

    enqueued: int
    completed: int
    failed: int
    left: int
    """Jobs that are neither completed nor failed, as the queue counts them."""
    opened: int
    distinct: int
    run_again: tuple[str, ...]
    never_run: tuple[str, ...]
    workers_before: int
    most_workers: int
    workers_after: int

    @classmethod
    def of(cls, produced: Mapping[str, Any], audit: Mapping[str, Any], *, workers: tuple[int, int, int]) -> Self:
        """Put together what the producer and the audit printed; `workers` are before, most, after."""
        before, now = produced["before"], audit["queue"]
        return cls(
            enqueued=produced["enqueued"],
            completed=now["completed"] - before["completed"],
            failed=now["failed"] - before["failed"],
            left=sum(now[state] - before[state] for state in ("waiting", "active", "delayed")),
            opened=audit["opened"],
            distinct=audit["distinct"],
            run_again=tuple(audit["run_again"]),
            never_run=tuple(audit["never_run"]),
            workers_before=workers[0],
            most_workers=workers[1],
            workers_after=workers[2],
        )

    @property
    def lost(self) -> int:
        """Jobs that Redis took and that are neither completed nor failed, or that left no thumbnail behind."""
        return max(self.enqueued - self.completed - self.failed, self.completed - self.opened)

    @property
    def summary(self) -> str:
        """The demo's last line."""
        return (
            f"demo: {self.enqueued} enqueued, {self.completed} completed, {self.failed} failed, {self.lost} lost; "
            f"workers {self.workers_before} -> {self.most_workers} -> {self.workers_after}"
        )

    def problems(self, wanted: int) -> list[str]:
        """Return a sentence for everything that is not as it should be after `wanted` photographs."""
        checks = [
            (self.enqueued != wanted, f"{wanted} photographs should have been enqueued, but {self.enqueued} were."),
            (self.completed != wanted, f"{wanted} jobs should be completed, but {self.completed} are."),
            (self.failed != 0, f"{self.failed} jobs failed."),
            (self.left != 0, f"{self.left} jobs are still in the queue."),
            (self.lost != 0, f"{self.lost} jobs are lost."),
            (self.opened != wanted, f"{self.opened} of {wanted} thumbnails can be opened."),
            (self.distinct != wanted, f"{self.distinct} of {wanted} thumbnails differ from each other."),
            (bool(self.run_again), f"Processed more than once: photographs {_some(self.run_again)}."),
            (bool(self.never_run), f"Never processed: photographs {_some(self.never_run)}."),
            (self.workers_before != 0, f"There were {self.workers_before} workers before there was any work."),
            (self.most_workers == 0, "No worker ever became ready."),
            (self.workers_after != 0, f"{self.workers_after} workers are left after the work."),
        ]
        return [sentence for wrong, sentence in checks if wrong]


def _some(names: tuple[str, ...], most: int = 10) -> str:
    """The first few of many.

    >>> _some(("1", "2", "3"), most=2)
    '1, 2 and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
