"""The operator may die at any point: the work comes to the same end."""

from __future__ import annotations

from typing import Any

from photo_demo.kubectl import Kubectl

from .arena import Arena
from .polling import eventually

OPERATORS = "app.kubernetes.io/component=operator"


def test_the_end_is_the_same_when_every_operator_is_killed_mid_way(arena: Arena, product: Kubectl) -> None:
    arena.set_up(maxReplicas=3)
    jobs = arena.hold(*[3.0] * 12)
    arena.until_active(3)

    product.run("delete", "pods", f"--selector={OPERATORS}", "--grace-period=0", "--force")

    done = arena.until_completed(*jobs)
    assert [job.attempt for job in done] == [1] * 12
    assert arena.status.reclaimed_total == 0
    arena.until_no_workers(seconds=90)
    product.run("rollout", "status", "deployment/jobfleet", "--timeout=60s")


def test_a_queue_that_fills_while_a_stand_by_takes_over_gets_its_workers(arena: Arena, product: Kubectl) -> None:
    arena.set_up(maxReplicas=1)
    leader = eventually(lambda: next((name for name in pod_names(product) if name == holder(product)), ""), "one leads")

    product.run("delete", "pod", leader, "--grace-period=0", "--force")
    (job_id,) = arena.hold(0.1)

    arena.until_completed(job_id, seconds=60)
    eventually(lambda: holder(product) in set(pod_names(product)) - {leader}, "another one leads", seconds=30)
    eventually(lambda: len(pod_names(product)) == 2, "there are two operators again")


def holder(product: Kubectl) -> str:
    """The operator that leads, as the Lease says; perhaps it is gone."""
    lease: dict[str, Any] = product.json("get", "lease/jobfleet-operator")
    return lease["spec"].get("holderIdentity") or ""


def pod_names(product: Kubectl) -> list[str]:
    pods = product.json("get", "pods", f"--selector={OPERATORS}")["items"]
    return [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
