"""What befalls watches: cut, silent, late, too old, broken; the operator's view mends, and a stale one does no harm."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from api.conftest import Operators
from api.gate import Gate, is_watch, refusal
from api.stage import Shop, enqueue, pool_manifest, probe, queue_manifest, ready, until

GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "gone"}
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
