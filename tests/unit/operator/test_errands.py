"""Errands: what failed is left alone for a while, unless its resource was changed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from jobfleet_operator import names
from jobfleet_operator.actions import Release
from jobfleet_operator.adapters.kube import Kube, Refused
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier, Errand
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.errands import Errands
from jobfleet_operator.leader import Alone
from jobfleet_operator.loop import Loop
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.world import Identity, Key, Subject

POOL = Key("shop", "photos")


class Refusing:
    """The API server's no, when it is let."""

    def __init__(self) -> None:
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def carry_out(self, errand: Errand, seconds: Callable[[], float]) -> None:
        self.asked.set()
        await self.gate.wait()
        raise Refused("no")


@pytest.mark.parametrize("corrected", [False, True])
async def test_what_was_refused_is_tried_again_late_or_as_soon_as_it_was_corrected(corrected: bool) -> None:
    cache, kube = Cache(lambda *_: None), Kube()
    urls, redises = RedisUrls(kube, "", lambda _: None), Redises(lambda _: None)
    loop = Loop(cache, urls, redises, Applier(kube, cache, acting=lambda: True, reporter="me"), Alone())
    memory = loop._memory.pools[POOL] = PoolMemory()
    applier, ended = Refusing(), asyncio.Event()
    errands = Errands(cast("Applier", applier), lambda *_: ended.set(), lambda: 1)
    identity = Identity(POOL, "uid", "1", 1, "")
    errands.send(Subject(names.WORKER_POOL, POOL), Errand(identity, names.WORKER_POOL, [Release(POOL)], memory, None))
    async with asyncio.timeout(5):
        await applier.asked.wait()
        if corrected:
            loop.changed(Kind.POOLS, POOL)
        applier.gate.set()
        await ended.wait()
    assert memory.failures == 1
    assert (memory.retry_at == 0.0) is corrected
