"""Pools that share a quota, from what is seen of them to the sizes that are decided, round after round."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from jobfleet.inspection import QueueAddress, QueueSnapshot
from jobfleet_operator import claims, observe, resources
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory, QueueMemory
from jobfleet_operator.scaling import quota
from jobfleet_operator.scaling.quota import Quotas
from jobfleet_operator.world import Key, read_pool
from unit.operator.people import CONNECTION, meta, snapshot

TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
FAST = {"scaleDown": {"stabilizationSeconds": 0, "percentPerStep": 100, "periodSeconds": 1}}


class Estate:
    """Pools of one namespace, each with a queue of its name; Deployments follow what is decided."""

    def __init__(self, quotas: Quotas, **waiting: int) -> None:
        self.quotas, self.waiting = quotas, waiting
        self.cache = Cache(lambda *_: None)
        self.memories = {self.key(name): PoolMemory() for name in waiting}
        self.queue_memories: dict[Key, QueueMemory] = {}
        self.seconds, self.version = 100.0, 10
        for name in waiting:
            self.cache.feed(Kind.QUEUES, {"metadata": meta(name), "spec": {}})
            self.pool(name)

    @staticmethod
    def key(name: str) -> Key:
        return Key("shop", name)

    def _meta(self, name: str) -> dict[str, Any]:
        self.version += 1
        return meta(name, resourceVersion=str(self.version), generation=self.version)

    def pool(self, name: str, mode: str = "Auto", weight: int = 1, **spec: Any) -> None:
        scaling = {"backlogPerWorker": 1, "weight": weight} | FAST
        body = {"queues": [name], "template": TEMPLATE, "maxReplicas": 50, "scaling": scaling, "mode": mode}
        self.cache.feed(Kind.POOLS, {"metadata": self._meta(name), "spec": body | spec})

    def deployment(self, name: str, replicas: int) -> None:
        pool = read_pool({"metadata": meta(name), "spec": {"queues": [name], "template": TEMPLATE}})
        assert pool.spec is not None
        body = resources.deployment(pool, pool.spec, replicas, CONNECTION)
        body["metadata"] |= self._meta(name)
        self.cache.feed(Kind.DEPLOYMENTS, body)

    def look(self, only: set[Key] | None = None) -> observe.Look:
        snapshots: dict[QueueAddress, QueueSnapshot] = {}
        for name, waiting in self.waiting.items():
            if only is None or self.key(name) in only:
                snapshots[QueueAddress("shop", name)] = replace(
                    snapshot(waiting=waiting), address=QueueAddress("shop", name)
                )
        return observe.Look(
            cache=self.cache, urls=dict.fromkeys(self.memories, "redis://r/0"), problems={}, snapshots=snapshots,
            outages={}, seconds=self.seconds, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
        )  # fmt: skip

    def round(self, *names: str) -> dict[str, int]:
        """Decide about these pools, or all, as the loop does; returns the sizes."""
        self.seconds += 5.0
        pools = {self.key(name) for name in names or self.waiting}
        look = self.look(pools)
        for key in pools:
            claims.renew(look, self.cache.pools[key], self.memories[key], self.queue_memories)
        claimed = claims.claims(look, self.memories)
        look = replace(look, shares=quota.shares(claimed, self.quotas))
        sizes = {}
        for key in sorted(pools):
            scene = observe.pool_scene(look, self.cache.pools[key], self.memories[key], self.queue_memories)
            assert scene.decision is not None
            sizes[key.name] = scene.decision.size
        return sizes


def test_what_is_wanted_is_divided_and_the_decision_says_so() -> None:
    estate = Estate(Quotas(namespaces={"shop": 20}), a=100, b=100, c=4)
    assert estate.round() == {"a": 8, "b": 8, "c": 4}
    decision = estate.memories[Key("shop", "a")].decision
    assert decision is not None
    assert decision["reasons"][-1] == "limited to 8: the quota of namespace shop is 20 workers, shared by its pools"
    assert (decision["limit"], decision["toReplicas"]) == (8, 8)


def test_who_comes_later_waits_until_the_others_have_left_and_then_gets_a_share() -> None:
    estate = Estate(Quotas(cluster=10), a=100, b=0)
    assert estate.round() == {"a": 10, "b": 0}
    estate.deployment("a", 10)
    estate.waiting["b"] = 100
    assert estate.round() == {"a": 5, "b": 0}, "the ten of a are still there"
    assert estate.round() == {"a": 5, "b": 0}
    estate.deployment("a", 7)
    assert estate.round() == {"a": 5, "b": 3}
    estate.deployment("a", 5)
    assert estate.round() == {"a": 5, "b": 5}
    estate.waiting["a"] = 0
    assert estate.round()["b"] == 5
    estate.deployment("a", 0)
    assert estate.round() == {"a": 0, "b": 10}


def test_a_round_about_one_pool_counts_the_others_as_they_were() -> None:
    estate = Estate(Quotas(cluster=10), a=6, b=0)
    estate.round()
    estate.waiting["b"] = 100
    assert estate.round("b") == {"b": 4}, "a keeps the six it has"
    assert estate.round() == {"a": 5, "b": 4}
    estate = Estate(Quotas(cluster=10), a=6, b=100)
    estate.deployment("a", 6)
    assert estate.round("b") == {"b": 4}, "also after a restart, when nothing is known of a but its Deployment"


def test_weights_and_minimums_count() -> None:
    estate = Estate(Quotas(cluster=12), a=100, b=100, c=0)
    estate.pool("a", weight=2)
    estate.pool("c", minReplicas=3)
    assert estate.round() == {"a": 6, "b": 3, "c": 3}


def test_a_pool_whose_size_is_somebody_elses_is_counted_and_not_divided() -> None:
    estate = Estate(Quotas(cluster=10), a=100, b=100)
    estate.pool("a", mode="Recommend")
    estate.deployment("a", 7)
    assert estate.round("b") == {"b": 3}
    assert estate.round() == {"a": 7, "b": 3}


def test_what_is_advised_is_what_the_others_leave_of_the_quota_and_the_decision_says_so() -> None:
    estate = Estate(Quotas(cluster=10), a=100, b=4)
    estate.pool("a", mode="Recommend")
    estate.deployment("a", 1)
    assert estate.round() == {"a": 6, "b": 4}
    decision = estate.memories[Key("shop", "a")].decision
    assert decision is not None
    assert decision["reasons"][-1] == "limited to 6: the quota of the cluster is 10 workers, shared by all pools"
    estate.waiting["b"] = 100
    assert estate.round() == {"a": 1, "b": 9}, "nobody followed the advice, and it keeps nothing from the others"


def test_what_nobody_can_see_is_held_and_counted() -> None:
    estate = Estate(Quotas(cluster=10), a=6, b=0)
    estate.round()
    look = estate.look({Key("shop", "b")})  # the Redis of a does not answer
    for key, memory in estate.memories.items():
        claims.renew(look, estate.cache.pools[key], memory, {})
    claimed = claims.claims(look, estate.memories)
    assert claimed[Key("shop", "a")].wanted == claimed[Key("shop", "a")].present == 6


def test_without_a_quota_that_is_short_nobody_is_limited() -> None:
    estate = Estate(Quotas(cluster=100, namespaces={"*": 60}), a=20, b=30)
    assert estate.round() == {"a": 20, "b": 30}
    assert not estate.memories[Key("shop", "a")].limited


def test_a_broken_pool_claims_no_more_than_it_may_have() -> None:
    estate = Estate(Quotas(cluster=40), a=100, b=100)
    labels = {"jobfleet.dev/pool": "a", "pod-template-hash": "r1"}
    body = {"metadata": meta("a-1", labels=labels), "spec": {"nodeName": "n"}}
    waiting = {"name": "worker", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    estate.cache.feed(Kind.PODS, body | {"status": {"phase": "Pending", "containerStatuses": [waiting]}})
    assert estate.round() == {"a": 3, "b": 37}
