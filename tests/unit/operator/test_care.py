"""Care of the queues in Redis: one that refuses holds no other up."""

from __future__ import annotations

import asyncio
from typing import cast

from jobfleet.inspection import InspectionError, QueueAddress
from jobfleet_operator.actions import Note
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.care import Care
from jobfleet_operator.world import QueueResource
from unit.operator.people import meta


class Redis:
    """Stands for all that care asks: one queue cannot be purged."""

    def __init__(self) -> None:
        self.purged: list[str] = []

    def resolve(self, _: QueueResource) -> tuple[str, str]:
        return "redis://r/0", ""

    def at(self, _: str) -> Redis:
        return self

    async def purge(self, address: QueueAddress, _: str) -> int:
        if address.queue == "bad":
            raise InspectionError("WRONGTYPE")
        self.purged.append(address.queue)
        return 1

    async def tell(self, _: Note) -> None:
        """An Event is posted."""


async def test_a_queue_that_cannot_be_purged_is_behind_the_others_the_next_time() -> None:
    redis, cache = Redis(), Cache(lambda *_: None)
    care = Care(cache, cast("RedisUrls", redis), cast("Redises", redis), cast("Applier", redis))
    for name in ("bad", "good"):
        body = {"metadata": meta(name), "spec": {"deletionPolicy": "Purge"}}
        cache.feed(Kind.QUEUES, body)
        cache.feed(Kind.QUEUES, body, deleted=True)
    for _ in range(2):
        care.purge()
        assert care._purging is not None
        await asyncio.wait([care._purging])
    assert redis.purged == ["good"]
    assert [key.name for key in care._to_purge] == ["bad"]
