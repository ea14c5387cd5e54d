"""Sizes, against a real API server: quotas, jobs that fall due, Pods that cannot run."""

from __future__ import annotations

import json

from api.conftest import Operators
from api.stage import Shop, enqueue, pool_manifest, queue_manifest, until
from jobfleet.inspection import Inspector, QueueAddress

AT_ONCE = {"scaleDown": {"stabilizationSeconds": 1, "percentPerStep": 100, "periodSeconds": 1}}


async def test_pools_share_the_quota_of_their_namespace_and_never_have_more_pods_than_it(
    shop: Shop, operators: Operators, redis_url: str
) -> None:
    operators("one", JOBFLEET_NAMESPACE_QUOTAS=f"{shop.namespace}=6,*=1")
    heavy = pool_manifest("heavy", queues=["photos"], scaling=AT_ONCE | {"weight": 2})
    shop.apply(queue_manifest(), heavy)
    await enqueue(shop, redis_url, 400)
    await until("one pool has the whole quota", lambda: shop.replicas("heavy") == 6)
    condition = lambda: shop.condition("workerpool", "heavy", "ScalingLimited")  # noqa: E731
    await until("its condition says why it has no more", lambda: condition().get("reason") == "NamespaceQuota")
    words = f"the quota of namespace {shop.namespace} is 6 workers, shared by its pools"
    assert condition()["message"] == f"more workers are needed than there may be: {words}"
    shop.apply(pool_manifest("light", queues=["photos"], scaling=AT_ONCE))
    seen: list[int] = []

    def shared() -> bool:
        light = shop.replicas("light")  # first: it grows when the other has shrunk
        sizes = shop.replicas("heavy"), light
        seen.append(sum(max(0, size) for size in sizes))
        return sizes == (4, 2)

    await until("two pools share it by weight", shared)
    assert max(seen) <= 6
    decision = await until("it is told", lambda: shop.get("workerpool", "light")["status"]["lastDecision"])
    assert decision["reasons"][-1] == f"limited to 2: {words}"


async def test_workers_are_made_for_delayed_jobs_before_they_fall_due(
    shop: Shop, operators: Operators, inspector: Inspector, redis_url: str
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 60, delay=25.0)
    await until("it has three workers", lambda: shop.replicas() == 3)
    place = QueueAddress(shop.namespace, "photos")
    seen = (await inspector.snapshots([place]))[place]
    assert (seen.delayed, seen.delayed_due, seen.waiting) == (60, 0, 0)
    told = await until("an Event tells", lambda: shop.events("ScalingUp"))
    assert told == ["from 0 to 3 workers: backlog 0 and 60 due soon at 20 a worker asks for 3"]


async def test_while_all_pods_are_broken_a_few_try_and_the_first_that_runs_brings_the_rest(
    shop: Shop, operators: Operators, redis_url: str
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(scaling=AT_ONCE))
    await enqueue(shop, redis_url, 160)
    await until("there are eight Pods", lambda: len(shop.items("pods")) == 8)

    def break_all() -> bool:
        pods = [pod for pod in shop.items("pods") if not pod["metadata"].get("deletionTimestamp")]
        for pod in pods:
            if not pod["status"].get("containerStatuses"):
                report(shop, pod["metadata"]["name"], {"waiting": {"reason": "ErrImagePull", "message": "no such"}})
        return len(pods) == 3

    await until("three are left to try", break_all)
    condition = shop.condition("workerpool", "photos", "ScalingLimited")
    assert (condition["status"], condition["reason"]) == ("True", "WorkersBroken")
    assert "cannot: ErrImagePull: no such" in condition["message"]
    name = shop.items("pods")[0]["metadata"]["name"]
    assert shop.replicas() == 3
    report(shop, name, {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, ready=True)
    await until("the rest follow", lambda: shop.replicas() == 8)
    limited = lambda: shop.condition("workerpool", "photos", "ScalingLimited")["status"]  # noqa: E731
    await until("nothing limits it", lambda: limited() == "False")


def report(shop: Shop, pod: str, state: dict[str, object], *, ready: bool = False) -> None:
    """Say of a Pod's container what a kubelet would."""
    container = {
        "name": "worker", "image": "a", "imageID": "", "ready": ready, "restartCount": 0, "state": state,
    }  # fmt: skip
    conditions = [{"type": "Ready", "status": str(ready)}]
    patch = {"status": {"containerStatuses": [container], "conditions": conditions}}
    shop.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps(patch))


async def test_pods_of_another_deployment_that_bear_a_pools_labels_do_not_hold_it_up(
    shop: Shop, operators: Operators, redis_url: str
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    labels = {"app.kubernetes.io/managed-by": "jobfleet", "jobfleet.dev/pool": "photos", "app": "extra"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "localhost/none:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "extra"}}, "template": template}
    shop.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "extra"}, "spec": spec})
    await until("all Pods are there", lambda: len(shop.items("pods", "-l", "jobfleet.dev/pool=photos")) == 3)
    await enqueue(shop, redis_url, 60)
    await until("it grows", lambda: shop.replicas() == 3)
    assert not shop.get("deployment", "photos")["spec"].get("paused")
    assert shop.condition("workerpool", "photos", "RolledOut")["status"] == "True"
