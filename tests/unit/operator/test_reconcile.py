"""The plan follows from the scene alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from jobfleet.inspection import QueueSettings
from jobfleet_operator import actions, drain, reconcile, report, scaling
from jobfleet_operator.memory import PoolMemory, QueueMemory
from jobfleet_operator.reconcile import PoolScene, QueueScene, plan_pool, plan_queue
from unit.operator.people import PHOTOS, deployment, pod, pool, queue, snapshot, worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scene(*, size: int = 0, before: int | None = None, **more: Any) -> PoolScene:
    """A pool at rest: decided size, Deployment of that size as the operator left it, status written."""
    decision = scaling.Decision(size, size, ("because",), scaling.History())
    memory = PoolMemory(goal=size, generation=3)
    fields: dict[str, Any] = {
        "pool": pool(), "deployment": deployment(size), "pods": [pod(f"p{i}") for i in range(size)],
        "workers": {}, "goal_before": size if before is None else before, "decision": decision,
        "load": scaling.Load(0), "trouble": None, "can_create": True, "pods_complete": True,
        "memory": memory, "seconds": 100.0, "now": NOW,
    }  # fmt: skip
    return PoolScene(**(fields | more))


def kinds(plan: list[actions.Action]) -> list[str]:
    return [type(action).__name__ for action in plan if not isinstance(action, actions.PatchStatus)]


def test_nothing_is_done_for_a_pool_at_rest() -> None:
    assert kinds(plan_pool(scene(size=2))) == []


def test_a_status_that_is_written_is_not_written_again() -> None:
    first = scene(size=2)
    (patch,) = plan_pool(first)
    assert isinstance(patch, actions.PatchStatus)
    first.memory.status.written, first.memory.status.written_at = patch.status, 100.0
    seen = replace(first, pool=replace(first.pool, status=patch.status), seconds=101.0)
    assert plan_pool(seen) == []


def test_a_pool_without_a_deployment_gets_one_of_the_decided_size() -> None:
    apply, note = plan_pool(scene(size=4, before=0, deployment=None, pods=[]))[:2]
    assert isinstance(apply, actions.ApplyDeployment)
    assert apply.manifest["spec"]["replicas"] == 4
    assert isinstance(note, actions.Note)
    assert note.message == "from 0 to 4 workers: because"


def test_growth_changes_replicas_only_and_without_conditions() -> None:
    plan = plan_pool(scene(size=5, before=2, deployment=deployment(2), pods=[pod("a"), pod("b")]))
    assert plan[0] == actions.SetReplicas(pool().key, 5, None)


def test_shrinking_is_bound_to_the_version_that_was_seen() -> None:
    plan = plan_pool(scene(size=0, before=1, deployment=deployment(1), pods=[]))
    assert plan[0] == actions.SetReplicas(pool().key, 0, "7")


def test_a_deployment_that_somebody_edited_is_applied_again() -> None:
    at_rest = scene(size=1)
    edited = replace(at_rest, memory=PoolMemory(goal=1, generation=2))
    assert kinds(plan_pool(edited)) == ["ApplyDeployment"]
    seen = deployment(1)
    assert kinds(plan_pool(replace(at_rest, deployment=replace(seen, labels={})))) == ["ApplyDeployment"]
    assert kinds(plan_pool(replace(at_rest, deployment=replace(seen, applied="x")))) == ["ApplyDeployment"]


def test_without_data_nobody_is_drained_and_nothing_is_scaled() -> None:
    held = scene(size=3, load=None, workers={"p0": [(PHOTOS, worker("p0"))]}, deployment=deployment(5))
    assert kinds(plan_pool(held)) == []


def test_a_deployment_of_another_owner_is_left_alone() -> None:
    taken = scene(size=3, deployment=replace(deployment(1), owner_uid="other", applied="x"))
    plan = plan_pool(taken)
    assert kinds(plan) == ["Note"]
    status = next(action for action in plan if isinstance(action, actions.PatchStatus)).status
    assert status["conditions"][0]["reason"] == "DeploymentTaken"


def test_a_worker_whose_pod_has_ended_or_gone_is_reclaimed_and_no_other() -> None:
    workers = {name: [(PHOTOS, worker(name, busy=1))] for name in ("ended", "gone", "deleting", "runs")}
    deleting = replace(pod("deleting"), deleting=True)
    pods = [pod("ended", phase="Failed"), deleting, pod("runs")]
    at_once = plan_pool(scene(size=1, pods=pods, workers=workers))
    reclaimed = {action.pod.name for action in at_once if isinstance(action, actions.Reclaim)}
    assert reclaimed == {"ended", "gone"}
    early = plan_pool(scene(size=1, pods=pods, workers=workers, pods_complete=False))
    reclaimed = {action.pod.name for action in early if isinstance(action, actions.Reclaim)}
    assert reclaimed == {"ended"}, "before all Pods are known, a missing one proves nothing"


def test_trouble_is_told_once_and_its_end_too() -> None:
    trouble = ("RedisUnreachable", "no answer")
    first = scene(size=1, trouble=trouble, load=None)
    assert kinds(plan_pool(first)) == ["Note"]
    first.memory.said = "RedisUnreachable"
    assert kinds(plan_pool(first)) == []
    (over,) = [action for action in plan_pool(replace(first, trouble=None)) if isinstance(action, actions.Note)]
    assert over.message == "RedisUnreachable is over: the pool is scaled again"


def test_the_load_is_not_known_while_one_queue_is_not() -> None:
    workers = drain.workers_by_name("photos", [])
    assert reconcile.load({"a": snapshot(waiting=3), "b": None}, frozenset(), workers) is None
    known = reconcile.load({"a": snapshot(waiting=3), "b": snapshot(waiting=2, active=1)}, frozenset({"b"}), workers)
    assert known == scaling.Load(backlog=4, busy_slots=0)


def queue_scene(**more: Any) -> QueueScene:
    facts = report.QueueFacts(queue(**more.pop("spec", {})), more.pop("seen", snapshot()), None, [], "0/s")
    fields: dict[str, Any] = {"redis_url": "redis://r/0", "memory": QueueMemory(), "seconds": 100.0, "now": NOW}
    return QueueScene(facts=facts, **(fields | more))


def test_a_new_queue_gets_its_secret_and_redis_its_settings() -> None:
    plan = plan_queue(queue_scene(spec={"maxDeliveries": 9}))
    assert kinds(plan) == ["ApplySecret", "PushSettings"]
    push = plan[1]
    assert isinstance(push, actions.PushSettings)
    assert push.settings == QueueSettings(max_deliveries=9)


def test_a_secret_is_applied_again_now_and_then_because_it_is_not_watched() -> None:
    first = queue_scene()
    (secret, *_) = plan_queue(first)
    assert isinstance(secret, actions.ApplySecret)
    from jobfleet_operator.resources import fingerprint

    first.memory.secret, first.memory.secret_at = fingerprint(secret.manifest), 100.0
    assert kinds(plan_queue(first)) == []
    assert kinds(plan_queue(replace(first, redis_url="redis://other/0"))) == ["ApplySecret"]
    assert kinds(plan_queue(replace(first, seconds=500.0))) == ["ApplySecret"]
