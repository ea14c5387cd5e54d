"""The operator's window, against a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jobfleet import Fleet, inspection, keys
from jobfleet.errors import InspectionError
from jobfleet.inspection import Inspector, QueueAddress, QueueSettings
from jobfleet.scripts.processing import settle_and_claim

PHOTOS = QueueAddress("shop", "photos")


@pytest.fixture
async def inspector(redis_url: str) -> AsyncIterator[Inspector]:
    inspector = Inspector(redis_url)
    yield inspector
    await inspector.close()


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url, realm="shop") as fleet:
        yield fleet


async def claim(fleet: Fleet, worker: str, want: int, lease_ms: int = 10_000) -> list[str]:
    grant = await fleet.client().run(settle_and_claim("shop", "photos", worker, want, [], lease_ms=lease_ms))
    return [job.id for job in grant.jobs]


async def test_a_thousand_queues_cost_a_call_each_and_no_scan(inspector: Inspector, fleet: Fleet) -> None:
    addresses = [QueueAddress("shop", f"q{n}") for n in range(1000)]
    await inspector.snapshots(addresses)
    before = await fleet.client()._redis.info("commandstats")
    found = await inspector.snapshots(addresses)
    after = await fleet.client()._redis.info("commandstats")
    assert len(found) == 1000
    calls = after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"]
    assert calls == 1000
    assert after.get("cmdstat_keys") == before.get("cmdstat_keys")
    assert after.get("cmdstat_scan") == before.get("cmdstat_scan")


async def test_delayed_jobs_are_counted_as_far_ahead_as_is_asked(inspector: Inspector, fleet: Fleet) -> None:
    for delay in (0.0, 30.0, 60.0, 300.0):
        await fleet.enqueue("photos", "job", {}, delay=delay)

    async def soon(ahead_ms: int) -> int:
        return (await inspector.snapshots([PHOTOS], {PHOTOS: ahead_ms}))[PHOTOS].delayed_soon

    assert [await soon(ms) for ms in (0, 10_000, 40_000, 90_000, 900_000)] == [0, 0, 1, 2, 3]
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].delayed_soon == 0


async def test_a_snapshot_counts_what_there_is(inspector: Inspector, fleet: Fleet) -> None:
    await fleet.enqueue("photos", "job", {})
    await fleet.enqueue("photos", "job", {})
    await fleet.enqueue("photos", "job", {}, delay=3600)
    await claim(fleet, "w", 1)
    seen = (await inspector.snapshots([PHOTOS]))[PHOTOS]
    assert (seen.waiting, seen.active, seen.delayed, seen.delayed_due, seen.backlog) == (1, 1, 1, 0, 2)
    assert (seen.enqueued_total, seen.completed_total, seen.settings) == (3, 0, None)
    assert seen.oldest_waiting_ms is not None
    assert seen.next_due_ms is not None
    assert seen.next_due_ms > seen.now_ms >= seen.oldest_waiting_ms


async def test_settings_are_written_whole_and_read_back(inspector: Inspector) -> None:
    wanted = QueueSettings(max_deliveries=1, keep_completed=2, paused=True, max_job_bytes=9)
    await inspector.apply_settings(PHOTOS, wanted)
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].settings == wanted


async def test_the_settings_of_a_thousand_queues_are_written_over_a_few_connections(
    inspector: Inspector, fleet: Fleet
) -> None:
    addresses = [QueueAddress("shop", f"q{n}") for n in range(1000)]
    before = (await fleet.client()._redis.info("stats"))["total_connections_received"]
    await asyncio.gather(*(inspector.apply_settings(place, QueueSettings()) for place in addresses))
    after = (await fleet.client()._redis.info("stats"))["total_connections_received"]
    assert after - before <= 20
    found = await inspector.snapshots(addresses)
    assert {seen.settings for seen in found.values()} == {QueueSettings()}


async def test_a_dead_workers_jobs_go_back_whatever_its_lease_says(inspector: Inspector, fleet: Fleet) -> None:
    await fleet.enqueue("photos", "job", {})
    await claim(fleet, "dead", 1, lease_ms=3_600_000)
    assert await inspector.reclaim(PHOTOS, ["dead", "unheard-of"]) == 1
    seen = (await inspector.snapshots([PHOTOS]))[PHOTOS]
    assert (seen.waiting, seen.active, seen.workers, seen.reclaimed_total) == (1, 0, (), 1)


async def test_tending_right_after_the_first_look_robs_nobody(inspector: Inspector, fleet: Fleet) -> None:
    await fleet.enqueue("photos", "job", {})
    await claim(fleet, "late", 1, lease_ms=-1)
    await inspector.tend((await inspector.snapshots([PHOTOS])).values())
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].active == 1


async def test_tending_reclaims_from_whoever_is_overdue_when_there_was_no_trouble(
    inspector: Inspector, fleet: Fleet
) -> None:
    await fleet.enqueue("photos", "job", {})
    await claim(fleet, "late", 1, lease_ms=-1)
    seen = await inspector.snapshots([PHOTOS])
    inspector._trouble_until = 0.0  # one lease has gone by
    await inspector.tend(seen.values())
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].waiting == 1


async def test_a_worker_that_renewed_its_lease_after_the_look_keeps_its_jobs(
    inspector: Inspector, fleet: Fleet
) -> None:
    await fleet.enqueue("photos", "job", {})
    await claim(fleet, "late", 1, lease_ms=-1)
    seen = await inspector.snapshots([PHOTOS])
    await claim(fleet, "late", 0)
    inspector._trouble_until = 0.0
    await inspector.tend(seen.values())
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].active == 1


async def test_many_needy_queues_are_tended_in_one_round_trip_and_content_ones_in_none(
    inspector: Inspector, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[int] = []
    exchange = inspector._client._exchange

    async def counting(calls: list[bytes]) -> list[object]:
        trips.append(len(calls))
        return await exchange(calls)

    addresses = [QueueAddress("shop", f"q{n}") for n in range(20)]
    for place in addresses[:10]:
        await fleet.enqueue(place.queue, "job", {}, delay=0.001)
        await fleet.client().run(settle_and_claim("shop", place.queue, "late", 0, [], lease_ms=-1))
    seen = await inspector.snapshots(addresses)
    inspector._trouble_until = 0.0
    await inspector.tend(list(seen.values())[:1])  # Redis knows the scripts after this
    monkeypatch.setattr(inspector._client, "_exchange", counting)
    await inspector.tend(list(seen.values())[1:])
    assert len(trips) == 1
    await inspector.tend(list(seen.values())[10:])
    assert len(trips) == 1
    after = await inspector.snapshots(addresses)
    assert [snapshot.waiting for snapshot in after.values()] == [1] * 10 + [0] * 10


async def test_a_queue_that_refuses_to_be_tended_holds_no_other_up(inspector: Inspector, fleet: Fleet) -> None:
    other = QueueAddress("shop", "other")
    for place in (other, PHOTOS):
        await fleet.enqueue(place.queue, "job", {}, delay=0.001)
        await fleet.client().run(settle_and_claim("shop", place.queue, "late", 0, [], lease_ms=-1))
    seen = await inspector.snapshots([other, PHOTOS])
    inspector._trouble_until = 0.0
    redis = fleet.client()._redis
    await redis.rename(keys.queue_keys("shop", "other").delayed, "elsewhere")
    await redis.set(keys.queue_keys("shop", "other").delayed, "x")
    with pytest.raises(InspectionError, match="WRONGTYPE"):
        await inspector.tend(seen.values())
    found, unreadable = await inspector.read([other, PHOTOS])
    assert set(unreadable) == {other}
    assert (found[PHOTOS].waiting, found[PHOTOS].workers) == (1, ())
    assert inspector._trouble_until == 0.0


async def test_nobody_is_robbed_right_after_a_queue_could_not_be_read(inspector: Inspector, fleet: Fleet) -> None:
    await fleet.enqueue("photos", "job", {})
    await claim(fleet, "late", 1, lease_ms=-1)
    redis, delayed = fleet.client()._redis, keys.queue_keys("shop", "photos").delayed
    await redis.set(delayed, "x")
    assert set((await inspector.read([PHOTOS]))[1]) == {PHOTOS}
    await redis.delete(delayed)
    inspector._trouble_until = 0.0
    seen = await inspector.snapshots([PHOTOS])
    await inspector.tend(seen.values())
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].active == 1
    inspector._refused_at.clear()  # one lease has gone by
    await inspector.tend(seen.values())
    assert (await inspector.snapshots([PHOTOS]))[PHOTOS].waiting == 1


async def test_a_wake_tells_of_an_empty_queue_that_got_work(inspector: Inspector, fleet: Fleet) -> None:
    wakes = inspector.wakes()
    first = asyncio.ensure_future(anext(wakes))
    while await fleet.client()._redis.pubsub_numsub("jf:wake") != [(b"jf:wake", 1)]:
        await asyncio.sleep(0.01)
    await fleet.enqueue("photos", "job", {})
    assert await asyncio.wait_for(first, 10) == PHOTOS
    await fleet.enqueue("photos", "job", {})
    await fleet.enqueue("invoices", "job", {})
    assert await asyncio.wait_for(anext(wakes), 10) == QueueAddress("shop", "invoices")
    await wakes.aclose()  # type: ignore[attr-defined]


async def test_a_purge_deletes_the_queue_and_no_other(inspector: Inspector, fleet: Fleet) -> None:
    await fleet.enqueue("photos", "job", {})
    await fleet.enqueue("invoices", "job", {})
    await claim(fleet, "w", 1)
    assert await inspector.purge(PHOTOS) == 1
    assert await fleet.client()._redis.keys("*shop/photos*") == [b"jf:{shop/photos}:audit"]
    assert (await fleet.status("invoices")).waiting == 1


async def test_a_redis_that_is_away_gets_a_sentence_without_the_password() -> None:
    inspector = Inspector("redis://:secret@127.0.0.1:1/0")
    with pytest.raises(InspectionError, match=r"Redis at redis://127.0.0.1:1/0 gave no usable answer") as caught:
        await inspector.snapshots([PHOTOS])
    assert "secret" not in str(caught.value)
    await inspector.close()


def test_the_environment_of_a_worker_is_what_the_sdk_reads() -> None:
    from jobfleet.environment import Environment

    variables = inspection.worker_environment(queues=["a", "b"], concurrency=3, drain_seconds=9, pool="p")
    variables |= inspection.connection_environment(redis_url="redis://r/1", realm="shop")
    variables[inspection.WORKER_NAME_VARIABLE] = "pod"
    expected = Environment("redis://r/1", "shop", {"a": 1, "b": 1}, 3, "pod", "p", 9, 8081, actor="worker/pod")
    assert Environment.read(variables) == expected
