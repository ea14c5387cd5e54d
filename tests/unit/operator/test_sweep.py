"""A sweep goes over everything in slices, and what is woken has its turn between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot
from jobfleet_operator import sweep
from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.leader import Alone
from jobfleet_operator.loop import Loop
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.world import Key, Subject
from unit.operator.people import meta


class Reader:
    """A Redis that is never read: it notes what is asked for, and who is woken meanwhile."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.loop: Loop | None = None
        self.enough = asyncio.Event()

    async def read(self, url: str, addresses: Iterable[QueueAddress]) -> dict[QueueAddress, QueueSnapshot]:
        assert self.loop is not None
        self.asked.append(sorted(place.queue for place in addresses))
        if len(self.asked) == 1:
            self.loop.woken(QueueAddress("shop", "q003"))
        if len(self.asked) >= 4:
            self.enough.set()
        return {}

    def at(self, url: str) -> Inspector:
        raise InspectionError(url)

    def outage(self, url: str) -> str:
        return ""

    async def keep_only(self, urls: set[str]) -> None:
        assert urls == {"redis://nowhere"}


def made(queues: int) -> tuple[Loop, Reader, Cache]:
    cache, kube, reader = Cache(lambda *_: None), Kube(), Reader()
    urls = RedisUrls(kube, "redis://nowhere", lambda _: None)
    applier = Applier(kube, cache, acting=lambda: True, reporter="me")
    loop = reader.loop = Loop(cache, urls, cast("Redises", reader), applier, Alone())
    for number in range(queues):
        body: dict[str, Any] = {"metadata": meta(f"q{number:03}"), "spec": {}}
        cache.feed(Kind.QUEUES, body)
        template = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
        cache.feed(
            Kind.POOLS,
            {"metadata": meta(f"q{number:03}"), "spec": {"queues": [f"q{number:03}", "q000"], "template": template}},
        )
    cache.synced = True
    return loop, reader, cache


async def test_who_is_woken_during_a_sweep_waits_for_a_slice_of_it() -> None:
    loop, reader, _ = made(3 * sweep.SLICE)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(10):
        await reader.enough.wait()
    running.cancel()
    slices = [asked for asked in reader.asked if len(asked) >= sweep.SLICE]
    assert reader.asked[1] == ["q000", "q003"], "the woken one comes before the second slice"
    assert [len(asked) for asked in slices] == [sweep.SLICE, sweep.SLICE + 1, sweep.SLICE + 1]
    assert len({name for asked in slices for name in asked}) == 3 * sweep.SLICE


async def test_the_slices_hold_everything_once_even_pools_whose_queue_is_not_there() -> None:
    _, _, cache = made(2 * sweep.SLICE + 1)
    body = {"metadata": meta("lost"), "spec": {"queues": ["nowhere"], "template": {"spec": {"containers": []}}}}
    cache.feed(Kind.POOLS, body)
    found = [subject for part in sweep.slices(cache) for subject in part]
    assert len(found) == len(set(found))
    assert Subject(WORKER_POOL, Key("shop", "lost")) in found
    wanted = {
        Subject(kind, key) for kind, keys in ((JOB_QUEUE, cache.queues), (WORKER_POOL, cache.pools)) for key in keys
    }
    assert wanted <= set(found)
