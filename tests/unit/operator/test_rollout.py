"""Roll-outs: who goes, when, and that there are never fewer workers than needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobfleet_operator.drain import Member
from jobfleet_operator.rollout import plan
from unit.operator.people import member


def old(name: str, *, owner: str = "WorkerPool", **more: Any) -> Member:
    one = member(name, **more)
    return Member(replace(one.pod, owner=owner), one.workers)


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


def test_a_pod_that_nobody_owns_is_made_the_pools() -> None:
    next_steps = plan([old("a", owner="", busy=1), old("b", busy=1)], [], goal=2)
    assert [pod.name for pod in next_steps.adopt] == ["a"]


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
