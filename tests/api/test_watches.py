"""What befalls watches: cut, silent, late, too old, broken; the operator's view mends, and a stale one does no harm."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import web

from api.conftest import Operators
from api.gate import Gate, OnTheWay, is_watch, refusal
from api.stage import QUICK, Node, Shop, enqueue, occupy, pool_manifest, probe, queue_manifest, ready, snapshots, until
from jobfleet.inspection import Inspector
from jobfleet_operator.main import SOURCES

GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "gone"}
LATE_SECONDS = 20.0
BROKEN = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "message": "a watch that broke"}


def event(status: dict[str, object]) -> bytes:
    """An ERROR event of a watch."""
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def streams(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


ENDINGS = {
    "410 as an event": lambda: streams(event(GONE)),
    "410 as a status": lambda: refusal(410),
    "another error as an event": lambda: streams(event(BROKEN)),
    "half an event": lambda: streams(b'{"type": "MODIFIED", "object": {"meta'),
    "500": lambda: refusal(500),
    "503": lambda: refusal(503),
    "403": lambda: refusal(403),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_what_went_while_nothing_could_be_watched_is_forgotten(
    how: str, shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    operator = operators(KUBECONFIG=str(way.kubeconfig))
    names = ("photos", "films")
    shop.apply(*[queue_manifest(name) for name in names])
    shop.apply(*[pool_manifest(name, queues=[name], minReplicas=1) for name in names])
    await until("both pools have a worker", lambda: all(shop.replicas(name) == 1 for name in names))

    way.instead = lambda request: ENDINGS[how]() if is_watch(request) else None
    way.cut()
    await until("the watches meet it", lambda: len(way.met_instead) >= 4)
    shop.kubectl("delete", "workerpool", "films", "--wait")
    shop.kubectl("delete", "jobqueue", "--all", "--wait")
    await until("its Deployment goes with it", lambda: shop.replicas("films") == -1)
    way.instead = None
    await until("the operator knows that the queue is gone", lambda: ready(shop) == "False QueueNotFound", 40)
    shop.apply(queue_manifest())
    await enqueue(shop, redis_url, 60)
    await until("it watches again", lambda: shop.replicas() == 3)
    assert shop.replicas("films") == -1, "a pool that is gone gets no Deployment"
    assert operator.alive
    assert probe(operator.health_port, "/livez") == 200


def silent(*paths: str) -> OnTheWay:
    """Watches of these paths say nothing more; what came before has passed."""

    async def hold(request: web.Request, part: bytes) -> bytes:
        if is_watch(request) and any(path in request.path for path in paths):
            await asyncio.Event().wait()
        return part

    return hold


async def all_known(way: Gate) -> None:
    """The first lists, those of the watches, and the lists after these are through: now watches alone tell."""
    await until("all is listed", lambda: way.count(200, path="/pods?limit=") >= 3)
    now, last = time.monotonic, lambda: max(at for at, _, where, _ in way.asked if "limit=" in where)
    await until("and nothing more", lambda: now() - last() > 2.0)


async def test_a_silent_watch_is_begun_anew(shop: Shop, operators: Operators, way: Gate) -> None:
    operators(KUBECONFIG=str(way.kubeconfig), JOBFLEET_WATCH_SILENCE_SECONDS="2")
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    await all_known(way)
    deaf = way.watches()
    assert len(deaf) >= len(SOURCES)

    async def hold(request: web.Request, part: bytes) -> bytes:
        if id(request) in deaf:
            await asyncio.Event().wait()
        return part

    way.on_the_way = hold
    shop.apply(pool_manifest("late", minReplicas=1))
    await until("the pool is seen by another watch", lambda: shop.replicas("late") == 1)


async def test_a_size_that_the_watch_does_not_show_is_not_overwritten(
    shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    operators(KUBECONFIG=str(way.kubeconfig))
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment has its minimum", lambda: shop.replicas() == 1)
    await until("it is at rest", lambda: shop.get("workerpool", "photos").get("status", {}).get("replicas") == 1)
    await all_known(way)
    way.on_the_way = silent("")
    shop.kubectl("scale", "deployment", "photos", "--replicas=8")
    await until("there are as many Pods", lambda: len(shop.items("pods")) == 8)
    before = asyncio.get_running_loop().time()
    await enqueue(shop, redis_url, 60)
    await until("three are wanted", lambda: any("to 3 workers" in said for said in shop.events("ScalingUp")))
    await until("it looks again", lambda: way.count(200, method="GET", path="/deployments/photos", since=before))
    await until("it has written what it thinks", lambda: shop.get("workerpool", "photos")["status"]["replicas"] == 8)
    assert shop.replicas() == 8, "five workers that it did not know of would have been ended"


async def test_a_scale_down_goes_by_the_pods_as_they_are_and_not_as_a_late_watch_shows_them(
    shop: Shop, operators: Operators, way: Gate, redis_url: str, inspector: Inspector, node: Node
) -> None:
    operators(KUBECONFIG=str(way.kubeconfig))
    shop.apply(queue_manifest(), pool_manifest(scaling=QUICK | {"backlogPerWorker": 1}, concurrency=1))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    snapshot = await occupy(shop, redis_url, inspector, 1)
    (busy,) = (worker.name for worker in snapshot.workers)
    await enqueue(shop, redis_url, 1, seconds=6.0)
    await until("both are ready", lambda: shop.get("deployment", "photos")["status"].get("readyReplicas") == 2)
    await all_known(way)
    way.on_the_way = silent("/pods")
    # The ReplicaSet ends first who is not ready, whatever its deletion cost.
    unready = [{"type": "Ready", "status": "False"}]
    await asyncio.to_thread(node.report, busy, "Running", conditions=unready)
    idle_for_long = 0
    async for snapshot in snapshots(inspector, shop, 60.0):
        idle_for_long += snapshot.completed_total == 1 and snapshot.active == 1
        if idle_for_long == 100:  # of 50 ms at least: there was time to make a mistake
            node.let_go()
        if snapshot.completed_total + snapshot.failed_total == 2:
            break
    assert (snapshot.completed_total, snapshot.reclaimed_total, node.interrupted) == (2, 0, [])


async def test_a_pool_that_is_gone_gets_no_deployment_from_a_late_watch(
    shop: Shop, operators: Operators, way: Gate
) -> None:
    operators(KUBECONFIG=str(way.kubeconfig))
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment has its minimum", lambda: shop.replicas() == 1)
    await all_known(way)
    way.on_the_way = silent("/workerpools")
    shop.kubectl("delete", "workerpool", "photos", "--wait")
    await until("its Deployment goes with it", lambda: shop.replicas() == -1)
    before = asyncio.get_running_loop().time()
    await until("it looks for the pool", lambda: way.count(404, path="/workerpools/photos", since=before))
    assert not way.count(201, method="PATCH", path="/deployments/photos", since=before)


async def test_an_event_that_comes_late_costs_nothing_but_time(
    shop: Shop, operators: Operators, way: Gate, redis_url: str, inspector: Inspector, node: Node
) -> None:
    async def late(request: web.Request, part: bytes) -> bytes:
        if is_watch(request):
            await asyncio.sleep(LATE_SECONDS)
        return part

    way.on_the_way = late
    operators(KUBECONFIG=str(way.kubeconfig))
    scaling = QUICK | {"backlogPerWorker": 2}
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=4, concurrency=1, drainSeconds=1, scaling=scaling))
    await until("the Deployment is there", lambda: shop.replicas() == 0, 60)
    await enqueue(shop, redis_url, 3, seconds=9.0)
    await enqueue(shop, redis_url, 9, seconds=0.5)
    async for snapshot in snapshots(inspector, shop, 120.0):
        if snapshot.completed_total + snapshot.failed_total == 12:
            break
    await until("it is back at zero", lambda: shop.replicas() == 0, 90)
    assert (snapshot.completed_total, snapshot.failed_total, snapshot.reclaimed_total) == (12, 0, 0)
    assert node.interrupted == []
