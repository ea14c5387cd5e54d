"""A changed template: new workers beside the old ones, which finish their jobs, with real worker processes."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from aiohttp import web

from api.conftest import Operators
from api.gate import Gate, is_write, refusal
from api.stage import QUICK, Node, Shop, enqueue, occupy, pool_manifest, queue_manifest, snapshots, until
from jobfleet.inspection import Inspector


def old_and_new(shop: Shop, before: set[str]) -> tuple[set[str], set[str]]:
    """Names of the Pods that are not on their way out: those of before, and the others."""
    there = {pod["metadata"]["name"] for pod in shop.items("pods") if not pod["metadata"].get("deletionTimestamp")}
    return there & before, there - before


def budget(shop: Shop) -> tuple[dict[str, Any], int]:
    """What the PodDisruptionBudget asks for, and how many Pods its controller makes of that."""
    found = shop.get("poddisruptionbudget", "photos")
    asked = {key: found["spec"][key] for key in ("minAvailable", "maxUnavailable") if key in found["spec"]}
    return asked, found.get("status", {}).get("desiredHealthy", -1)


def versioned(version: str, **spec: Any) -> dict[str, Any]:
    pool = pool_manifest(drainSeconds=1, concurrency=1, scaling=QUICK | {"backlogPerWorker": 1}, **spec)
    pool["spec"]["template"]["metadata"] = {"annotations": {"example.com/version": version}}
    return pool


async def test_old_workers_finish_their_jobs_however_long_while_new_ones_take_over(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    size = {"minReplicas": 3, "maxReplicas": 3, "rollout": {"maxSurge": "100%"}}
    shop.apply(queue_manifest(), versioned("1", **size))
    await until("three workers are there", lambda: len(node.workers) == 3)
    await occupy(shop, redis_url, inspector, 2)
    before = set(node.workers)
    shop.apply(versioned("2", **size))
    await until("three new ones are there", lambda: len(old_and_new(shop, before)[1]) == 3)
    await until("the idle old one goes", lambda: len(old_and_new(shop, before)[0]) == 2)
    owners = {
        owner["kind"]
        for pod in shop.items("pods")
        if pod["metadata"]["name"] in before
        for owner in pod["metadata"].get("ownerReferences", [])
    }
    assert owners == {"WorkerPool"}, "they go with their pool"
    await enqueue(shop, redis_url, 3)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 3:
            break
    assert snapshot.active == 2, "new jobs went to the new workers, the old ones are at their old ones"
    assert len(await asyncio.to_thread(lambda: old_and_new(shop, before)[0])) == 2
    node.let_go()
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total + snapshot.failed_total == 5:
            break
    assert (snapshot.completed_total, snapshot.failed_total, snapshot.reclaimed_total) == (5, 0, 0)
    await until("the old ones have gone", lambda: old_and_new(shop, before)[0] == set())
    assert len(old_and_new(shop, before)[1]) == 3
    await until("the budget is a share again", lambda: budget(shop) == ({"maxUnavailable": "25%"}, 2))
    assert node.interrupted == []
    assert shop.events("RollingOut") == [
        "3 workers of the template before finish their jobs and go as new ones come up"
    ]


async def test_workers_of_a_queue_that_the_pool_drops_finish_its_jobs_also_when_its_jobqueue_is_gone(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    size = {"minReplicas": 2, "maxReplicas": 2, "rollout": {"maxSurge": "100%"}}
    shop.apply(queue_manifest(), queue_manifest("films"), versioned("1", **size))
    await until("two workers are there", lambda: len(node.workers) == 2)
    await occupy(shop, redis_url, inspector, 1)
    before = set(node.workers)
    shop.apply(versioned("2", **size, queues=["films"]))
    shop.kubectl("delete", "jobqueue", "photos")
    await until("the idle old one goes", lambda: tuple(map(len, old_and_new(shop, before))) == (1, 2))
    node.let_go()
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total + snapshot.failed_total:
            break
    assert (snapshot.completed_total, snapshot.failed_total, snapshot.reclaimed_total) == (1, 0, 0)
    await until("the old ones have gone", lambda: old_and_new(shop, before)[0] == set())
    assert node.interrupted == []


async def test_there_are_never_more_workers_than_the_surge_allows_whoever_operates(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    first = operators()
    shop.apply(queue_manifest(), versioned("1", minReplicas=4, maxReplicas=4))
    await until("four workers are there", lambda: len(node.workers) == 4)
    await occupy(shop, redis_url, inspector, 3)
    before, most = set(node.workers), 0

    def look() -> tuple[set[str], set[str]]:
        nonlocal most
        there = old_and_new(shop, before)
        most = max(most, sum(map(len, there)))
        return there

    shop.apply(versioned("2", minReplicas=4, maxReplicas=4))
    await until("the idle old one and the surge make two new ones", lambda: tuple(map(len, look())) == (3, 2))
    await until(
        "the condition says so",
        lambda: (
            shop.condition("workerpool", "photos", "RolledOut").get("message")
            == "2 of 5 workers are on the new template, waiting for 3 that finish their jobs"
        ),
    )
    first.signal(signal.SIGKILL)
    shop.apply(versioned("3", minReplicas=4, maxReplicas=4))
    second = operators("two")
    await until("the other one acts", lambda: second.said("this replica acts now"))
    node.let_go()
    await until("it is rolled out", lambda: not look()[0] and len(look()[1]) == 4, 150.0)
    await until("and says so", lambda: shop.condition("workerpool", "photos", "RolledOut").get("status") == "True")
    live = [pod for pod in shop.items("pods") if not pod["metadata"].get("deletionTimestamp")]
    assert {pod["metadata"]["annotations"]["example.com/version"] for pod in live} == {"3"}
    assert most == 5
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 3:
            break
    assert (snapshot.failed_total, snapshot.reclaimed_total) == (0, 0)
    assert node.interrupted == []


async def test_a_restart_by_hand_interrupts_nothing_either(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    shop.apply(queue_manifest(), versioned("1", minReplicas=3, maxReplicas=3))
    await until("three workers are there", lambda: len(node.workers) == 3)
    await occupy(shop, redis_url, inspector, 3)
    before, most = set(node.workers), 0

    def done() -> bool:
        nonlocal most
        old, new = old_and_new(shop, before)
        most = max(most, len(old) + len(new))
        return not old and len(new) == 3

    shop.kubectl("rollout", "restart", "deployment/photos")
    await until("a new one is there", lambda: done() or old_and_new(shop, before)[1])
    node.let_go()
    await until("it is rolled out", done, 90.0)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 3:
            break
    assert (snapshot.failed_total, snapshot.reclaimed_total) == (0, 0)
    assert node.interrupted == []
    assert most == 4


async def test_workers_that_were_just_taken_from_their_replicaset_go_with_their_pool_also_without_an_operator(
    shop: Shop, operators: Operators, node: Node, way: Gate, redis_url: str
) -> None:
    operator = operators(KUBECONFIG=str(way.kubeconfig))
    shop.apply(queue_manifest(), versioned("1", minReplicas=2, maxReplicas=2))
    await until("two workers are there", lambda: len(node.workers) == 2)
    before = set(node.workers)

    def instead(request: web.Request) -> web.Response | None:
        taken = request.method == "DELETE" and "/replicasets/" in request.path
        way.instead = (lambda later: refusal(503) if is_write(later) else None) if taken else instead
        return None

    way.instead = instead
    shop.apply(versioned("2", minReplicas=2, maxReplicas=2))

    def controllers() -> set[str]:
        return {
            owner["kind"]
            for pod in shop.items("pods")
            for owner in pod["metadata"].get("ownerReferences", [])
            if owner.get("controller")
        }

    await until("nobody controls them", lambda: controllers() == set())
    operator.popen.kill()
    assert old_and_new(shop, before)[0] == before
    shop.kubectl("delete", "workerpool", "photos")
    await until("they go with their pool", lambda: old_and_new(shop, before) == (set(), set()))


async def test_a_template_whose_pods_never_start_takes_no_worker_away(
    shop: Shop, operators: Operators, node: Node, redis_url: str, inspector: Inspector
) -> None:
    operators()
    shop.apply(queue_manifest(), versioned("1", minReplicas=2, maxReplicas=2))
    await until("two workers are there", lambda: len(node.workers) == 2)
    before = set(node.workers)
    node.broken = True
    shop.apply(versioned("2", minReplicas=2, maxReplicas=2))
    await until("a new Pod is there", lambda: len(old_and_new(shop, before)[1]) == 1)
    await until("two of three must stay", lambda: budget(shop) == ({"minAvailable": 2}, 2))
    await enqueue(shop, redis_url, 4, seconds=0.5)
    async for snapshot in snapshots(inspector, shop, 60.0):
        if snapshot.completed_total == 4:
            break
    assert old_and_new(shop, before)[0] == before
    shop.kubectl("delete", "workerpool", "photos")
    await until("they go with their pool", lambda: old_and_new(shop, before)[0] == set())
