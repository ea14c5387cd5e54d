"""Roll-outs: who goes, when, and that there are never fewer workers than needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobfleet_operator.drain import Member
from jobfleet_operator.rollout import plan, room, surge
from unit.operator.people import member


def old(name: str, *, owner: str = "WorkerPool", **more: Any) -> Member:
    one = member(name, **more)
    return replace(one, pod=replace(one.pod, owner=owner))


def told(members: tuple[Member, ...]) -> set[str]:
    return {one.pod.name for one in members}


def test_nobody_goes_before_a_new_worker_is_up() -> None:
    starting = [member("n1", working=False, ready=False), member("n2", ready=False)]
    next_steps = plan([old("a", busy=1), old("b")], starting, goal=2)
    assert (next_steps.drain, next_steps.remove) == ((), ())


def test_for_each_new_worker_an_old_one_is_told_to_drain_the_idlest_first() -> None:
    next_steps = plan([old("a", busy=2), old("b", busy=1)], [member("n1")], goal=2)
    assert told(next_steps.drain) == {"b"}


def test_a_drained_old_worker_goes_when_it_is_idle_and_not_before() -> None:
    fleet = [old("a", busy=1, draining=True), old("b", draining=True)]
    next_steps = plan(fleet, [member("n1"), member("n2")], goal=2)
    assert [pod.name for pod in next_steps.remove] == ["b"]


def test_old_workers_go_on_when_the_new_ones_fall_away() -> None:
    next_steps = plan([old("a", busy=1, draining=True)], [member("n1", ready=False)], goal=1)
    assert told(next_steps.undrain) == {"a"}


def test_without_room_for_a_new_worker_one_old_one_makes_some() -> None:
    pending = [member("n1", working=False, ready=False, node="")]
    next_steps = plan([old("a", busy=1), old("b", busy=2)], pending, goal=2, cramped=True)
    assert told(next_steps.drain) == {"a"}


def test_an_idle_old_worker_goes_before_a_busy_one_that_was_told_to() -> None:
    next_steps = plan([old("a", busy=1, draining=True), old("b")], [member("n1")], goal=2)
    assert (told(next_steps.drain), told(next_steps.undrain)) == ({"b"}, {"a"})


def test_old_pods_that_never_came_up_give_way_at_once_and_those_that_work_stay() -> None:
    down = [old(name, working=False, ready=False, told=False) for name in ("a", "b")]
    next_steps = plan([old("c"), *down, old("d", busy=1)], [member("n1", working=False, ready=False)], goal=4)
    assert told(next_steps.drain) == {"a", "b"}
    assert next_steps.remove == (), "one that is about to come up has to be told first"
    gone = plan([replace(one, told=True) for one in down], [], goal=2)
    assert [pod.name for pod in gone.remove] == ["a", "b"]


def test_an_old_pod_of_which_nothing_can_be_seen_stays_and_gives_way_last() -> None:
    dark = replace(old("a", working=False, told=True), dark=True)
    next_steps = plan([dark, old("b", draining=True)], [member("n1")], goal=2)
    assert [pod.name for pod in next_steps.remove] == ["b"]
    assert plan([dark], [member("n1"), member("n2")], goal=2).remove == ()
    starting = replace(dark, pod=replace(dark.pod, ready=False))
    assert plan([starting, old("b")], [], goal=2).drain == (), "it may work, and counts as one that does"


traits = st.tuples(st.integers(0, 3), st.booleans(), st.booleans())


@given(st.lists(traits, max_size=8), st.lists(traits, max_size=8), st.integers(0, 10))
def test_none_is_interrupted_and_as_many_work_as_are_needed_and_there(
    before: list[tuple[int, bool, bool]], after: list[tuple[int, bool, bool]], goal: int
) -> None:
    olds = [old(f"o{i}", busy=busy, draining=draining) for i, (busy, draining, _) in enumerate(before)]
    news = [
        member(f"n{i}", busy=busy, draining=draining, ready=ready) for i, (busy, draining, ready) in enumerate(after)
    ]
    next_steps = plan(olds, news, goal=goal)
    by_name = {one.pod.name: one for one in olds}
    for pod in next_steps.remove:
        assert by_name[pod.name].removable
    up = sum(1 for one in news if one.pod.ready and not one.draining)
    going = told(next_steps.drain) | {one.pod.name for one in olds if one.draining} - told(next_steps.undrain)
    assert len(olds) - len(going) + up >= min(goal, len(olds) + up)


limits = st.one_of(st.integers(1, 20), st.integers(1, 100).map("{}%".format))
sizes = st.integers(0, 50)


@given(limits, sizes, sizes, sizes)
def test_no_worker_is_made_beyond_the_surge_and_none_that_is_needed_is_taken_away(
    limit: int | str, goal: int, before: int, new: int
) -> None:
    most = surge(limit, goal)
    may = room(goal=goal, most_surge=most, old=before, new=new)
    assert may <= max(new, goal + most - before), "what is made fits"
    assert min(goal, new) <= may <= goal, "a roll-out takes none of the new ones away"


@given(limits, st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 12))
def test_a_roll_out_ends_when_jobs_do_and_always_has_someone_to_take_the_next_job(
    limit: int | str, jobs: list[int], goal: int
) -> None:
    """Plays it: each turn new Pods come up, and the old workers finish one job each; those not told take another."""
    most, new = surge(limit, goal), 0
    fleet = {f"o{i}": (left, False) for i, left in enumerate(jobs)}
    for turn in range(sum(jobs) + 3 * len(jobs) + 3 * goal + 3):
        made = room(goal=goal, most_surge=most, old=len(fleet), new=new)
        assert made == new or made + len(fleet) <= goal + most
        assert made > new or new >= goal or new + len(fleet) >= goal + most, "a turn without a new one has a reason"
        new = made
        olds = [old(name, busy=int(left > 0), draining=draining) for name, (left, draining) in fleet.items()]
        steps = plan(olds, [member(f"n{i}") for i in range(new)], goal=goal)
        gone = {pod.name for pod in steps.remove}
        assert all(fleet[name] == (0, True) for name in gone), "no job is interrupted"
        going = {one.pod.name for one in olds if one.draining} - told(steps.undrain) | told(steps.drain)
        assert len(olds) - len(going) + new >= min(goal, len(olds) + new)
        fleet = {
            name: (max(0, left - 1) if left or name in going else turn % 2, name in going)
            for name, (left, _) in fleet.items()
            if name not in gone
        }
    assert not fleet, "the last old worker has gone"
    assert new == goal
