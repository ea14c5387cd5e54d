"""Scale-down by choice and dead Pods, with real worker processes on a node that is played by hand."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime

from api.conftest import Operators
from api.stage import QUICK, Node, Shop, enqueue, look, occupy, pool_manifest, queue_manifest, snapshots, until
from jobfleet.inspection import Inspector, QueueSnapshot

AT_ONCE_SECONDS = 6.0
"""Less than what is left of a worker's lease when the worker dies: only who looks at Pods is so fast."""


async def two_jobs_of_one_worker(shop: Shop, redis_url: str, inspector: Inspector) -> QueueSnapshot:
    """Long jobs that a pool of one worker holds."""
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=1, concurrency=2))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 2, seconds=60.0)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.active == 2:
            break
    return snapshot


async def test_no_running_job_is_interrupted_while_the_pool_shrinks(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    scaling = QUICK | {"backlogPerWorker": 4}
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=5, concurrency=2, drainSeconds=1, scaling=scaling))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 4, seconds=None)
    await enqueue(shop, redis_url, 16, seconds=0.2)
    await until("it grows", lambda: shop.replicas() == 5)
    await until("it shrinks around its long jobs and does not wait for them", lambda: 0 < shop.replicas() < 5, 90)
    assert (await look(inspector, shop)).active >= 4
    node.let_go()
    async for snapshot in snapshots(inspector, shop, 90.0):
        if snapshot.completed_total + snapshot.failed_total == 20:
            break
    await until("it is back at zero", lambda: shop.replicas() == 0)
    assert (snapshot.completed_total, snapshot.failed_total, snapshot.reclaimed_total) == (20, 0, 0)
    await until("all Pods have gone", lambda: not shop.items("pods"))
    assert node.interrupted == []


async def test_the_jobs_of_an_ended_pod_are_back_before_its_lease_ends(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    await two_jobs_of_one_worker(shop, redis_url, inspector)
    (name,) = node.workers
    node.workers[name].signal(signal.SIGKILL)
    await asyncio.to_thread(node.report, name, "Failed", reason="Evicted", message="The node was low on memory.")
    async for snapshot in snapshots(inspector, shop, AT_ONCE_SECONDS):
        if snapshot.reclaimed_total == 2:
            break
    await until("an Event tells", lambda: shop.events("Reclaimed"))


async def test_the_jobs_of_a_pod_that_runs_are_never_taken_from_it(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=1, concurrency=1))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await occupy(shop, redis_url, inspector, 1)
    (name,) = node.workers
    # The Pod vanishes from the operator's watch without having ended.
    labels = json.dumps({"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    shop.kubectl("patch", "pod", name, "--type=merge", "-p", labels)
    sweeps = 0
    async for snapshot in snapshots(inspector, shop, 60.0):
        assert (snapshot.active, snapshot.reclaimed_total) == (1, 0)
        sweeps += 1
        if sweeps == 60:  # of 50 ms at least: there were some sweeps to make a mistake in
            break
    node.let_go()
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 1:
            break
    assert snapshot.reclaimed_total == 0


NO_SHRINKING = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-shrinking-%(shop)s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %(shop)s}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}]
  validations: [{expression: object.spec.replicas >= oldObject.spec.replicas, message: it must not shrink}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-shrinking-%(shop)s}
spec: {policyName: no-shrinking-%(shop)s, validationActions: [Deny]}
"""


async def test_an_operator_that_dies_between_drain_and_fewer_replicas_is_followed_to_the_same_end(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    first = operators("first")
    shop.apply(queue_manifest(), pool_manifest(minReplicas=3, maxReplicas=3, concurrency=1, scaling=QUICK))
    await until("three workers are there", lambda: len(node.workers) == 3)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if len(snapshot.workers) == 3:
            break
    policy = NO_SHRINKING % {"shop": shop.namespace}
    shop.kubectl("apply", "-f", "-", stdin=policy)
    try:
        await until("it holds", lambda: refused(shop))
        shop.apply(pool_manifest(minReplicas=1, maxReplicas=3, concurrency=1, scaling=QUICK))
        await until("the first one is kept from the last step", lambda: first.said("it must not shrink"))
        assert sum(worker.draining for worker in (await look(inspector, shop)).workers) == 2
        first.popen.kill()
        first.popen.wait()
        await enqueue(shop, redis_url, 4, seconds=1.0)
    finally:
        shop.kubectl("delete", "-f", "-", stdin=policy)
    operators("second")
    await until("the second one ends what was begun", lambda: shop.replicas() == 1, 60)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 4 and len(snapshot.workers) == 1:
            break
    assert (snapshot.failed_total, snapshot.reclaimed_total) == (0, 0)
    assert not any(worker.draining for worker in snapshot.workers)
    assert node.interrupted == []


def refused(shop: Shop) -> bool:
    """Whether the API server refuses by now to let the Deployment shrink; it learns of a policy after a moment."""
    try:
        shop.kubectl("patch", "deployment", "photos", "--dry-run=server", "-p", '{"spec": {"replicas": 0}}')
    except AssertionError:
        return True
    return False


async def test_the_jobs_of_a_container_that_ended_in_a_pod_that_stays_are_back_at_once(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    snapshot = await two_jobs_of_one_worker(shop, redis_url, inspector)
    ((name, worker),) = node.workers.items()
    started = snapshot.workers[0].started_ms
    worker.signal(signal.SIGKILL)
    # A second later than its start at the earliest: Kubernetes' times are whole seconds.
    ended = datetime.fromtimestamp(started // 1000 + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    terminated = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ended}
    container = {"name": "worker", "image": "a", "imageID": "", "ready": False, "restartCount": 1}
    state = {"state": {"running": {"startedAt": ended}}, "lastState": {"terminated": terminated}}
    await asyncio.to_thread(node.report, name, "Running", containerStatuses=[container | state])
    async for snapshot in snapshots(inspector, shop, AT_ONCE_SECONDS):
        if snapshot.reclaimed_total == 2:
            break
    (event,) = await until("an Event tells", lambda: shop.events("Reclaimed"))
    assert event == f"2 jobs of a container of Pod {name} that ended are back in queue photos"
    health = lambda: shop.condition("workerpool", "photos", "WorkersHealthy")  # noqa: E731
    await until("the condition names it", lambda: health().get("reason") == "OOMKilled")
    assert f"Pod {name} cannot run: OOMKilled: container worker: it ended with OOMKilled (137)" in health()["message"]
