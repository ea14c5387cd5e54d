"""An API server that asks to wait, fails in the midst of a list, or whose answers get lost."""

from __future__ import annotations

from itertools import pairwise

from aiohttp import web

from api.conftest import Operators
from api.gate import Gate, is_watch, is_write, refusal
from api.stage import Shop, enqueue, pool_manifest, probe, queue_manifest, ready, until
from jobfleet_operator.adapters.reach import SAID_AFTER_SECONDS
from jobfleet_operator.main import SOURCES

WAIT_SECONDS = 4
ALONE = {"JOBFLEET_LEADER_ELECTION": "false"}


def waits(way: Gate) -> dict[tuple[str, str, bool], list[float]]:
    """By method, path, and whether it is a watch: the seconds from each 429 to the next try of the same."""
    times: dict[tuple[str, str, bool], list[float]] = {}
    for at, method, where, status in way.asked:
        if status == 429:
            times.setdefault((method, where.partition("?")[0], "watch=true" in where), []).append(at)
    return {call: [later - sooner for sooner, later in pairwise(at)] for call, at in times.items()}


async def test_who_is_asked_to_wait_waits_and_holds_nobody_else_up(
    shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    operators(KUBECONFIG=str(way.kubeconfig), **ALONE)
    shop.apply(queue_manifest(), pool_manifest(), queue_manifest("films"), pool_manifest("films", queues=["films"]))
    await until("both are there", lambda: shop.replicas() == shop.replicas("films") == 0)
    way.instead = lambda request: (
        refusal(429, **{"Retry-After": str(WAIT_SECONDS)}) if is_write(request) and "photos" in request.path else None
    )
    await enqueue(shop, redis_url, 60)
    await until("it is asked to wait", lambda: way.count(429, path="/deployments/photos"))
    shop.apply(pool_manifest("films", queues=["films"], minReplicas=2))
    await until("the other pool is not held up", lambda: shop.replicas("films") == 2)
    await until("it asks again", lambda: way.count(429, path="/deployments/photos") >= 3)
    assert all(gap >= WAIT_SECONDS for gaps in waits(way).values() for gap in gaps), waits(way)
    way.instead = None
    await until("nothing was lost", lambda: shop.replicas() == 3)


async def test_a_server_that_asks_everybody_to_wait_is_asked_seldom_and_all_is_done_afterwards(
    shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    operator = operators(KUBECONFIG=str(way.kubeconfig), **ALONE)
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await until("it watches", lambda: len(way.watches()) >= len(SOURCES))
    way.instead = lambda _: refusal(429, **{"Retry-After": str(WAIT_SECONDS)})
    way.cut()
    await enqueue(shop, redis_url, 60)
    watches = lambda: [gaps for (_, _, is_watch), gaps in waits(way).items() if is_watch]  # noqa: E731
    await until("each watch asked and asked again", lambda: len(watches()) >= len(SOURCES) and all(watches()))
    await until("it says so", lambda: probe(operator.health_port, "/readyz") == 503)
    assert probe(operator.health_port, "/livez") == 200
    assert all(gap >= WAIT_SECONDS for gaps in watches() for gap in gaps), waits(way)
    shop.apply(pool_manifest("late", minReplicas=1))
    way.instead = None
    await until("nothing was lost", lambda: shop.replicas() == shop.replicas("late") == 3, 40)
    await until("it is ready", lambda: probe(operator.health_port, "/readyz") == 200)


HALF = b'{"kind": "List", "metadata": {"resourceVersion": "9999999"}, "items": [{"metadata": {"na'


async def test_a_list_that_fails_in_the_midst_makes_nobody_forget_anything(
    shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    operator = operators(KUBECONFIG=str(way.kubeconfig), **ALONE)
    names = ["a", "b", "c"]
    shop.apply(*[queue_manifest(name) for name in names])
    shop.apply(*[pool_manifest(name, queues=[name], minReplicas=1) for name in names])
    await until("all have a worker", lambda: all(shop.replicas(name) == 1 for name in names))
    way.short_pages = True
    broken = [
        lambda: refusal(500),
        lambda: refusal(503),
        lambda: refusal(410),
        lambda: web.Response(body=HALF, content_type="application/json"),
        lambda: web.Response(body=b"[]", content_type="application/json"),
    ]
    met: list[str] = []

    def instead(request: web.Request) -> web.Response | None:
        if is_watch(request) and len(met) < len(broken):
            return refusal(410)  # so that everything is listed anew
        if "continue" in request.query and len(met) < len(broken):
            met.append(request.path)
            return broken[len(met) - 1]()
        return None

    way.instead = instead
    way.cut()
    await until("each is met", lambda: len(met) == len(broken), 90)
    await until("it is ready", lambda: probe(operator.health_port, "/readyz") == 200, 60)
    shop.apply(*[pool_manifest(name, queues=[name], minReplicas=2) for name in names])
    await until("all are known", lambda: all(shop.replicas(name) == 2 for name in names))
    assert not any("QueueNotFound" in said for said in operator.log.read_text().splitlines())
    assert operator.alive


async def test_writes_whose_answers_get_lost_are_done_once(
    shop: Shop, operators: Operators, way: Gate, redis_url: str
) -> None:
    lost: set[tuple[str, str]] = set()

    async def lose(request: web.Request, part: bytes) -> bytes:
        call = request.method, request.path
        if is_write(request) and call not in lost and request.transport is not None:
            lost.add(call)
            request.transport.abort()
        return part

    way.on_the_way = lose
    operators(KUBECONFIG=str(way.kubeconfig))
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 60)
    await until("it grows", lambda: shop.replicas() == 3)
    decided = lambda: shop.get("workerpool", "photos").get("status", {}).get("lastDecision", {})  # noqa: E731
    await until("it tells its decision", lambda: decided().get("toReplicas") == 3)
    assert decided()["number"] == 1
    assert {path.rpartition("/")[2] for _, path in lost} >= {"photos", "status"}


async def test_a_namespace_that_may_not_be_read_holds_up_no_other(shop: Shop, operators: Operators, way: Gate) -> None:
    gone = f"{shop.namespace}-gone"
    way.instead = lambda request: refusal(403) if f"/namespaces/{gone}/" in request.path else None
    operator = operators(KUBECONFIG=str(way.kubeconfig), JOBFLEET_NAMESPACES=f"{gone},{shop.namespace}", **ALONE)
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the other one is served", lambda: shop.replicas() == 1)
    assert operator.said(f"namespace {gone} is not served, the others are")

    def refused_for() -> float:
        times = [at for at, _, where, status in way.asked if status == 403]
        return max(times) - min(times)

    await until("it lasts", lambda: refused_for() > SAID_AFTER_SECONDS + 1)
    assert probe(operator.health_port, "/readyz") == 200
    shop.apply(pool_manifest("late", minReplicas=1))
    await until("watches tell as before", lambda: shop.replicas("late") == 1)
    way.instead = None
    await until("it is served again", lambda: operator.said(f"namespace {gone} is served"))


async def test_an_operator_that_may_read_no_namespace_says_so(shop: Shop, operators: Operators, way: Gate) -> None:
    way.instead = lambda request: refusal(403) if "/namespaces/" in request.path else None
    operator = operators(KUBECONFIG=str(way.kubeconfig), JOBFLEET_NAMESPACES=f"{shop.namespace},other", **ALONE)
    await until("it says so", lambda: operator.said("waiting for the API server and the CRDs: a test's 403"))
    assert probe(operator.health_port, "/readyz") == 503


async def test_a_secret_that_a_quota_refuses_is_said_and_made_when_there_is_room(
    shop: Shop, operators: Operators
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"secrets": 0}},
    }
    shop.apply(quota)
    operators(**ALONE)
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the pool says so", lambda: ready(shop) == "False SecretRefused")
    await until("and the queue", lambda: shop.condition("jobqueue", "photos", "Ready")["reason"] == "SecretRefused")
    said = shop.condition("jobqueue", "photos", "Ready")
    assert (said["status"], said["reason"]) == ("False", "SecretRefused")
    assert "photos-jobqueue" in said["message"]
    assert shop.replicas() == -1
    shop.kubectl("delete", "resourcequota", "none")
    await until("the Deployment is there", lambda: shop.replicas() == 1, 60)
    await until("and the pool is ready", lambda: ready(shop) == "True Scaling")
    queue = lambda: shop.condition("jobqueue", "photos", "Ready")["status"]  # noqa: E731
    await until("as the queue is", lambda: queue() == "True")
