"""A new version of the workers interrupts no job of the old one."""

from __future__ import annotations

from .arena import Arena, containers
from .polling import eventually

VERSION = {"name": "VERSION", "value": "2"}


def test_old_workers_finish_jobs_that_take_longer_than_their_drain_time(arena: Arena) -> None:
    arena.set_up(minReplicas=2, maxReplicas=2, drainSeconds=1)
    jobs = arena.hold_on(2)
    old = arena.pod_names()

    env = containers()["spec"]["containers"][0]["env"]
    arena.change_pool(template=containers(env=[*env, VERSION]))

    eventually(lambda: len(arena.pod_names() - old) == 1, "a new worker stands beside the old ones")
    eventually(
        lambda: "waiting for 2 that finish their jobs" in arena.condition("RolledOut").get("message", ""),
        "the condition says what it waits for",
    )
    (quick,) = arena.hold(0.1)
    (job,) = arena.until_completed(quick)
    assert job.result not in old
    arena.let_go()
    done = arena.until_completed(*jobs)
    assert [(job.attempt, job.result in old) for job in done] == [(1, True)] * 2
    eventually(lambda: not arena.pod_names() & old, "the old ones have gone")
    assert len(arena.pod_names()) == 2
