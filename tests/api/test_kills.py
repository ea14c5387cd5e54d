"""kill -9 at every write: whatever was done and whatever not, the next operator comes to the same end."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from api.gate import gate
from api.stage import Process, Shop, enqueue, pool_manifest, queue_manifest, start_operator, until
from jobfleet.inspection import Inspector, QueueAddress
from jobfleet_operator import terms
from jobfleet_operator.models import JobQueueSpec

FIRST_JOBS, JOBS = 20, 60
SETTINGS = {"retention": {"completed": {"count": 7}}}
LIVES = 40


def settled(shop: Shop) -> bool:
    """Whether all is said and done: statuses and marks are the last to be written."""
    pool, queue = shop.get("workerpool", "photos"), shop.get("jobqueue", "photos")
    made = shop.get("deployment", "photos")
    told = pool.get("status", {})
    return (
        shop.replicas() == 3
        and told.get("desiredReplicas") == told.get("replicas") == 3
        and told.get("deploymentGeneration") == made["metadata"]["generation"]
        and queue.get("status", {}).get("connection") is not None
        and queue["status"].get("waiting") == JOBS
    )


def own(shop: Shop) -> dict[str, str]:
    """An operator for this shop only, which waits for nobody's Lease to end."""
    return {
        "JOBFLEET_NAMESPACES": shop.namespace,
        "JOBFLEET_OPERATOR_NAMESPACE": shop.namespace,
        "JOBFLEET_LEADER_ELECTION": "false",
    }


def ended(operator: Process, shop: Shop) -> bool:
    return not operator.alive or settled(shop)


@pytest.mark.parametrize("before", [False, True], ids=["its answer is lost", "it never arrives"])
async def test_an_operator_that_dies_at_every_write_comes_to_the_same_end(
    *, before: bool, shop: Shop, api_server: Path, redis_url: str, inspector: Inspector, tmp_path: Path
) -> None:
    shop.apply(queue_manifest(**SETTINGS), pool_manifest())
    await enqueue(shop, redis_url, FIRST_JOBS)
    reached: list[str] = []
    left, life = JOBS - FIRST_JOBS, 0

    async with gate(api_server, tmp_path) as way:
        while not settled(shop):
            life += 1
            assert life < LIVES, reached
            operator = start_operator(f"life-{life}", way.kubeconfig, redis_url, tmp_path, **own(shop))
            way.expose(operator, 1 + (life - 1) // 3, before=before)  # three at each place, so that the lives get on
            await until("it dies, or all is done", partial(ended, operator, shop), 60)
            operator.end()
            reached += way.passed
            if left and shop.replicas() == 1:
                await enqueue(shop, redis_url, left)
                left = 0
        written = {path.rpartition("/namespaces/")[2].partition("/")[2].partition("?")[0] for path in reached}
        assert {"secrets/photos-jobqueue", "deployments/photos", "jobqueues/photos/status"} <= written
        assert life > 3, "it was killed at more than one place"
    seen = (await inspector.snapshots([place := QueueAddress(shop.namespace, "photos")]))[place]
    assert (seen.waiting, seen.settings) == (JOBS, terms.settings(JobQueueSpec.model_validate(SETTINGS)))
    owner = shop.get("deployment", "photos")["metadata"]["ownerReferences"]
    assert [one["uid"] for one in owner] == [shop.get("workerpool", "photos")["metadata"]["uid"]]


async def test_a_restarted_operator_writes_only_what_is_new(
    shop: Shop, api_server: Path, redis_url: str, tmp_path: Path
) -> None:
    shop.apply(queue_manifest(**SETTINGS), pool_manifest())
    await enqueue(shop, redis_url, JOBS)
    async with gate(api_server, tmp_path) as way:
        first = start_operator("first", way.kubeconfig, redis_url, tmp_path, **own(shop))
        way.expose(first, 0)
        try:
            await until("all is said and done", partial(settled, shop), 60)
        finally:
            first.end()
        await enqueue(shop, redis_url, 1, delay=3600)
        second = start_operator("second", way.kubeconfig, redis_url, tmp_path, **own(shop))
        way.expose(second, 0)
        try:
            await until("it has said what is new", lambda: shop.get("jobqueue", "photos")["status"].get("delayed") == 1)
        finally:
            second.end()
        assert [path.rpartition("/namespaces/")[2] for path in way.passed] == [
            f"{shop.namespace}/jobqueues/photos/status"
        ]
