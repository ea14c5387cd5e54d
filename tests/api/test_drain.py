"""Scale-down by choice and dead Pods, with real worker processes on a node that is played by hand."""

from __future__ import annotations

import asyncio
import json
import signal

from api.conftest import Operators
from api.stage import QUICK, Node, Shop, enqueue, pool_manifest, queue_manifest, snapshots, until
from jobfleet.inspection import Inspector


async def test_no_running_job_is_interrupted_while_the_pool_shrinks(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    scaling = QUICK | {"backlogPerWorker": 4}
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=5, concurrency=2, drainSeconds=1, scaling=scaling))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 4, seconds=12.0)
    await enqueue(shop, redis_url, 16, seconds=0.2)
    await until("it grows", lambda: shop.replicas() == 5)
    shrunk_while_busy = False
    async for snapshot in snapshots(inspector, shop, 90.0):
        if snapshot.active and not snapshot.waiting and await asyncio.to_thread(shop.replicas) < 5:
            shrunk_while_busy = True
        if snapshot.completed_total + snapshot.failed_total == 20:
            break
    assert shrunk_while_busy, "the pool should shrink around its long jobs, not wait for them"
    await until("it is back at zero", lambda: shop.replicas() == 0)
    assert (snapshot.completed_total, snapshot.failed_total, snapshot.reclaimed_total) == (20, 0, 0)
    await until("all Pods have gone", lambda: not shop.items("pods"))
    assert node.interrupted == []


async def test_the_jobs_of_an_ended_pod_are_back_within_two_seconds(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=1, concurrency=2))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 2, seconds=60.0)
    async for snapshot in snapshots(inspector, shop, 30.0):
        if snapshot.active == 2:
            break
    (name,) = node.workers
    node.workers[name].signal(signal.SIGKILL)
    await asyncio.to_thread(node.report, name, "Failed", reason="Evicted", message="The node was low on memory.")
    async for snapshot in snapshots(inspector, shop, 2.0):
        if snapshot.reclaimed_total == 2:
            break
    await until("an Event tells", lambda: shop.events("Reclaimed"))


async def test_the_jobs_of_a_pod_that_runs_are_never_taken_from_it(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=1, concurrency=1))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 1, seconds=6.0)
    async for snapshot in snapshots(inspector, shop, 30.0):
        if snapshot.active == 1:
            break
    (name,) = node.workers
    # The Pod vanishes from the operator's watch without having ended.
    labels = json.dumps({"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    shop.kubectl("patch", "pod", name, "--type=merge", "-p", labels)
    async for snapshot in snapshots(inspector, shop, 30.0):
        if snapshot.completed_total == 1:
            break
    assert snapshot.reclaimed_total == 0
