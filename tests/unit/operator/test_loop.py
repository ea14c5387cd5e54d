"""The loop's memory belongs to one term of leadership."""

from __future__ import annotations

from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache
from jobfleet_operator.leader import Alone
from jobfleet_operator.loop import Loop
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.world import Key


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
