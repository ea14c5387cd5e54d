"""Quotas of workers for namespaces and for all of them, and the fair share of each pool in what there is. Pure.

Shares are max-min fair: where the pools of a quota want more than it is, nobody gets more than they want, and what is
left is divided so that the smallest share, measured by the pools' weights, is as large as it can be. Minimums
(`spec.minReplicas`) come first. A pool whose size is somebody else's is only advised: it takes from the others what it
has and no more, and may have what they leave.

Laws, held by property tests:

- pools never come to hold more than a quota, unless they did before: who is to grow waits for the workers of who is to
  shrink, and a worker that runs a job leaves when it is idle;
- nobody is granted more than wanted, and none is limited while its quota has room;
- of two pools with the same weight the one that wants more never gets less, where neither is only advised;
- shares that have been taken stay the same.
"""

import heapq
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from jobfleet_operator.scaling.records import Limit

EVERY_NAMESPACE = "*"
"""Stands for each namespace that is not named."""

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many workers there may be."""

    cluster: int | None = None
    namespaces: Mapping[str, int] = field(default_factory=dict)
    """By name; `*` is for each of the others."""

    def __bool__(self) -> bool:
        return self.cluster is not None or bool(self.namespaces)

    def of(self, namespace: str) -> int | None:
        """The quota of a namespace; None: it has none."""
        return self.namespaces.get(namespace, self.namespaces.get(EVERY_NAMESPACE))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one pool has and would have if there were no quota."""

    namespace: str
    wanted: int
    present: int
    """Workers that it holds now, those that are on their way out included."""
    minimum: int = 0
    weight: int = 1
    advised: bool = False
    """Whether its size is somebody else's, who may follow what is granted or not."""


def shares(claims: Mapping[Name, Claim], quotas: Quotas) -> dict[Name, Limit]:
    """The limits of those pools that cannot have all they want.

    >>> claims = {"a": Claim("shop", 10, 0), "b": Claim("shop", 3, 0), "c": Claim("shop", 30, 0, weight=2)}
    >>> granted = shares(claims, Quotas(namespaces={"shop": 18}))
    >>> {name: limit.most for name, limit in granted.items()}
    {'a': 5, 'c': 10}
    >>> granted["a"].words
    'the quota of namespace shop is 18 workers, shared by its pools'

    `b` may have its 3, and of the 15 that are left `c` gets twice as much as `a`. What others still hold must
    become free first:

    >>> claims["b"] = Claim("shop", 3, present=13)
    >>> {name: limit.most for name, limit in shares(claims, Quotas(namespaces={"shop": 18})).items()}
    {'a': 2, 'c': 3}
    """
    limits = _limits({name: _as_held(claim) for name, claim in claims.items()}, quotas)
    limits = {name: limit for name, limit in limits.items() if not claims[name].advised}
    if any(claim.advised for claim in claims.values()):
        left = {
            name: claim if claim.advised else _as_granted(claim, limits.get(name)) for name, claim in claims.items()
        }
        limits |= {name: limit for name, limit in _limits(left, quotas).items() if claims[name].advised}
    return limits


def _as_held(claim: Claim) -> Claim:
    return replace(claim, wanted=claim.present) if claim.advised else claim


def _as_granted(claim: Claim, limit: Limit | None) -> Claim:
    granted = claim.wanted if limit is None else limit.most
    return replace(claim, wanted=granted, present=max(claim.present, granted))


def _limits(claims: Mapping[Name, Claim], quotas: Quotas) -> dict[Name, Limit]:
    fair = _granted(claims, quotas, lambda _: 0)
    free = _granted(claims, quotas, lambda claim: claim.present)
    limits: dict[Name, Limit] = {}
    for name, claim in claims.items():
        most = min(fair[name][0], free[name][0])
        if most < claim.wanted:
            by_namespace = fair[name][1] if fair[name][0] <= free[name][0] else free[name][1]
            limits[name] = _limit(claim.namespace, most, quotas, by_namespace=by_namespace)
    return limits


def _limit(namespace: str, most: int, quotas: Quotas, *, by_namespace: bool) -> Limit:
    if by_namespace:
        workers = quotas.of(namespace)
        return Limit(
            most, "NamespaceQuota", f"the quota of namespace {namespace} is {workers} workers, shared by its pools"
        )
    return Limit(most, "ClusterQuota", f"the quota of the cluster is {quotas.cluster} workers, shared by all pools")


def _granted(
    claims: Mapping[Name, Claim], quotas: Quotas, least: Callable[[Claim], int]
) -> dict[Name, tuple[int, bool]]:
    """What each pool gets, and whether its namespace's quota is what cuts it rather than the cluster's."""
    by_namespace: dict[str, dict[Name, Claim]] = {}
    for name, claim in claims.items():
        by_namespace.setdefault(claim.namespace, {})[name] = claim
    within: dict[Name, int] = {}
    for namespace, members in by_namespace.items():
        within |= _fill(members, {name: claim.wanted for name, claim in members.items()}, quotas.of(namespace), least)
    overall = _fill(claims, within, quotas.cluster, least)
    return {name: (given, given >= within[name]) for name, given in overall.items()}


def _fill(
    claims: Mapping[Name, Claim], wanted: Mapping[Name, int], quota: int | None, least: Callable[[Claim], int]
) -> dict[Name, int]:
    """Hand out one worker after the other, each to the pool whose share would be the smallest with it."""
    given = {name: least(claim) for name, claim in claims.items()}
    total = {name: max(given[name], wanted[name]) for name in claims}
    if quota is None or sum(total.values()) <= quota:
        return total
    room = quota - sum(given.values())
    order = {name: number for number, name in enumerate(sorted(claims, key=str))}
    for upto in ({name: min(claims[name].minimum, total[name]) for name in claims}, total):
        heap = [((given[n] + 1) / claims[n].weight, order[n], n) for n in claims if given[n] < upto[n]]
        heapq.heapify(heap)
        while heap and room > 0:
            _, _, name = heap[0]
            given[name] += 1
            room -= 1
            if given[name] < upto[name]:
                heapq.heapreplace(heap, ((given[name] + 1) / claims[name].weight, order[name], name))
            else:
                heapq.heappop(heap)
    return given
