"""The comparison with KEDA and the HPA: its world keeps count, its model follows the published rules."""

from __future__ import annotations

import doctest

import pytest
from bench.scaling import __main__ as command
from bench.scaling.fleet import Jobfleet
from bench.scaling.keda import Keda
from bench.scaling.report import Outcome, Results, outcome, table
from bench.scaling.traces import Job, Trace, all_traces, burst, long_jobs
from bench.scaling.world import World

OURS = [side for side in command.SIDES if side.startswith("jobfleet")]


@pytest.fixture(scope="module")
def results() -> Results:
    return command.simulate(all_traces())


def trace(*jobs: tuple[float, float], slots: int = 1, most: int = 50, per_worker: int = 1) -> Trace:
    """Of (due, seconds)."""
    made = tuple(Job(number, due, due, seconds) for number, (due, seconds) in enumerate(jobs))
    return Trace("small", "", made, slots, most, per_worker)


def sizes(played: Trace) -> list[int]:
    """The numbers of Pods under KEDA and the HPA, one after the other."""
    return [size for _, size in World(played, Keda()).run().sizes]


def test_on_our_side_no_job_is_interrupted_and_all_are_done(results: Results) -> None:
    ours = [found for sides in results.values() for side, found in sides.items() if side in OURS]
    assert len(ours) == 15
    assert [(found.interrupted, found.unfinished) for found in ours] == [(0, 0)] * 15


def test_what_is_paid_is_what_the_picture_shows_and_at_least_the_work(results: Results) -> None:
    for played in all_traces():
        work = sum(job.seconds for job in played.jobs) / played.slots
        for found in results[played.name].values():
            area, (before, size) = 0.0, found.sizes[0]
            for at, after in (*found.sizes[1:], (found.end, 0)):
                area, before, size = area + (at - before) * size, at, after
            assert found.paid == pytest.approx(area)
            assert found.paid > work or found.unfinished


def test_a_simulation_gives_the_same_each_time(results: Results) -> None:
    def again(played: Trace) -> dict[str, Outcome]:
        return {side: outcome(World(played, make(played)).run()) for side, make in command.SIDES.items()}

    assert again(burst()) == results["burst"]
    assert again(long_jobs()) == results["long jobs"]


def test_the_documentation_shows_what_the_simulation_gives(results: Results) -> None:
    assert table(all_traces(), results) in command.PAGE.read_text(), "run make bench-scaling, and read what changed"


def test_keda_makes_one_worker_and_the_hpa_doubles_or_adds_four_every_15_seconds() -> None:
    grown = sizes(trace(*[(1.0, 500.0)] * 64))
    assert grown[:6] == [0, 1, 5, 10, 20, 40]


def test_the_hpa_leaves_a_deviation_of_a_tenth_alone_and_goes_down_by_the_highest_of_300_seconds() -> None:
    world = World(trace(*[(1.0, 500.0)] * 11, most=10, per_worker=10), Keda()).run()
    assert max(size for _, size in world.sizes) == 1, "11 jobs on one worker of 10: within the tolerance"
    grown = World(trace(*[(1.0, 1.0)] * 20, (250.0, 1.0), per_worker=10), Keda()).run()
    up, down = ((at, size) for at, size in grown.sizes[2:4])
    assert (up[1], down[1]) == (2, 1)
    assert down[0] - up[0] >= 285


def test_keda_takes_all_workers_away_after_300_seconds_without_waiting_jobs_busy_or_not() -> None:
    world = World(trace((1.0, 600.0)), Keda()).run()
    assert world.interrupted >= 2
    assert not world.done


def test_a_worker_that_is_told_to_stop_may_finish_within_its_grace_period() -> None:
    world = World(trace((1.0, 320.0)), Keda()).run()
    assert (world.interrupted, len(world.done)) == (0, 1)


def test_a_job_that_comes_while_the_last_worker_drains_is_run_by_it() -> None:
    world = World(trace((0.0, 1.0), (37.0, 1.0)), Jobfleet(command.policy(trace((0.0, 1.0))))).run()
    assert max(world.done.values()) < 40


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(command).failed == 0
