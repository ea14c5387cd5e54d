"""The laws of `scaling.decide`, over generated loads and policies."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobfleet_operator.scaling import (
    Decision,
    Fallback,
    Growth,
    History,
    Limit,
    Load,
    Observation,
    Policy,
    Shrinkage,
    decide,
)

policies = st.builds(
    lambda low, span, concurrency, per_worker, tolerance, window, percent, period, within, age: Policy(
        min_workers=low,
        max_workers=max(1, low + span),
        concurrency=concurrency,
        backlog_per_worker=per_worker,
        tolerance_percent=tolerance,
        drain_within_seconds=within,
        max_age_seconds=age,
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
    within=st.one_of(st.none(), st.integers(1, 600)),
    age=st.one_of(st.none(), st.integers(1, 600)),
)
loads = st.builds(
    lambda waiting, active, busy, service, arrivals, oldest, upcoming: Load(
        backlog=waiting + active,
        busy_slots=busy,
        waiting=waiting,
        service_ms=service,
        arrivals_per_minute=arrivals,
        oldest_seconds=oldest if waiting else 0,
        upcoming=upcoming,
    ),
    waiting=st.integers(0, 5000),
    active=st.integers(0, 300),
    busy=st.integers(0, 300),
    service=st.one_of(st.none(), st.integers(0, 600_000)),
    arrivals=st.integers(0, 6000),
    oldest=st.integers(0, 7200),
    upcoming=st.integers(0, 2000),
)
limits = st.builds(
    Limit,
    most=st.integers(0, 60),
    reason=st.just("NamespaceQuota"),
    words=st.just("a quota"),
    at_once=st.booleans(),
)
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


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
def test_running_jobs_are_a_floor_that_only_a_limit_goes_below(policy: Policy, samples: list[Load], size: int) -> None:
    for decision, load in zip(run(policy, list(samples), size), samples, strict=True):
        busy = ceil(load.busy_slots / policy.concurrency)
        assert decision.size >= min(busy, size, policy.max_workers)
        size = decision.size


@given(policies, loads, st.integers(0, 5000), st.integers(0, 60))
def test_more_backlog_never_means_fewer_workers(policy: Policy, load: Load, more: int, size: int) -> None:
    few = decide(Observation(0.0, size, load), policy, History())
    larger = replace(load, backlog=load.backlog + more, waiting=load.waiting + more)
    many = decide(Observation(0.0, size, larger), policy, History())
    assert many.size >= few.size
    ahead = decide(Observation(0.0, size, replace(load, upcoming=load.upcoming + more)), policy, History())
    assert ahead.size >= few.size


@given(policies, st.lists(st.tuples(loads, limits), min_size=1, max_size=60), st.integers(0, 60))
def test_a_limit_is_never_exceeded_but_on_the_way_down(
    policy: Policy, samples: list[tuple[Load, Limit]], size: int
) -> None:
    history = History()
    for second, (load, limit) in enumerate(samples):
        decision = decide(Observation(float(second), size, load, limits=(limit,)), policy, history)
        assert decision.size <= max(size, min(limit.most, policy.max_workers))
        assert decision.wanted <= min(limit.most, policy.max_workers)
        size, history = decision.size, decision.history


@given(policies, loads, limits, st.integers(0, 60))
@settings(max_examples=50)
def test_a_limit_that_stays_is_reached_whatever_is_running(policy: Policy, load: Load, limit: Limit, size: int) -> None:
    history = History()
    for second in range(3000):
        decision = decide(Observation(float(second), size, load, limits=(limit,)), policy, history)
        size, history = decision.size, decision.history
    assert size <= limit.most


@given(policies, st.lists(st.tuples(loads, limits), min_size=1, max_size=60), st.integers(0, 60))
def test_a_limit_that_moves_with_what_is_measured_shrinks_a_pool_no_sooner_than_its_window(
    policy: Policy, samples: list[tuple[Load, Limit]], size: int
) -> None:
    history = History()
    for second, (load, limit) in enumerate(samples):
        gentle = replace(limit, at_once=False)
        decision = decide(Observation(float(second), size, load, limits=(gentle,)), policy, history)
        if second < policy.down.window_seconds and size <= policy.max_workers:
            assert decision.size >= size
        size, history = decision.size, decision.history


@given(policies, loads, st.integers(1, 5000), st.integers(0, 60))
def test_jobs_behind_an_open_circuit_ask_for_nobody_and_are_told_of(
    policy: Policy, load: Load, behind: int, size: int
) -> None:
    without = decide(Observation(0.0, size, load), policy, History())
    decision = decide(Observation(0.0, size, replace(load, behind_circuit=behind)), policy, History())
    assert (decision.size, decision.wanted) == (without.size, without.wanted)
    assert f"{behind} jobs behind an open circuit ask for none" in decision.reasons


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
        if too_early:
            assert decision.size >= min(size, policy.max_workers)
        if load is None:
            assert decision.size == size
        size = decision.size


outages = st.lists(st.one_of(st.none(), st.none(), loads), min_size=1, max_size=60)
fallbacks = st.builds(Fallback, workers=st.integers(1, 80), after_seconds=st.integers(1, 30))


@given(policies, outages, fallbacks, st.integers(0, 60), limits, st.one_of(st.none(), st.integers(1, 100)))
def test_a_fallback_only_raises_and_only_when_the_load_was_not_known_for_long_enough(
    policy: Policy, samples: list[Load | None], fallback: Fallback, size: int, limit: Limit, percent: int | None
) -> None:
    policy = replace(policy, fallback=fallback, up=Growth(percent_per_step=percent))
    most = min(fallback.workers, policy.max_workers, limit.most)
    history, unknown = History(), 0
    for second, load in enumerate(samples):
        decision = decide(Observation(float(second), size, load, limits=(limit,)), policy, history)
        unknown = unknown + 1 if load is None else 0
        if load is None:
            due = unknown > fallback.after_seconds
            assert size <= decision.size <= (max(size, most) if due else size)
            assert decision.size > size or size >= most or not due
            assert decision.size >= most or percent is not None or not due
        assert decision.size <= max(size, policy.max_workers)
        assert all(decision.reasons)
        size, history = decision.size, decision.history


def test_a_fallback_is_told_with_what_cuts_it() -> None:
    policy = Policy(max_workers=8, fallback=Fallback(5, after_seconds=60))
    decisions = run(policy, [None] * 63, size=2)
    assert [decision.size for decision in decisions] == [2] * 60 + [5] * 3
    asked = "the backlog has not been known for 60 s: spec.scaling.fallback asks for 5"
    assert [decisions[59].reasons, decisions[60].reasons, decisions[61].reasons] == [
        ("held at 2: the backlog is not known",), (asked,), ("held at 5: the backlog is not known",),
    ]  # fmt: skip
    quota = Limit(4, "NamespaceQuota", "the quota is 4")
    limited = decide(Observation(60.0, 2, None, limits=(quota,)), policy, decisions[59].history)
    assert (limited.size, limited.reasons, limited.limit) == (4, (asked, "limited to 4: the quota is 4"), quota)
    assert decide(Observation(61.0, 4, None, limits=(quota,)), policy, limited.history).limit == quota
    assert decide(Observation(61.0, 6, None, limits=(quota,)), policy, limited.history).limit is None
    once = run(policy, [None] * 59 + [Load(40)] + [None] * 60, size=2)
    assert once[-1].size == 2, "it counts from the first look of each outage"


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
    if policy.drain_within_seconds is None or load.service_ms is None:
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


@given(policies, st.lists(st.one_of(st.none(), loads), min_size=1, max_size=60), st.integers(1, 30), st.integers(0, 60))
def test_the_pool_grows_only_to_what_was_wanted_throughout_a_window_that_is_known(
    policy: Policy, samples: list[Load | None], window: int, size: int
) -> None:
    policy = replace(policy, up=Growth(window))
    known: list[int] = []
    for decision, load in zip(run(policy, samples, size), samples, strict=True):
        known = [] if load is None else [*known, decision.wanted]
        throughout = min(known[-window:]) if len(known) > window else 0
        assert decision.size <= max(size, throughout, policy.min_workers)
        size = decision.size


def test_after_a_start_growth_waits_until_the_window_is_known_but_not_for_the_minimum() -> None:
    policy = Policy(min_workers=2, up=Growth(window_seconds=300))
    decisions = run(policy, [Load(100)] * 302)
    assert [decision.size for decision in decisions] == [2] * 300 + [5] * 2
    assert decisions[1].reasons[0] == "held at 2: the backlog has been known for less than 300 s"


@given(policies, st.lists(loads, min_size=1, max_size=30), st.integers(0, 60), st.integers(11, 1000))
def test_a_gap_in_looking_is_missing_data(policy: Policy, samples: list[Load], size: int, gap: int) -> None:
    last = run(policy, list(samples), size)[-1]
    empty = Observation(len(samples) - 1.0 + gap, last.size, Load(0))
    if policy.down.window_seconds:
        assert decide(empty, policy, last.history).size >= min(last.size, policy.max_workers)
    policy = replace(policy, min_workers=0, up=Growth(window_seconds=1))
    assert decide(replace(empty, load=Load(5000)), policy, last.history).size <= last.size


def test_a_look_that_comes_a_few_seconds_late_is_no_gap() -> None:
    policy, history, size = Policy(), History(), 10
    for second in range(0, 40, 8):
        decision = decide(Observation(float(second), size, Load(0)), policy, history)
        size, history = decision.size, decision.history
    assert size == 8


def test_a_lowered_maximum_is_followed_without_waiting_for_the_window() -> None:
    policy = Policy(max_workers=3, down=Shrinkage(window_seconds=300, percent_per_step=100))
    assert run(policy, [Load(400)], size=8)[0].size == 3
    assert run(policy, [Load(0)], size=8)[0].size == 3, "and no further before the load has been known for a window"


def test_a_deviation_within_the_tolerance_is_left_alone() -> None:
    policy = Policy(max_workers=40, backlog_per_worker=10, tolerance_percent=10)
    decision = run(policy, [Load(109)], size=10)[0]
    assert decision.size == 10
    assert "within 10 %" in decision.reasons[0]
    assert run(policy, [Load(120)], size=10)[0].size == 12


def test_the_answer_says_when_the_maximum_keeps_the_pool_small() -> None:
    decision = run(Policy(max_workers=2), [Load(1000)])[0]
    assert decision.limit is not None
    assert decision.limit.reason == "AtMaximum"
    assert "limited to 2: that is the maximum" in decision.reasons
    assert run(Policy(max_workers=50), [Load(1000)])[0].limit is None, "what is needed is allowed"


@given(policies, loads, limits, st.integers(0, 60), st.integers(0, 60))
def test_whatever_a_limit_cuts_is_told_and_nothing_else(
    policy: Policy, load: Load, limit: Limit, size: int, floor: int
) -> None:
    free = replace(policy, max_workers=10_000_000)
    wanted = decide(Observation(0.0, size, load, min(floor, policy.max_workers)), free, History()).wanted
    decision = decide(Observation(0.0, size, load, floor, limits=(limit,)), policy, History())
    most = min(limit.most, policy.max_workers)
    assert decision.wanted == min(wanted, most)
    assert (decision.limit is not None) == (wanted > most)
    assert any(reason.startswith(f"limited to {most}: ") for reason in decision.reasons) == (wanted > most)


def test_a_minimum_and_a_floor_that_are_cut_are_told_with_what_cuts_them() -> None:
    quota = Limit(2, "NamespaceQuota", "the quota is 2")
    decision = decide(Observation(0.0, 2, Load(0), limits=(quota,)), Policy(min_workers=4), History())
    assert decision.reasons == ("backlog 0 asks for 0", "raised to the minimum of 4", "limited to 2: the quota is 2")
    assert decision.limit == quota
    decision = decide(Observation(0.0, 2, Load(0), 4, "the floor of 4", (quota,)), Policy(), History())
    assert decision.reasons[0] == "raised to 4 by the floor of 4"
    assert decision.limit == quota
    assert decide(Observation(0.0, 4, Load(0), 9), Policy(max_workers=4), History()).limit is None


@given(policies, loads, st.integers(1, 60))
def test_what_should_be_drained_in_time_can_be_unless_a_job_alone_takes_longer(
    policy: Policy, load: Load, within: int
) -> None:
    policy = replace(policy, drain_within_seconds=within, max_workers=10_000_000, min_workers=0)
    load = replace(load, service_ms=load.service_ms or 1)
    decision = decide(Observation(0.0, 0, load), policy, History())
    each = min(load.service_ms or 1, within * 1000)
    slot_ms = decision.size * policy.concurrency * within * 1000
    come = load.arrivals_per_minute * within / 60 * (load.service_ms or 1)
    assert slot_ms >= ((load.waiting + load.upcoming) * each + max(load.busy_slots * each, come)) * (1 - 1e-9)


@given(policies, loads, st.integers(1, 600), st.integers(0, 3), st.integers(0, 60))
def test_while_jobs_wait_there_is_a_worker_however_short_they_are(
    policy: Policy, load: Load, within: int, service_ms: int, size: int
) -> None:
    policy = replace(policy, drain_within_seconds=within, min_workers=0, max_age_seconds=None)
    load = replace(load, busy_slots=0, service_ms=service_ms)
    decision = decide(Observation(0.0, size, load), policy, History())
    assert decision.wanted >= min(1, load.waiting + load.upcoming)


def test_what_a_worker_takes_to_start_is_not_left_of_the_time_half_of_it_at_most() -> None:
    policy = Policy(drain_within_seconds=60, max_workers=100)
    load = Load(60, waiting=60, service_ms=20_000)
    sizes = [decide(Observation(0.0, 0, load, start_seconds=s), policy, History()).size for s in (0, 10, 20, 90)]
    assert sizes == [20, 24, 30, 40]


def test_jobs_that_fall_due_soon_count_as_if_they_waited() -> None:
    policy = Policy(max_workers=50)
    decision = run(policy, [Load(100, waiting=100, upcoming=41)])[0]
    assert (decision.size, decision.reasons[0]) == (8, "backlog 100 and 41 due soon at 20 a worker asks for 8")
    policy = replace(policy, drain_within_seconds=60)
    assert run(policy, [Load(0, upcoming=41, service_ms=30_000)])[0].size == 21


def test_jobs_that_take_longer_than_the_time_get_a_slot_each_and_no_more() -> None:
    policy = Policy(drain_within_seconds=60, concurrency=2, max_workers=50)
    hours = Load(backlog=9, waiting=3, busy_slots=6, service_ms=3_600_000)
    assert run(policy, [hours])[0].size == 5


def test_until_a_service_time_is_measured_the_backlog_per_worker_counts() -> None:
    policy = Policy(drain_within_seconds=60, backlog_per_worker=20, concurrency=4, max_workers=50)
    assert run(policy, [Load(400, waiting=400)])[0].size == 20
    assert run(policy, [Load(400, waiting=400, service_ms=600)])[0].size == 1


def test_the_pool_grows_step_by_step_while_a_job_waits_for_too_long_and_gets_time_in_between() -> None:
    policy = Policy(backlog_per_worker=1000, max_age_seconds=30, max_workers=20)
    late = Load(50, waiting=50, oldest_seconds=40)
    decisions = run(policy, [late] * 40, size=4)
    assert [decision.size for decision in decisions] == [6] * 15 + [9] * 15 + [13] * 10
    assert decisions[0].reasons[0] == "a job has waited for 40 s, more than 30 s"
    assert run(policy, [replace(late, oldest_seconds=29)], size=0)[0].size == 1


@given(st.integers(0, 30), st.one_of(st.none(), st.integers(1, 100)))
def test_the_age_of_a_job_makes_the_pool_grow_also_where_growth_waits_for_its_window(
    window: int, percent: int | None
) -> None:
    policy = Policy(max_workers=20, max_age_seconds=10, up=Growth(window, percent))
    waiting = [Load(15, waiting=15, oldest_seconds=second) for second in range(1200)]
    assert run(policy, list(waiting))[-1].size == 20


@given(policies, st.lists(loads, min_size=1, max_size=60), st.integers(0, 60))
def test_while_a_job_waits_for_too_long_nobody_goes(policy: Policy, samples: list[Load], size: int) -> None:
    policy = replace(policy, max_age_seconds=10)
    for decision, load in zip(run(policy, list(samples), size), samples, strict=True):
        if load.oldest_seconds > 10:
            assert decision.size >= min(size, policy.max_workers)
        size = decision.size
