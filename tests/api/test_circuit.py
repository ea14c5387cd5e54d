"""The circuit breaker of a JobQueue, against a real API server."""

from __future__ import annotations

from api.conftest import Operators
from api.stage import QUICK, Shop, enqueue, look, pool_manifest, queue_manifest, until
from fixtures.workers import until as eventually
from jobfleet import Fleet
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.codec import pack_failure
from jobfleet.inspection import Inspector
from jobfleet.job import Failure
from jobfleet.scripts.processing import Outcome, settle_and_claim

FAILED = pack_failure(Failure("ProviderDown", "no answer"))


async def fail(shop: Shop, redis_url: str, jobs: int) -> None:
    """So many jobs that a worker takes and fails."""
    await enqueue(shop, redis_url, jobs)
    client = AsyncClient(redis_url)
    try:
        grant = await client.run(settle_and_claim(shop.namespace, "photos", "w", jobs, []))
        outcomes = [Outcome(job.id, job.attempt, "fail", FAILED) for job in grant.jobs]
        assert len(outcomes) == jobs
        await client.run(settle_and_claim(shop.namespace, "photos", "w", 0, outcomes))
    finally:
        await client.close()


async def test_an_open_circuit_is_told_stops_growth_and_is_over_when_it_closes(
    shop: Shop, operators: Operators, inspector: Inspector, redis_url: str
) -> None:
    operators()
    breaker = {"failurePercent": 50, "minimumJobs": 4, "openSeconds": 3600}
    shop.apply(queue_manifest(circuitBreaker=breaker), pool_manifest(maxReplicas=50, scaling=QUICK))

    def closed() -> str:
        condition = shop.condition("jobqueue", "photos", "CircuitClosed")
        return f"{condition.get('status')} {condition.get('reason')}"

    await until("the breaker is told", lambda: closed() == "True Closed")

    async def pushed() -> bool:
        settings = (await look(inspector, shop)).settings
        return settings is not None and settings.breaker_percent == 50

    await eventually(pushed)
    fleet = Fleet(redis_url, realm=shop.namespace)
    try:
        await fail(shop, redis_url, jobs=4)
        await until("it is told that it is open", lambda: closed() == "False CircuitOpen")
        message = shop.condition("jobqueue", "photos", "Ready")["message"]
        assert message.startswith(
            "100 % of the attempts failed, the last by ProviderDown; nothing is handed out until 20"
        )
        assert shop.get("jobqueue", "photos")["status"]["health"] == "Degraded"
        await enqueue(shop, redis_url, 400)
        limited = lambda: shop.condition("workerpool", "photos", "ScalingLimited").get("reason")  # noqa: E731
        await until("the pool says why it does not grow", lambda: limited() == "CircuitOpen")
        await until("and has nobody", lambda: shop.replicas() == 0)
        await fleet.queue("photos").configure(breaker_percent=90)  # drift
        assert await fleet.queue("photos").close_circuit()
        await until("it grows as it would", lambda: shop.replicas() == 20)
        await until("it is told that it is closed", lambda: closed() == "True Closed")
        await until("the pool says so", lambda: limited() == "WithinLimits")
        await eventually(pushed)
        assert (await look(inspector, shop)).circuits == ()
    finally:
        await fleet.close()
