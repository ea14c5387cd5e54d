"""A fleet that shrinks interrupts nothing."""

from __future__ import annotations

from .arena import Arena
from .polling import eventually


def test_idle_workers_go_and_busy_ones_stay_until_they_are_done(arena: Arena) -> None:
    arena.set_up(maxReplicas=4)
    long_jobs, short_jobs = arena.hold_on(2), arena.hold(2, 2)
    arena.until_completed(*short_jobs)

    eventually(lambda: len(arena.pods()) == 2, "two of four workers are gone")
    assert [arena.job(job).state for job in long_jobs] == ["active", "active"]
    arena.let_go()

    done = arena.until_completed(*long_jobs)
    assert [(job.attempt, job.lost, job.failures) for job in done] == [(1, 0, 0), (1, 0, 0)]
    assert arena.status.reclaimed_total == 0
    arena.until_no_workers()
