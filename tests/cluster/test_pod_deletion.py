"""A Pod that is told to go finishes its job in its drain time, or hands it back."""

from __future__ import annotations

from .arena import Arena
from .polling import eventually


def test_a_deleted_pod_finishes_the_job_that_it_has(arena: Arena) -> None:
    arena.set_up(maxReplicas=1, drainSeconds=30)
    (job_id,) = arena.hold(8)
    arena.until_active(1)
    (victim,) = arena.pod_names()

    arena.kubectl.run("delete", "pod", victim, "--wait=false")

    (job,) = arena.until_completed(job_id)
    assert (job.attempt, job.result) == (1, victim)
    assert arena.status.reclaimed_total == 0


def test_what_does_not_finish_in_the_drain_time_goes_back_unfailed(arena: Arena) -> None:
    arena.set_up(maxReplicas=1, drainSeconds=2)
    (job_id,) = arena.hold(10)
    arena.until_active(1)
    (victim,) = arena.pod_names()

    arena.kubectl.run("delete", "pod", victim, "--wait=false")

    eventually(lambda: arena.job(job_id).attempt == 2, "another worker runs the job", seconds=20)
    job = arena.job(job_id)
    assert (job.failures, job.lost) == (0, 0)
    (job,) = arena.until_completed(job_id)
    assert job.result != victim
