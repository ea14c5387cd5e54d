"""A worker that dies takes no job with it."""

from __future__ import annotations

import pytest

from .arena import Arena, containers
from .polling import eventually

BACK_SECONDS = 15
"""By then a dead worker's job runs again, the start of the new worker included."""


def test_the_job_of_a_killed_pod_is_back_within_seconds_and_runs_again(arena: Arena) -> None:
    arena.set_up(maxReplicas=2)
    jobs = arena.hold_on(2)
    victim = min(arena.pod_names())

    arena.kubectl.run("delete", "pod", victim, "--grace-period=0", "--force")

    eventually(
        lambda: any(arena.job(job).attempt == 2 for job in jobs), "the job runs again", seconds=BACK_SECONDS + 15
    )
    arena.let_go()
    done = arena.until_completed(*jobs)
    assert sorted(job.attempt for job in done) == [1, 2]
    assert [job.failures for job in done] == [0, 0]
    assert arena.status.failed == 0


@pytest.mark.parametrize("job_name", ["die_once", "eat_once"])
def test_the_job_of_a_container_that_ended_in_a_pod_that_stays_does_not_wait_for_the_lease(
    arena: Arena, job_name: str
) -> None:
    arena.set_up(maxReplicas=1, template=containers(resources={"limits": {"memory": "256Mi"}}))
    job_id = arena.fleet.enqueue_sync("held", job_name, {})
    (job,) = arena.until_completed(job_id)
    assert (job.attempt, job.lost, job.failures) == (2, 1, 0)
    (pod,) = arena.pod_names()
    told = eventually(lambda: arena.events("Reclaimed"), "an Event tells")
    assert told == [f"1 jobs of a container of Pod {pod} that ended are back in queue held"]


def test_a_pod_that_crashes_again_and_again_is_named_with_the_reason(arena: Arena) -> None:
    arena.set_up(minReplicas=1, template=containers(command=["sh", "-c", "echo no photos >&2; exit 3"]))
    (pod,) = eventually(arena.pod_names, "there is a Pod")
    eventually(lambda: arena.condition("WorkersHealthy").get("reason") == "CrashLoopBackOff", "it is told")
    message = arena.condition("WorkersHealthy")["message"]
    assert message.startswith(f"Pod {pod} cannot run: CrashLoopBackOff: ")
    assert message.endswith("it ended with Error (3), and said 'no photos'")


def test_a_pod_whose_image_cannot_be_had_is_named_with_the_reason(arena: Arena) -> None:
    arena.set_up(minReplicas=1, template=containers(image="localhost/none:1"))
    (pod,) = eventually(arena.pod_names, "there is a Pod")
    eventually(
        lambda: arena.condition("WorkersHealthy").get("reason") in {"ErrImagePull", "ImagePullBackOff"}, "it is told"
    )
    assert arena.condition("WorkersHealthy")["message"].startswith(f"Pod {pod} cannot run: ")
    arena.change_pool(template=containers())
    eventually(lambda: arena.condition("WorkersHealthy").get("status") == "True", "the correction is seen")
