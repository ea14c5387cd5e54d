"""A Pod that is told to go finishes its job in its drain time, or hands it back."""

from __future__ import annotations

from .arena import Arena
from .polling import eventually


def test_a_deleted_pod_finishes_the_job_that_it_has(arena: Arena) -> None:
    arena.set_up(maxReplicas=1, drainSeconds=30)
    (job_id,) = arena.hold_on(1)
    (victim,) = arena.pod_names()

    arena.kubectl.run("delete", "pod", victim, "--wait=false")

    eventually(lambda: victim not in arena.pod_names(), "it was told")
    assert arena.job(job_id).state == "active"
    arena.let_go()
    (job,) = arena.until_completed(job_id)
    assert (job.attempt, job.result) == (1, victim)
    assert arena.status.reclaimed_total == 0


def test_what_does_not_finish_in_the_drain_time_goes_back_unfailed(arena: Arena) -> None:
    arena.set_up(maxReplicas=1, drainSeconds=2)
    (job_id,) = arena.hold_on(1)
    (victim,) = arena.pod_names()

    arena.kubectl.run("delete", "pod", victim, "--wait=false")

    eventually(lambda: arena.job(job_id).attempt == 2, "another worker runs the job")
    job = arena.job(job_id)
    assert (job.failures, job.lost) == (0, 0)
    arena.let_go()
    (job,) = arena.until_completed(job_id)
    assert job.result != victim
