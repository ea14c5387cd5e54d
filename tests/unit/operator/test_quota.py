"""The laws of quotas and fair shares, over generated pools."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from jobfleet_operator.scaling.quota import Claim, Quotas, shares

claims = st.builds(
    Claim,
    namespace=st.sampled_from(["shop", "bank", "lab"]),
    wanted=st.integers(0, 40),
    present=st.integers(0, 40),
    minimum=st.integers(0, 5),
    weight=st.integers(1, 4),
)
anyones = claims.flatmap(lambda claim: st.booleans().map(lambda advised: replace(claim, advised=advised)))
mixed = st.lists(anyones, min_size=1, max_size=8).map(lambda found: {f"p{i}": one for i, one in enumerate(found)})
fleets = st.lists(claims, min_size=1, max_size=8).map(lambda found: {f"p{i}": one for i, one in enumerate(found)})
quotas = st.builds(
    Quotas,
    cluster=st.one_of(st.none(), st.integers(0, 120)),
    namespaces=st.dictionaries(st.sampled_from(["shop", "bank", "*"]), st.integers(0, 60)),
)


def granted(fleet: dict[str, Claim], allowed: Quotas) -> dict[str, int]:
    limits = shares(fleet, allowed)
    return {name: limits[name].most if name in limits else claim.wanted for name, claim in fleet.items()}


def groups(fleet: dict[str, Claim], allowed: Quotas) -> list[tuple[int, list[str]]]:
    """Each quota with the pools that it is for."""
    found = [(allowed.of(one.namespace), one.namespace) for one in fleet.values()]
    limited = [
        (quota, [name for name, claim in fleet.items() if claim.namespace == namespace])
        for quota, namespace in dict.fromkeys(found)
        if quota is not None
    ]
    return limited + ([(allowed.cluster, list(fleet))] if allowed.cluster is not None else [])


@given(mixed, quotas)
def test_pools_never_come_to_hold_more_than_a_quota(fleet: dict[str, Claim], allowed: Quotas) -> None:
    given_ = granted(fleet, allowed)
    for quota, members in groups(fleet, allowed):
        held = sum(fleet[name].present for name in members)
        assert sum(max(fleet[name].present, given_[name]) for name in members) <= max(quota, held)


@given(mixed, quotas)
def test_nobody_gets_more_than_wanted_and_none_is_limited_while_there_is_room(
    fleet: dict[str, Claim], allowed: Quotas
) -> None:
    fleet = {name: replace(claim, present=0) for name, claim in fleet.items()}
    given_ = granted(fleet, allowed)
    for name, claim in fleet.items():
        assert given_[name] <= claim.wanted
        if given_[name] < claim.wanted:
            mine = [
                sum(given_[n] for n in members) >= quota for quota, members in groups(fleet, allowed) if name in members
            ]
            assert any(mine)


@given(mixed, quotas)
def test_who_is_only_advised_takes_from_the_others_what_it_has(fleet: dict[str, Claim], allowed: Quotas) -> None:
    held = {name: replace(one, wanted=one.present) if one.advised else one for name, one in fleet.items()}
    with_advice, without = granted(fleet, allowed), granted(held, allowed)
    assert all(with_advice[name] == without[name] for name, one in fleet.items() if not one.advised)


@given(fleets, quotas)
def test_shares_are_max_min_fair_by_weight(fleet: dict[str, Claim], allowed: Quotas) -> None:
    """Who is limited could only get one more at the cost of somebody whose share is no larger than theirs would be."""
    fleet = {name: replace(claim, present=0, minimum=0) for name, claim in fleet.items()}
    given_ = granted(fleet, allowed)
    for name, claim in fleet.items():
        if given_[name] == claim.wanted:
            continue
        mine = (given_[name] + 1) / claim.weight
        full = [m for quota, m in groups(fleet, allowed) if name in m and sum(given_[n] for n in m) >= quota]
        # At least one quota that binds it has nobody with a larger share.
        assert any(all(given_[n] / fleet[n].weight <= mine for n in members) for members in full)


@given(fleets, quotas)
def test_minimums_come_first(fleet: dict[str, Claim], allowed: Quotas) -> None:
    fleet = {name: replace(claim, present=0) for name, claim in fleet.items()}
    given_ = granted(fleet, allowed)
    least = {name: min(claim.minimum, claim.wanted) for name, claim in fleet.items()}
    if all(sum(least[name] for name in members) <= quota for quota, members in groups(fleet, allowed)):
        assert all(given_[name] >= least[name] for name in fleet)


@given(fleets, quotas)
def test_shares_that_have_been_taken_stay_the_same(fleet: dict[str, Claim], allowed: Quotas) -> None:
    first = granted({name: replace(claim, present=0) for name, claim in fleet.items()}, allowed)
    settled = {name: replace(claim, present=first[name]) for name, claim in fleet.items()}
    assert granted(settled, allowed) == first


@given(fleets, quotas)
@settings(max_examples=50, deadline=None)
def test_from_any_state_the_pools_come_to_their_fair_shares(fleet: dict[str, Claim], allowed: Quotas) -> None:
    fair = granted({name: replace(claim, present=0) for name, claim in fleet.items()}, allowed)
    for _ in range(200):
        given_ = granted(fleet, allowed)
        # Who shrinks does so one worker at a time, as its jobs end; who may grow does at once.
        fleet = {name: replace(claim, present=max(given_[name], claim.present - 1)) for name, claim in fleet.items()}
    assert {name: claim.present for name, claim in fleet.items()} == fair


@given(fleets, quotas)
def test_of_two_pools_of_a_namespace_and_weight_the_one_that_wants_more_never_gets_less(
    fleet: dict[str, Claim], allowed: Quotas
) -> None:
    fleet = {name: replace(claim, present=0, minimum=0) for name, claim in fleet.items()}
    given_ = granted(fleet, allowed)
    for one, first in fleet.items():
        for other, second in fleet.items():
            same = (first.namespace, first.weight) == (second.namespace, second.weight)
            if same and first.wanted > second.wanted:
                assert given_[one] >= given_[other] - 1, "but for the one that cannot be divided"


def test_the_quota_that_limits_is_named() -> None:
    fleet = {"a": Claim("shop", 9, 0), "b": Claim("bank", 9, 0)}
    assert not shares(fleet, Quotas())
    by_namespace = shares(fleet, Quotas(cluster=100, namespaces={"*": 5, "bank": 9}))
    assert {name: (one.most, one.reason) for name, one in by_namespace.items()} == {"a": (5, "NamespaceQuota")}
    by_cluster = shares(fleet, Quotas(cluster=6, namespaces={"*": 5}))
    assert {name: (one.most, one.reason) for name, one in by_cluster.items()} == {
        "a": (3, "ClusterQuota"),
        "b": (3, "ClusterQuota"),
    }
