"""The loop: its memory belongs to one term of leadership, and one pool holds up no other."""

from __future__ import annotations

import asyncio

import pytest

from jobfleet_operator import claims
from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.leader import Alone
from jobfleet_operator.loop import Loop
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.names import WORKER_POOL
from jobfleet_operator.scaling.quota import Quotas
from jobfleet_operator.world import Key, PoolResource, Subject
from unit.operator.people import meta


def test_a_lease_renewed_late_costs_nothing_and_a_new_term_begins_with_no_memory() -> None:
    cache, kube = Cache(lambda *_: None), Kube()
    urls, redises = RedisUrls(kube, "", lambda _: None), Redises(lambda _: None)
    loop = Loop(cache, urls, redises, Applier(kube, cache, acting=lambda: True, reporter="me"), Alone())
    loop._begin_term(3)
    loop._memory.pools[Key("shop", "photos")] = PoolMemory(goal=4)
    loop._begin_term(3)
    assert loop._memory.pools, "nobody else has acted: a thousand Deployments need not be applied again"
    loop._begin_term(4)
    assert not loop._memory.pools


def test_a_pool_whose_claim_cannot_be_understood_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, kube = Cache(lambda *_: None), Kube()
    urls, redises = RedisUrls(kube, "", lambda _: None), Redises(lambda _: None)
    applier = Applier(kube, cache, acting=lambda: True, reporter="me")
    loop = Loop(cache, urls, redises, applier, Alone(), Quotas(cluster=4))
    for name in ("a", "b"):
        cache.feed(Kind.POOLS, {"metadata": meta(name), "spec": {"queues": []}})
    done: list[str] = []

    def renew(_look: object, pool: PoolResource, *_: object) -> bool:
        if pool.key.name == "a":
            raise IndexError
        return True

    monkeypatch.setattr(claims, "renew", renew)
    monkeypatch.setattr(loop, "_do_pool", lambda _look, key: done.append(key.name))
    asyncio.run(loop._round({Subject(WORKER_POOL, key) for key in cache.pools}, sweep=False))
    assert sorted(done) == ["a", "b"]
