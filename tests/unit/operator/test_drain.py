"""Scale-down by choice: whom it sends away, and that it never lets a busy Pod be deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobfleet.inspection import QueueAddress
from jobfleet_operator import drain, names
from jobfleet_operator.drain import Member, plan
from unit.operator.people import PHOTOS, member, pod, worker

COST = names.VICTIM_COST


def told(members: tuple[Member, ...]) -> set[str]:
    return {one.pod.name for one in members}


def test_the_idlest_are_told_to_drain_first() -> None:
    fleet = [member("a", busy=3), member("b", busy=0), member("c", busy=1), member("d", busy=4)]
    retreat = plan(fleet, replicas=4, goal=2, rolling=False)
    assert told(retreat.drain) == {"b", "c"}
    assert retreat.replicas == 4


def test_an_idle_victim_is_marked_first_and_leaves_when_the_mark_was_seen() -> None:
    drained = member("b", draining=True)
    retreat = plan([member("a", busy=1), drained], replicas=2, goal=1, rolling=False)
    assert [pod.name for pod in retreat.mark] == ["b"]
    assert retreat.replicas == 2
    marked = member("b", draining=True, cost=COST)
    assert plan([member("a", busy=1), marked], replicas=2, goal=1, rolling=False).replicas == 1


def test_a_busy_victim_stays_until_it_is_idle() -> None:
    fleet = [member("a", busy=2), member("b", busy=1, draining=True)]
    retreat = plan(fleet, replicas=2, goal=1, rolling=False)
    assert (retreat.replicas, retreat.mark, retreat.drain) == (2, (), ())


def test_when_the_need_comes_back_victims_go_on_and_lose_their_mark() -> None:
    fleet = [member("a", busy=1), member("b", draining=True, cost=COST)]
    retreat = plan(fleet, replicas=2, goal=5, rolling=False)
    assert told(retreat.undrain) == {"b"}
    assert [pod.name for pod in retreat.unmark] == ["b"]
    assert retreat.replicas == 5


def test_a_lower_deletion_cost_of_somebody_else_does_not_keep_a_pool_from_shrinking() -> None:
    """Such as one in the template, which all of its Pods have."""
    fleet = [member("a", draining=True, cost=-2000), member("b", busy=1, cost=-2000), member("c", busy=1, cost=5)]
    step = drain.plan(fleet, replicas=3, goal=2, rolling=False)
    assert ([pod.name for pod in step.mark], [pod.name for pod in step.unmark]) == (["a"], ["b"])
    assert step.replicas == 3
    fleet = [member("a", draining=True, cost=names.VICTIM_COST), member("b", busy=1), member("c", busy=1, cost=5)]
    assert drain.plan(fleet, replicas=3, goal=2, rolling=False).replicas == 2
    assert drain.plan([member("b", cost=-2000)], replicas=1, goal=1, rolling=False).unmark == (), "where nobody goes"


def test_pods_that_never_began_leave_before_any_worker() -> None:
    fleet = [member("a"), member("b", working=False, ready=False, cost=COST)]
    retreat = plan(fleet, replicas=2, goal=1, rolling=False)
    assert (retreat.replicas, retreat.drain) == (1, ())


def test_a_pod_whose_worker_is_about_to_come_up_is_told_by_its_name_before_it_goes() -> None:
    coming = member("b", working=False, told=False, ready=False, cost=COST)
    retreat = plan([member("a"), coming], replicas=2, goal=1, rolling=False)
    assert (retreat.replicas, told(retreat.drain)) == (2, {"b"})
    assert drain.by_queue(retreat.drain) == [(PHOTOS, ("b",))]


def test_a_busy_pod_that_is_not_ready_holds_the_step_because_it_would_be_deleted_first() -> None:
    fleet = [member("a", busy=2, ready=False), member("b", draining=True, cost=COST)]
    assert plan(fleet, replicas=2, goal=1, rolling=False).replicas == 2


def test_replicas_without_a_pod_cost_nothing() -> None:
    assert plan([member("a", busy=1)], replicas=4, goal=1, rolling=False).replicas == 1


def test_pods_that_are_about_to_be_deleted_are_not_chosen_twice() -> None:
    fleet = [member("a"), member("b"), member("c", draining=True, cost=COST)]
    retreat = plan(fleet, replicas=2, goal=2, rolling=False)
    assert (told(retreat.drain), told(retreat.undrain), retreat.unmark) == (set(), set(), ())


def test_during_a_roll_out_nothing_shrinks_while_anybody_works() -> None:
    fleet = [member("a", busy=1), member("b", draining=True, cost=COST)]
    assert plan(fleet, replicas=2, goal=1, rolling=True).replicas == 2
    idle = [member("a"), member("b", draining=True, cost=COST)]
    assert plan(idle, replicas=2, goal=1, rolling=True).replicas == 2, "the other one may take a job at any moment"
    assert plan(idle, replicas=2, goal=0, rolling=True).replicas == 2, "it is told first"
    told_all = [member("a", draining=True), member("b", draining=True, cost=COST)]
    assert plan(told_all, replicas=2, goal=0, rolling=True).replicas == 0
    assert plan([], replicas=2, goal=0, rolling=True).replicas == 0


def test_a_worker_of_two_queues_is_busy_with_the_jobs_of_both() -> None:
    (address, seen), *_ = member("a", busy=1).workers
    both = Member(member("a").pod, ((address, seen), (address, seen)))
    assert both.busy == 2


def test_a_worker_that_is_there_in_one_of_its_queues_is_told_by_its_name_in_the_other() -> None:
    films = QueueAddress("shop", "films")
    both = replace(member("a").pod, queues=("films", "photos"))
    seen = {"a": [(PHOTOS, worker("a", draining=True))]}
    coming = drain.member(both, seen, ["photos"])
    assert (coming.silent, coming.draining, coming.to_be_told) == ((films,), False, True)
    assert drain.by_queue([coming]) == [(PHOTOS, ("a.1",)), (films, ("a",))]
    assert drain.member(both, seen, ["photos"], told={(films, "a")}).removable


def test_a_pod_of_a_queue_that_cannot_be_read_is_not_told_there_and_does_not_go() -> None:
    films = QueueAddress("shop", "films")
    unseen = drain.member(replace(pod("a", cost=COST), queues=("films",)), {}, [], unread={films}, dark={"a"})
    assert (unseen.silent, unseen.to_be_told, unseen.removable) == ((), False, False)
    retreat = plan([unseen, member("b")], replicas=2, goal=1, rolling=False)
    assert (retreat.replicas, told(retreat.drain)) == (2, {"b"}), "one that can be seen goes first"
    assert drain.member(unseen.pod, {}, [], unread={films}).removable, "its time is over"


def lasting(name: str, drain_ms: int, **more: Any) -> Member:
    one = member(name, **more)
    ((address, worker),) = one.workers
    return Member(one.pod, ((address, replace(worker, drain_ms=drain_ms)),))


def test_who_drains_is_told_again_in_time_and_does_not_leave_on_a_mark_that_is_about_to_run_out() -> None:
    fleet = [member("a", busy=1), lasting("b", 45_000, cost=COST)]
    assert (
        plan(fleet, replicas=2, goal=1, rolling=False).drain,
        plan(fleet, replicas=2, goal=1, rolling=False).replicas,
    ) == ((), 1)
    fading = [member("a", busy=1), lasting("b", 20_000, cost=COST)]
    retreat = plan(fading, replicas=2, goal=1, rolling=False)
    assert (told(retreat.drain), retreat.replicas) == ({"b"}, 1)
    nearly = [member("a", busy=1), lasting("b", 5_000, cost=COST)]
    retreat = plan(nearly, replicas=2, goal=1, rolling=False)
    assert (told(retreat.drain), retreat.replicas) == ({"b"}, 2)


members = st.builds(
    lambda busy, draining, working, ready, node, marked: (
        busy if working else 0, draining, working, ready, node, marked,
    ),
    busy=st.integers(0, 4), draining=st.booleans(), working=st.booleans(), ready=st.booleans(),
    node=st.booleans(), marked=st.booleans(),
)  # fmt: skip


@given(st.lists(members, max_size=12), st.integers(0, 14), st.integers(0, 14), st.booleans())
def test_whatever_the_fleet_looks_like_the_replicaset_can_only_pick_pods_with_nothing_to_lose(
    traits: list[tuple[int, bool, bool, bool, bool, bool]], replicas: int, goal: int, rolling: bool
) -> None:
    fleet = [
        member(f"p{i}", busy=busy, draining=draining, working=working, ready=ready,
               node="n" if node else "", cost=COST if marked else None)
        for i, (busy, draining, working, ready, node, marked) in enumerate(traits)
    ]  # fmt: skip
    retreat = plan(fleet, replicas=replicas, goal=goal, rolling=rolling)
    assert min(goal, replicas) <= retreat.replicas <= max(goal, replicas)
    if retreat.replicas >= replicas:
        return
    lost = max(0, len(fleet) - retreat.replicas)
    order = sorted(fleet, key=lambda one: (one.pod.assigned, one.pod.phase != "Pending", one.pod.ready,
                                           one.pod.deletion_cost or 0, one.removable))  # fmt: skip
    already = max(0, len(fleet) - replicas)
    for picked in order[already:lost]:
        assert picked.busy == 0
        assert picked.removable


def test_workers_are_found_by_their_pool() -> None:
    from unit.operator.people import snapshot, worker

    other = replace(worker("x"), pool="other")
    found = drain.workers_by_name("photos", [snapshot(worker("a"), other)])
    assert set(found) == {"a"}
