"""The laws of `scaling.decide`, over generated loads and policies."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from jobfleet_operator.scaling import Decision, Growth, History, Load, Observation, Policy, Shrinkage, decide

policies = st.builds(
    lambda low, span, concurrency, per_worker, tolerance, window, percent, period: Policy(
        min_workers=low,
        max_workers=max(1, low + span),
        concurrency=concurrency,
        backlog_per_worker=per_worker,
        tolerance_percent=tolerance,
        down=Shrinkage(window, percent, period),
    ),
    low=st.integers(0, 20),
    span=st.integers(0, 40),
    concurrency=st.integers(1, 16),
    per_worker=st.integers(1, 50),
    tolerance=st.integers(0, 50),
    window=st.integers(0, 60),
    percent=st.integers(1, 100),
    period=st.integers(1, 30),
)
loads = st.builds(Load, backlog=st.integers(0, 5000), busy_slots=st.integers(0, 300))


def run(policy: Policy, samples: list[Load | None], size: int = 0) -> list[Decision]:
    """One decision a second, each from the size before."""
    history, decisions = History(), []
    for second, load in enumerate(samples):
        decision = decide(Observation(float(second), size, load), policy, history)
        size, history = decision.size, decision.history
        decisions.append(decision)
    return decisions


@given(policies, st.lists(st.one_of(st.none(), loads), max_size=60))
def test_the_pool_never_grows_above_its_maximum(policy: Policy, samples: list[Load | None]) -> None:
    assert all(decision.size <= policy.max_workers for decision in run(policy, samples))


@given(policies, st.lists(loads, min_size=1, max_size=60), st.integers(0, 60))
def test_running_jobs_are_a_floor_even_when_the_maximum_is_lowered(
    policy: Policy, samples: list[Load], size: int
) -> None:
    for decision, load in zip(run(policy, list(samples), size), samples, strict=True):
        busy = ceil(load.busy_slots / policy.concurrency)
        assert decision.size >= min(busy, size)
        size = decision.size


@given(policies, loads, st.integers(0, 5000), st.integers(0, 60))
def test_more_backlog_never_means_fewer_workers(policy: Policy, load: Load, more: int, size: int) -> None:
    few = decide(Observation(0.0, size, load), policy, History())
    many = decide(Observation(0.0, size, Load(load.backlog + more, load.busy_slots)), policy, History())
    assert many.size >= few.size


@given(policies, loads, st.integers(0, 60))
@settings(max_examples=50)
def test_a_constant_load_leads_to_a_constant_size_and_never_turns_back(policy: Policy, load: Load, size: int) -> None:
    sizes = [size] + [decision.size for decision in run(policy, [load] * 3000, size)]
    changes = [after - before for before, after in pairwise(sizes) if after != before]
    assert all(change > 0 for change in changes) or all(change < 0 for change in changes)
    assert len(set(sizes[-100:])) == 1


@given(policies, st.lists(st.one_of(st.none(), loads), min_size=1, max_size=60), st.integers(0, 60))
def test_after_a_restart_and_after_missing_data_a_whole_window_only_goes_up(
    policy: Policy, samples: list[Load | None], size: int
) -> None:
    known_since: int | None = None
    for second, (decision, load) in enumerate(zip(run(policy, samples, size), samples, strict=True)):
        known_since = None if load is None else second if known_since is None else known_since
        too_early = known_since is None or second - known_since < policy.down.window_seconds
        if too_early and size <= policy.max_workers:
            assert decision.size >= size
        if load is None:
            assert decision.size == size
        size = decision.size


@given(policies, st.lists(loads, min_size=1, max_size=90), st.integers(0, 60))
def test_a_step_down_keeps_to_its_share_and_its_period(policy: Policy, samples: list[Load], size: int) -> None:
    last_step: int | None = None
    for second, decision in enumerate(run(policy, list(samples), size)):
        if decision.size < size:
            assert size - decision.size <= max(1, size * policy.down.percent_per_step // 100)
            assert last_step is None or second - last_step >= policy.down.period_seconds
            last_step = second
        size = decision.size


@given(policies, loads)
def test_from_zero_the_full_need_comes_in_one_step(policy: Policy, load: Load) -> None:
    decision = decide(Observation(0.0, 0, load), policy, History())
    assert decision.size == decision.wanted
    assert decision.size >= min(policy.max_workers, ceil(load.backlog / policy.backlog_per_worker))


@given(policies, st.lists(st.one_of(st.none(), loads), min_size=1, max_size=40))
def test_every_decision_carries_a_reason(policy: Policy, samples: list[Load | None]) -> None:
    assert all(decision.reasons and all(decision.reasons) for decision in run(policy, samples))


def test_the_step_to_zero_obeys_the_same_window_as_every_other() -> None:
    policy = Policy(down=Shrinkage(window_seconds=30, percent_per_step=100, period_seconds=1))
    sizes = [decision.size for decision in run(policy, [Load(100)] + [Load(0)] * 60)]
    assert sizes[0] == 5
    assert sizes[29] == 5
    assert sizes[31] == 0


def test_one_job_keeps_one_worker() -> None:
    policy = Policy(down=Shrinkage(window_seconds=0, percent_per_step=100, period_seconds=1))
    assert run(policy, [Load(1)] * 5, size=4)[-1].size == 1


def test_growth_can_be_slowed_down() -> None:
    policy = Policy(max_workers=40, backlog_per_worker=1, up=Growth(percent_per_step=100))
    assert [decision.size for decision in run(policy, [Load(40)] * 7)] == [1, 2, 4, 8, 16, 32, 40]


def test_growth_can_wait_for_a_need_that_lasts() -> None:
    policy = Policy(backlog_per_worker=1, up=Growth(window_seconds=3))
    spike = [Load(0), Load(8), Load(0), Load(5), Load(5), Load(5), Load(5)]
    assert [decision.size for decision in run(policy, spike)] == [0, 0, 0, 0, 0, 5, 5]


def test_a_lowered_maximum_is_followed_without_waiting_for_the_window() -> None:
    policy = Policy(max_workers=3, down=Shrinkage(window_seconds=300, percent_per_step=100))
    assert run(policy, [Load(400)], size=8)[0].size == 3


def test_a_deviation_within_the_tolerance_is_left_alone() -> None:
    policy = Policy(max_workers=40, backlog_per_worker=10, tolerance_percent=10)
    decision = run(policy, [Load(109)], size=10)[0]
    assert decision.size == 10
    assert "within 10 %" in decision.reasons[0]
    assert run(policy, [Load(120)], size=10)[0].size == 12


def test_the_answer_says_when_the_maximum_keeps_the_pool_small() -> None:
    decision = run(Policy(max_workers=2), [Load(1000)])[0]
    assert decision.limited
    assert "limited to the maximum of 2" in decision.reasons
