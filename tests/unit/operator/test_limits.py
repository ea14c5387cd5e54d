"""Pods that cannot run keep a pool from making more of them."""

from __future__ import annotations

from typing import Any

from jobfleet_operator.limits import TRIAL, broken
from jobfleet_operator.world import PodView
from unit.operator.people import pod


def ill(name: str, reason: str = "ImagePullBackOff") -> PodView:
    waiting = {"name": "worker", "state": {"waiting": {"reason": reason, "message": "Back-off"}}}
    return pod(name, ready=False, containerStatuses=[waiting])


def unschedulable(name: str) -> PodView:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    return pod(name, node="", ready=False, conditions=[condition])


def most(*pods: PodView, size: int = 20, proven: bool = False, working: Any = ()) -> int | None:
    limit = broken(pods, working, size, proven=proven)
    return None if limit is None else limit.most


def test_a_pool_whose_pods_are_all_broken_and_never_ran_goes_down_to_a_few() -> None:
    assert most(ill("a"), ill("b")) == TRIAL
    assert most(ill("a"), ill("b"), size=1) == TRIAL


def test_while_others_may_still_come_up_it_keeps_its_size() -> None:
    assert most(ill("a"), pod("b", ready=False)) == 20


def test_a_pool_that_ran_before_keeps_its_size_and_does_not_grow() -> None:
    assert most(ill("a", "CrashLoopBackOff"), proven=True) == 20


def test_one_that_serves_lifts_the_limit() -> None:
    assert most(ill("a"), pod("b")) is None
    assert most(ill("a"), pod("b", ready=False), working={"b"}) is None, "a worker that holds a lease runs"


def test_pods_that_wait_for_a_node_or_start_limit_nothing() -> None:
    assert most(unschedulable("a"), unschedulable("b")) is None
    assert most(pod("a", ready=False)) is None
    assert most() is None


def test_the_limit_names_the_pod_and_the_reason() -> None:
    limit = broken([ill("b"), ill("a")], (), 20, proven=False)
    assert limit is not None
    assert limit.words == "no worker runs, and Pod a cannot: ImagePullBackOff: Back-off"
