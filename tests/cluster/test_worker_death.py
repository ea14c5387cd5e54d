"""A worker that dies takes no job with it."""

from __future__ import annotations

from .arena import Arena
from .polling import eventually

BACK_SECONDS = 15
"""By then a dead worker's job runs again, the start of the new worker included."""


def test_the_job_of_a_killed_pod_is_back_within_seconds_and_runs_again(arena: Arena) -> None:
    arena.set_up(maxReplicas=2)
    jobs = arena.hold(12, 12)
    arena.until_active(2)
    victim = min(arena.pod_names())

    arena.kubectl.run("delete", "pod", victim, "--grace-period=0", "--force")

    eventually(
        lambda: any(arena.job(job).attempt == 2 for job in jobs), "the job runs again", seconds=BACK_SECONDS + 15
    )
    done = arena.until_completed(*jobs)
    assert sorted(job.attempt for job in done) == [1, 2]
    assert [job.failures for job in done] == [0, 0]
    assert arena.status.failed == 0


def test_a_worker_that_crashes_in_a_job_loses_its_lease_and_the_job_runs_again(arena: Arena) -> None:
    arena.set_up(maxReplicas=1)
    job_id = arena.fleet.enqueue_sync("held", "die_once", {})
    (job,) = arena.until_completed(job_id)
    assert (job.attempt, job.lost, job.failures) == (2, 1, 0)
