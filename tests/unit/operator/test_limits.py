"""Pods that cannot run keep a pool from making more of them, and so does what its queues let run."""

from __future__ import annotations

from math import ceil
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobfleet.inspection import Circuit, QueueSettings
from jobfleet_operator.limits import TRIAL, Passage, broken, by_queues, passage
from jobfleet_operator.pods import PodView
from unit.operator.people import pod, snapshot


def ill(name: str, reason: str = "ImagePullBackOff") -> PodView:
    waiting = {"name": "worker", "state": {"waiting": {"reason": reason, "message": "Back-off"}}}
    return pod(name, ready=False, containerStatuses=[waiting])


def unschedulable(name: str, reason: str = "Unschedulable") -> PodView:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "no room"}
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
    assert most(unschedulable("a"), unschedulable("b", "SchedulingGated")) is None
    assert most(pod("a", ready=False)) is None
    assert most() is None


def test_the_limit_names_the_pod_and_the_reason() -> None:
    limit = broken([ill("b"), ill("a")], (), 20, proven=False)
    assert limit is not None
    assert limit.words == "no worker runs, and Pod a cannot: ImagePullBackOff: Back-off"


def lets_run(busy: int = 0, service_ms: int | None = None, circuit: Circuit | None = None, **settings: Any) -> Any:
    """How many jobs a queue lets a pool run."""
    seen = snapshot(settings=QueueSettings(**settings), circuits=(circuit,) if circuit else ())
    found = passage(seen, busy, service_ms, ahead_ms=12_000)
    return None if found is None else (found.slots, found.words)


def test_a_queue_lets_run_what_it_says_and_what_its_rate_fills() -> None:
    assert lets_run() is None
    assert lets_run(max_active=4) == (4, "maxActive 4")
    assert lets_run(rate_count=600, rate_ms=60_000) is None, "how long a job takes has not been measured"
    assert lets_run(service_ms=2000, rate_count=600, rate_ms=60_000) == (25, "a rate of 600 in 60 s")
    assert lets_run(service_ms=1, rate_count=1, rate_ms=60_000)[0] == 1
    assert lets_run(service_ms=2000, max_active=30, rate_count=600, rate_ms=60_000)[0] == 25
    assert lets_run(busy=9, max_active=4) == (9, "maxActive 4"), "what runs goes on"


def test_an_open_circuit_lets_nothing_run_until_its_probes_begin() -> None:
    now = snapshot().now_ms
    circuit = Circuit("", False, now, now + 60_000, 80, "OSError")
    assert lets_run(circuit=circuit) == (0, "")
    assert lets_run(busy=5, circuit=circuit, max_active=50) == (5, "")
    soon = Circuit("", False, now, now + 10_000, 80, "OSError")
    assert lets_run(circuit=soon, breaker_probes=3) == (3, ""), "a worker that is started now is there in time"
    assert lets_run(circuit=Circuit("", True, now, 0, 80, "OSError", probing=2), breaker_probes=3) == (1, "")


passages = st.builds(Passage, queue=st.just("q"), slots=st.integers(0, 500), words=st.sampled_from(["", "maxActive 4"]))


@given(st.lists(st.one_of(st.none(), passages), min_size=1), st.integers(1, 16), st.integers(0, 50))
def test_a_pool_is_bound_where_all_its_queues_are_and_by_no_less_than_they_let_run(
    found: list[Passage | None], concurrency: int, least: int
) -> None:
    limit = by_queues(found, concurrency, least=least)
    bound = [one for one in found if one is not None]
    assert (limit is not None) == (len(bound) == len(found) and any(one.words for one in bound))
    if limit is not None:
        assert limit.most * concurrency >= sum(one.slots for one in bound)
        assert limit.most == max(least, ceil(sum(one.slots for one in bound) / concurrency))
        assert not limit.at_once
