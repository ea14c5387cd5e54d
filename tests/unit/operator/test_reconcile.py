"""The plan follows from the scene alone."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobfleet import WorkerSettings
from jobfleet.inspection import QueueSettings, WorkerView
from jobfleet_operator import actions, report, resources, scaling, terms
from jobfleet_operator.memory import Flow, PoolMemory, QueueMemory
from jobfleet_operator.models import JobQueueSpec
from jobfleet_operator.reconcile import PoolScene, QueueScene, plan_pool, plan_queue
from jobfleet_operator.world import DeploymentView
from unit.operator.people import CONNECTION, PHOTOS, deployment, older, pod, pool, queue, snapshot, worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scene(*, size: int = 0, before: int | None = None, **more: Any) -> PoolScene:
    """A pool at rest: decided size, Deployment of that size as the operator left it, status written."""
    decision = scaling.Decision(size, size, ("because",), scaling.History())
    memory = PoolMemory(goal=size, generation=3, budget=(1, 25), budget_at=100.0)
    fields: dict[str, Any] = {
        "pool": pool(), "deployment": deployment(size), "pods": [pod(f"p{i}") for i in range(size)],
        "workers": {}, "goal_before": size if before is None else before, "decision": decision,
        "load": scaling.Load(0), "trouble": None, "connection": CONNECTION, "pods_complete": True,
        "memory": memory, "seconds": 100.0, "now": NOW,
    }  # fmt: skip
    return PoolScene(**(fields | more))


def kinds(plan: list[actions.Action]) -> list[str]:
    """What is planned, beside what tells of it and how many may be evicted."""
    beside = actions.PatchStatus | actions.SetBudget
    return [type(action).__name__ for action in plan if not isinstance(action, beside)]


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


def test_a_size_that_a_fallback_raised_is_set_though_the_load_is_not_known() -> None:
    (grow, note) = (
        one
        for one in plan_pool(scene(size=3, before=1, deployment=deployment(1), load=None))
        if not isinstance(one, actions.PatchStatus)
    )
    assert isinstance(grow, actions.SetReplicas)
    assert (grow.replicas, isinstance(note, actions.Note)) == (3, True)
    assert kinds(plan_pool(scene(size=3, load=None, deployment=deployment(5)))) == [], "nobody goes"
    theirs = scene(size=3, before=1, deployment=recommended_deployment(1), load=None, pool=pool(mode="Recommend"))
    assert kinds(plan_pool(theirs)) == ["Note"]
    (first, *_) = plan_pool(scene(size=3, before=0, deployment=None, pods=[], load=None))
    assert isinstance(first, actions.ApplyDeployment)
    assert plan_pool(scene(size=0, deployment=None, pods=[], load=None)) == []
    assert kinds(plan_pool(scene(size=3, deployment=deployment(1), load=None, decision=None))) == [], "held as it is"


def test_growth_changes_replicas_only() -> None:
    plan = plan_pool(scene(size=5, before=2, deployment=deployment(2), pods=[pod("a"), pod("b")]))
    told = actions.Scaling((PHOTOS,), 3, "WorkerPool photos from 2 to 5 workers", "")
    assert plan[0] == actions.SetReplicas(5, deployment(2), told)


def test_shrinking_is_bound_to_the_deployment_that_was_seen() -> None:
    plan = plan_pool(scene(size=0, before=1, deployment=deployment(1), pods=[]))
    told = actions.Scaling((PHOTOS,), 1, "WorkerPool photos from 1 to 0 workers", "")
    assert plan[0] == actions.SetReplicas(0, deployment(1), told)


def test_a_deployment_that_somebody_edited_is_applied_again() -> None:
    at_rest = scene(size=1)
    edited = replace(at_rest, memory=PoolMemory(goal=1, generation=2, budget=(1, 25), budget_at=100.0))
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


def test_a_worker_that_started_before_its_container_ended_is_dead_and_its_successor_is_not() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:10Z"}}
    statuses = [{"name": "worker", "lastState": ended, "state": {"running": {"startedAt": "2026-01-01T00:00:11Z"}}}]
    seconds = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    before = worker("p0", busy=1, started_ms=(seconds + 5) * 1000)
    after = replace(worker("p0", busy=1, started_ms=(seconds + 11) * 1000), id="p0.2")
    silent = replace(worker("p0", busy=1), id="p0.3")
    seen = scene(
        size=1,
        pods=[pod("p0", containerStatuses=statuses)],
        workers={"p0": [(PHOTOS, before), (PHOTOS, after), (PHOTOS, silent)]},
    )
    assert [one for one in plan_pool(seen) if isinstance(one, actions.Reclaim)] == [
        actions.Reclaim(PHOTOS, pool().key._replace(name="p0"), ("p0.1",), restarted=True)
    ]
    seen.memory.mourned.append("p0.1")
    assert not [one for one in plan_pool(seen) if isinstance(one, actions.Reclaim)], "once each"


def test_of_workers_that_started_in_the_second_of_the_end_the_one_whose_process_id_is_taken_is_dead() -> None:
    ended = {"terminated": {"exitCode": 139, "reason": "Error", "finishedAt": "2026-01-01T00:00:10Z"}}
    statuses = [{"name": "worker", "lastState": ended, "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}}]
    end_ms = (int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) + 10) * 1000

    def one(process: str, after_ms: int) -> WorkerView:
        return replace(worker("p.0", busy=1, started_ms=end_ms + after_ms), id=f"p.0.{process}")

    def dead(*workers: WorkerView) -> list[str]:
        seen = scene(
            size=1, pods=[pod("p.0", containerStatuses=statuses)], workers={"p.0": [(PHOTOS, w) for w in workers]}
        )
        return [id_ for action in plan_pool(seen) if isinstance(action, actions.Reclaim) for id_ in action.workers]

    assert dead(one("1-aa", 300), one("1-bb", 900)) == ["p.0.1-aa"]
    assert dead(one("1-aa", 300), one("1-bb", 1400)) == ["p.0.1-aa"]
    assert dead(one("1-aa", 300)) == [], "it may be the present one"
    assert dead(one("7-aa", 300), one("8-bb", 900)) == [], "two processes of one container"
    assert dead(one("1-aa", 1000), one("1-bb", 1400)) == [], "it started after the end"


def test_the_id_that_a_worker_gives_itself_tells_its_process() -> None:
    settings = WorkerSettings(queues=("photos",), name="photos-7d9.x")
    assert replace(worker("photos-7d9.x"), id=settings.id).process == str(os.getpid())


def test_a_pod_without_a_worker_goes_only_after_its_name_was_told() -> None:
    coming = scene(size=0, before=1, deployment=deployment(1), pods=[pod("p0", cost=-1000)])
    assert "SetReplicas" not in kinds(plan_pool(coming))
    assert actions.Drain(PHOTOS, ("p0",)) in plan_pool(coming)
    coming.memory.tell(PHOTOS, ["p0"], coming.seconds)
    assert "SetReplicas" in kinds(plan_pool(coming))
    assert "SetReplicas" not in kinds(plan_pool(replace(coming, seconds=coming.seconds + 46.0)))


def test_a_worker_that_came_up_in_a_pod_that_is_ended_is_told_to_drain() -> None:
    ending = replace(pod("p0"), deleting=True)
    seen = scene(size=1, pods=[ending, pod("p1")], workers={n: [(PHOTOS, worker(n))] for n in ("p0", "p1")})
    assert actions.Drain(PHOTOS, ("p0.1",)) in plan_pool(seen)


def test_trouble_is_told_once_and_its_end_too() -> None:
    trouble = ("RedisUnreachable", "no answer")
    first = scene(size=1, trouble=trouble, load=None)
    assert kinds(plan_pool(first)) == ["Note"]
    first.memory.said = "RedisUnreachable"
    assert kinds(plan_pool(first)) == []
    (over,) = [action for action in plan_pool(replace(first, trouble=None)) if isinstance(action, actions.Note)]
    assert over.message == "RedisUnreachable is over: the pool is scaled again"


def test_the_load_is_not_known_while_one_queue_is_not() -> None:
    assert terms.load("photos", {"a": snapshot(waiting=3), "b": None}, frozenset(), {}) is None
    known = terms.load("photos", {"a": snapshot(waiting=3), "b": snapshot(waiting=2, active=1)}, frozenset({"b"}), {})
    assert known == scaling.Load(backlog=4, busy_slots=0, waiting=3)


def test_a_pool_does_not_grow_for_the_jobs_that_another_pool_runs() -> None:
    ours, theirs = worker("a", busy=2), replace(worker("x", busy=40), pool="other")
    seen = {"photos": snapshot(ours, theirs, waiting=5, active=42)}
    assert terms.load("photos", seen, frozenset(), {}) == scaling.Load(7, busy_slots=2, waiting=5)
    assert terms.load("other", seen, frozenset({"photos"}), {}) == scaling.Load(40, busy_slots=40)


def queue_scene(**more: Any) -> QueueScene:
    facts = report.QueueFacts(queue(**more.pop("spec", {})), more.pop("seen", snapshot()), None, [], "0/s")
    fields: dict[str, Any] = {
        "redis_url": "redis://r/0", "missed": False, "memory": QueueMemory(), "seconds": 100.0, "now": NOW,
    }  # fmt: skip
    return QueueScene(facts=facts, **(fields | more))


def test_a_new_queue_gets_its_secret_and_redis_its_settings() -> None:
    plan = plan_queue(queue_scene(spec={"maxDeliveries": 9}))
    assert kinds(plan) == ["ApplySecret", "PushSettings"]
    push = plan[1]
    assert isinstance(push, actions.PushSettings)
    assert push.settings == QueueSettings(max_deliveries=9)


def test_what_a_queue_can_be_told_is_pushed_and_drift_is_mended() -> None:
    spec = {
        "paused": True,
        "runningWhenPaused": "Return",
        "deadLetterQueue": "graveyard",
        "limits": {
            "maxLength": 9, "maxMemoryPercent": 80, "maxActive": 3, "rate": {"count": 5, "seconds": 60},
            "perGroup": {"maxActive": 1, "rate": {"count": 2}},
        },
        "circuitBreaker": {"failurePercent": 30, "minimumJobs": 7, "windowSeconds": 5, "openSeconds": 9, "probes": 2,
                           "per": "Group"},
    }  # fmt: skip
    wanted = QueueSettings(
        paused=True, return_running=True, dead_letter="graveyard", max_length=9, max_memory_percent=80, max_active=3,
        rate_count=5, rate_ms=60_000, group_max_active=1, group_rate_count=2, group_rate_ms=1000,
        breaker_percent=30, breaker_least=7, breaker_window_ms=5000, breaker_open_ms=9000, breaker_probes=2,
        breaker_per_group=True,
    )  # fmt: skip
    (push,) = [a for a in plan_queue(queue_scene(spec=spec)) if isinstance(a, actions.PushSettings)]
    assert push.settings == wanted
    settled = replace(snapshot(), settings=wanted)
    assert "PushSettings" not in kinds(plan_queue(queue_scene(spec=spec, seen=settled)))
    for drifted in (replace(wanted, dead_letter=""), replace(wanted, rate_count=6), replace(wanted, breaker_percent=0)):
        plan = plan_queue(queue_scene(spec=spec, seen=replace(snapshot(), settings=drifted)))
        assert actions.PushSettings(snapshot().address, wanted, "JobQueue photos, generation 1") in plan


def test_a_resource_and_a_queue_that_was_told_nothing_have_the_same_defaults() -> None:
    assert terms.settings(JobQueueSpec()) == QueueSettings()
    guarded = JobQueueSpec.model_validate({"circuitBreaker": {}})
    assert terms.settings(guarded) == QueueSettings(breaker_percent=50)


def test_a_secret_is_applied_again_now_and_then_because_it_is_not_watched() -> None:
    first = queue_scene()
    (secret, *_) = plan_queue(first)
    assert isinstance(secret, actions.ApplySecret)
    first.memory.secret_url, first.memory.secret_at = secret.redis_url, 100.0
    assert kinds(plan_queue(first)) == []
    assert kinds(plan_queue(replace(first, redis_url="redis://other/0"))) == ["ApplySecret"]
    assert kinds(plan_queue(replace(first, seconds=800.0))) == ["ApplySecret"]


def test_a_new_queue_is_told_of_once_its_secret_is_there_and_at_once_where_that_fails() -> None:
    def told(scene: QueueScene) -> list[str]:
        (said,) = [action for action in plan_queue(scene) if isinstance(action, actions.PatchStatus)] or [None]
        return [] if said is None else sorted(said.status)

    first = queue_scene()
    assert told(first) == []
    first.memory.failures = 1
    assert "health" in told(first)
    assert "connection" not in told(first)
    first.memory.secret_url, first.memory.failures = "redis://r/0", 0
    assert {"connection", "health"} <= set(told(first))


def test_a_pool_without_an_up_to_date_secret_gets_no_deployment_and_no_new_template() -> None:
    assert kinds(plan_pool(scene(size=2, deployment=None, pods=[], connection=None))) == []
    edited = scene(size=1, connection=None, deployment=replace(deployment(1), applied="x"))
    assert kinds(plan_pool(edited)) == []
    grown = scene(size=4, before=1, connection=None, deployment=replace(deployment(1), applied="x"))
    assert kinds(plan_pool(grown)) == ["SetReplicas", "Note"], "what runs grows meanwhile"


def test_another_connection_is_a_roll_out() -> None:
    (apply,) = [one for one in plan_pool(scene(size=1, connection="other")) if isinstance(one, actions.ApplyDeployment)]
    annotations = apply.manifest["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"jobfleet.dev/connection": "other"}


def test_while_a_worker_is_known_and_its_pod_is_not_no_pod_goes() -> None:
    shrinking = scene(size=0, before=1, deployment=deployment(1), pods=[], workers={"p0": [(PHOTOS, worker("p0"))]})
    assert kinds(plan_pool(shrinking)) == ["Reclaim", "Note"]
    shrinking.memory.strangers.add("p0")
    assert "SetReplicas" in kinds(plan_pool(shrinking)), "a Pod that lost its labels holds nothing up"
    late = replace(shrinking, workers={"p0": [(PHOTOS, worker("p0", lease_ms=-1))]}, memory=PoolMemory(generation=3))
    assert "SetReplicas" in kinds(plan_pool(late)), "nor does a worker that is dead"


def test_the_load_carries_what_was_measured_of_its_queues() -> None:
    seen = snapshot(waiting=5, delayed_due=1, now_ms=100_000, oldest_waiting_ms=70_500)
    flows = {"a": Flow(60, 1000, 30), "b": Flow(30, 4000, 10)}
    found = terms.load("photos", {"a": seen, "b": snapshot()}, frozenset(), flows)
    assert found == scaling.Load(6, 0, waiting=6, service_ms=1750, arrivals_per_minute=90, oldest_seconds=29)
    mixed = terms.load("photos", {"a": seen, "b": snapshot()}, frozenset(), {"a": Flow(0, 1, 30), "b": Flow(0, 2, 10)})
    assert mixed is not None
    assert mixed.service_ms == 2, "rounded up, and never 0"


def recommending(size: int, before: int, **more: Any) -> list[actions.Action]:
    return plan_pool(scene(size=size, before=before, pool=pool(mode="Recommend"), **more))


def recommended_deployment(replicas: int) -> DeploymentView:
    subject = pool(mode="Recommend")
    assert subject.spec is not None
    marks = resources.deployment(subject, subject.spec, replicas, CONNECTION)["metadata"]["annotations"]
    return replace(deployment(replicas), applied=marks["jobfleet.dev/applied"])


def test_what_is_only_recommended_is_told_and_not_done() -> None:
    plan = recommending(5, 2, deployment=recommended_deployment(2), pods=[pod("a"), pod("b")])
    assert kinds(plan) == ["Note"]
    note = plan[0]
    assert isinstance(note, actions.Note)
    assert (note.reason, note.message) == ("Recommended", "from 2 to 5 workers: because")
    status = next(action for action in plan if isinstance(action, actions.PatchStatus)).status
    assert (status["desiredReplicas"], status["conditions"][0]["reason"]) == (5, "Recommending")


def test_a_pool_that_begins_to_recommend_gives_back_the_workers_that_were_to_go() -> None:
    workers = {"a": [(PHOTOS, worker("a", draining=True))], "b": [(PHOTOS, worker("b"))]}
    pods = [pod("a", cost=-1000), pod("b")]
    plan = recommending(0, 0, deployment=recommended_deployment(2), pods=pods, workers=workers)
    assert kinds(plan) == ["Undrain", "SetDeletionCost"]


def test_a_recommending_pool_starts_at_its_minimum() -> None:
    (apply, *_) = plan_pool(
        scene(size=5, before=0, deployment=None, pods=[], pool=pool(mode="Recommend", minReplicas=1))
    )
    assert isinstance(apply, actions.ApplyDeployment)
    assert apply.manifest["spec"]["replicas"] == 1


def budgets(subject: PoolScene) -> list[actions.SetBudget]:
    return [action for action in plan_pool(subject) if isinstance(action, actions.SetBudget)]


def test_a_pool_gets_a_disruption_budget_once_and_again_when_it_changes() -> None:
    fresh = scene(size=4, memory=PoolMemory(goal=4, generation=3))
    (first,) = budgets(fresh)
    assert first.manifest is not None
    assert first.manifest["spec"]["maxUnavailable"] == "25%"
    assert budgets(scene(size=4)) == []
    known = replace(fresh, pool=replace(fresh.pool, status={"observedGeneration": 1, "disruptionPercent": 25}))
    assert budgets(known) == [], "an earlier operator's is not applied again"
    assert budgets(replace(known, seconds=known.seconds + 601.0)), "but now and then, because it is not watched"


@pytest.mark.parametrize("reason", ["Unschedulable", "SchedulingGated"])
def test_the_budget_lets_everything_go_while_pods_cannot_start(reason: str) -> None:
    stuck = [pod("p0"), pod("p1", node="", ready=False, conditions=[
        {"type": "PodScheduled", "status": "False", "reason": reason, "message": "no room"}])]  # fmt: skip
    (relaxed,) = budgets(scene(size=2, pods=stuck))
    assert stuck[1].trouble == (reason, "no room")
    assert relaxed.manifest is not None
    assert relaxed.manifest["spec"]["maxUnavailable"] == "100%"


def test_the_budget_lets_everything_go_when_a_pod_is_not_ready_for_long() -> None:
    short = scene(size=2, deployment=replace(deployment(2), ready=1))
    assert budgets(short) == []
    assert budgets(replace(short, seconds=short.seconds + 50.0)) == []
    (relaxed,) = budgets(replace(short, seconds=short.seconds + 61.0))
    assert relaxed.budget == (1, 100)


def test_without_a_budget_an_earlier_one_is_taken_away() -> None:
    subject = pool(disruptionPercent=100)
    assert subject.spec is not None
    applied = resources.deployment(subject, subject.spec, 1, CONNECTION)["metadata"]["annotations"]
    seen = replace(deployment(1), applied=applied["jobfleet.dev/applied"])
    (gone,) = budgets(scene(size=1, pool=subject, deployment=seen))
    assert gone.manifest is None


def test_a_roll_out_releases_the_old_pods_once_the_deployment_controller_has_caught_up() -> None:
    two = [pod("p0"), replace(pod("p1"), revision="r2")]
    rolling = scene(size=2, pods=two, deployment=replace(deployment(2), paused=True))
    assert kinds(plan_pool(rolling)) == ["Release"]
    early = replace(rolling, deployment=replace(deployment(2), paused=True, settled=False))
    assert kinds(plan_pool(early)) == []
    assert kinds(plan_pool(replace(rolling, load=None))) == ["Release"], "also while Redis cannot be read"
    running = plan_pool(replace(rolling, deployment=deployment(2)))
    assert kinds(running) == ["ApplyDeployment"], "somebody else began it: it is held first"
    assert spec_of(running) == (2, True)
    released = [replace(pod("p0"), owner="WorkerPool"), replace(pod("p1"), revision="r2")]
    after = scene(size=1, pods=released, workers={name: [(PHOTOS, worker(name))] for name in ("p0", "p1")})
    assert kinds(plan_pool(after)) == ["Drain"], "the old one goes as the new one is up; the replicas stay"


def test_while_old_pods_belong_to_the_pool_its_disruption_budget_is_a_number() -> None:
    old, new = [older(f"o{i}", "photos") for i in range(10)], [pod(f"n{i}") for i in range(3)]
    rolling = scene(size=10, pods=[*old, *new], deployment=deployment(3))
    (counted,) = budgets(rolling)
    assert counted.manifest is not None
    assert (counted.manifest["spec"].get("maxUnavailable"), counted.manifest["spec"]["minAvailable"]) == (None, 9)
    fewer = replace(rolling, pods=[*old[5:], *new])
    (counted,) = budgets(fewer)
    assert counted.manifest is not None
    assert counted.manifest["spec"]["minAvailable"] == 7, "of ten that it should have, whoever was evicted"
    assert any(isinstance(one, actions.PatchStatus) for one in plan_pool(fewer)), (
        "the status does not wait for a number"
    )
    fewer.memory.budget = counted.budget
    (share,) = budgets(replace(fewer, pods=new))
    assert share.manifest is not None
    assert share.manifest["spec"]["maxUnavailable"] == "25%"
    fewer.memory.budget = None
    condition = {"type": "RolledOut", "status": "False"}
    said = {"observedGeneration": 1, "disruptionPercent": 25, "conditions": [condition]}
    after = replace(fewer, pods=new, pool=replace(fewer.pool, status=said))
    assert budgets(after), "an earlier operator ended within a roll-out: its number may still hold"


def spec_of(plan: list[actions.Action]) -> tuple[int, bool]:
    """Replicas and pause of the Deployment that is applied."""
    (applied,) = (action.manifest["spec"] for action in plan if isinstance(action, actions.ApplyDeployment))
    return applied["replicas"], applied["paused"]


def test_a_changed_template_is_applied_with_a_pause_and_all_replicas() -> None:
    changed = replace(deployment(4), applied="x")
    assert spec_of(plan_pool(scene(size=2, before=4, deployment=changed))) == (4, True)
    assert spec_of(plan_pool(scene(size=2, deployment=replace(deployment(0), applied="x"), pods=[]))) == (2, False)


def test_a_paused_deployment_goes_on_with_the_room_beside_its_old_pods_when_they_have_another_owner() -> None:
    alone = replace(deployment(4), paused=True, existing=0, updated=0, ready=0)
    orphans = [replace(pod(f"p{i}"), owner="") for i in range(4)]
    early = plan_pool(scene(size=4, deployment=alone, pods=orphans))
    assert kinds(early) == ["Adopt"] * 4
    adopted = [replace(one, owner="WorkerPool") for one in orphans]
    assert spec_of(plan_pool(scene(size=4, deployment=alone, pods=adopted))) == (1, False)
    assert spec_of(plan_pool(scene(size=4, deployment=alone, pods=adopted, load=None))) == (1, False), "Redis or not"
    generous = pool(rollout={"maxSurge": "100%"})
    assert generous.spec is not None
    applied = resources.mark(generous, generous.spec, CONNECTION)
    wide = replace(alone, applied=applied)
    assert spec_of(plan_pool(scene(size=4, pool=generous, deployment=wide, pods=adopted))) == (4, False)
    unseen = scene(size=4, deployment=alone, pods=[pod(f"p{i}") for i in range(4)])
    assert kinds(plan_pool(unseen)) == [], "the Pods' new owner has not been seen yet"


def test_a_pause_without_a_roll_out_ends_with_the_same_replicas() -> None:
    still = replace(deployment(3), paused=True)
    assert spec_of(plan_pool(scene(size=3, deployment=still))) == (3, False)
    busy = {f"p{i}": [(PHOTOS, worker(f"p{i}", busy=1))] for i in range(3)}
    shrinking = scene(size=1, before=3, deployment=still, pods=[pod(f"p{i}") for i in range(3)], workers=busy)
    assert spec_of(plan_pool(shrinking)) == (3, False), "and interrupts nobody"


def test_replicas_follow_the_room_as_old_workers_go() -> None:
    olds = [replace(pod(f"o{i}"), owner="WorkerPool") for i in range(3)]
    news = [replace(pod(f"n{i}"), revision="r2") for i in range(2)]
    workers = {one.name: [(PHOTOS, worker(one.name, busy=1))] for one in [*olds, *news]}
    full = scene(size=4, deployment=deployment(2), pods=[*olds, *news], workers=workers)
    assert "SetReplicas" not in kinds(plan_pool(full))
    one_went = replace(full, pods=[*olds[1:], *news])
    for told in one_went, replace(one_went, load=None):  # Redis or not
        (step,) = (action for action in plan_pool(told) if isinstance(action, actions.SetReplicas))
        assert step.replicas == 3
        assert step.scaling is not None
        assert (step.scaling.what, step.scaling.why) == (
            "WorkerPool photos from 2 to 3 workers", "a roll-out makes or leaves room",
        )  # fmt: skip
    theirs = pool(mode="Recommend")
    assert theirs.spec is not None
    seen = replace(deployment(2), applied=resources.mark(theirs, theirs.spec, CONNECTION))
    recommended = replace(one_went, pool=theirs, deployment=seen)
    assert "SetReplicas" not in kinds(plan_pool(recommended))


def test_the_condition_tells_how_far_a_roll_out_has_come() -> None:
    def told(seen: PoolScene) -> tuple[str, str]:
        (patch,) = (action for action in plan_pool(seen) if isinstance(action, actions.PatchStatus))
        assert (patch.status["replicas"], patch.status["readyReplicas"]) == (len(seen.pods), len(seen.pods))
        (found,) = (one for one in patch.status["conditions"] if one["type"] == "RolledOut")
        return found["reason"], found["message"]

    assert told(scene(size=2))[0] == "UpToDate"
    pods = [replace(pod(f"o{i}"), owner="WorkerPool") for i in range(2)] + [replace(pod("n"), revision="r2")]
    busy = {one.name: [(PHOTOS, worker(one.name, busy=1))] for one in pods}
    rolling = scene(size=2, deployment=deployment(1), pods=pods, workers=busy)
    assert told(rolling) == (
        "WaitingForBusyWorkers",
        "1 of 3 workers are on the new template, waiting for 2 that finish their jobs",
    )
    assert told(replace(rolling, workers=busy | {"o0": [(PHOTOS, worker("o0"))]}))[0] == "RollingOut"


def test_jobs_of_pods_on_their_way_out_need_no_new_workers() -> None:
    seen = {"photos": snapshot(worker("a", busy=2), worker("b", busy=1), waiting=5, active=3)}
    assert terms.load("photos", seen, frozenset(), {}, frozenset({"a"})) == scaling.Load(6, 1, waiting=5)
