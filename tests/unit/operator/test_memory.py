"""What is measured of a queue."""

from __future__ import annotations

from jobfleet_operator.memory import DEFAULT_START_SECONDS, MOST_START_SECONDS, Flow, QueueMemory, Sample, Starts


def after(*counters: tuple[int, int, int]) -> Flow:
    """The flow after one sample a second of (arrived, finished, busy ms)."""
    memory = QueueMemory()
    for second, (arrived, finished, busy_ms) in enumerate(counters):
        memory.measure(Sample(float(second), arrived, finished, busy_ms))
    return memory.flow()


def test_a_steady_flow_is_measured() -> None:
    flow = after(*((2 * second, second, 1500 * second) for second in range(31)))
    assert flow == Flow(arrivals_per_minute=120, service_ms=1500, finished=30)


def test_a_burst_is_no_rate() -> None:
    assert after(*((0, 0, 0) for _ in range(5)), *((1000, 0, 0) for _ in range(20))).arrivals_per_minute == 0


def test_without_recent_ends_all_that_ever_ended_counts() -> None:
    assert after((9, 10, 20_000), (9, 10, 20_000)).service_ms == 2000
    assert after((9, 0, 0), (9, 0, 0)).service_ms is None


def test_jobs_that_take_no_time_that_can_be_measured_count_a_millisecond() -> None:
    assert after((0, 0, 0), (1000, 1000, 0)).service_ms == 1
    assert after((0, 0, 0), (1000, 1000, 300)).service_ms == 1
    assert after((0, 0, 0), (1000, 1000, 1100)).service_ms == 2, "rounded up: they should be done in time"


def test_a_queue_that_was_purged_is_measured_anew() -> None:
    assert after((50, 50, 100), (51, 51, 102), (0, 0, 0), (1, 1, 7)) == Flow(0, 7, 1)


def test_a_start_is_timed_from_the_pod_to_its_worker_and_the_slowest_of_the_last_few_counts() -> None:
    starts = Starts()
    starts.note(0.0, ["old"], [])
    assert starts.seconds(None) == DEFAULT_START_SECONDS
    assert starts.seconds(25) == 25
    starts.note(10.0, ["old", "a", "b", "c"], [])
    starts.note(12.5, ["old", "a", "b"], ["old", "a"])
    assert list(starts.lately) == [2.5], "since when the old one was there is not known, and one went before its time"
    starts.note(17.0, ["old", "a", "b"], ["old", "a", "b"])
    assert starts.seconds(25) == 7
    for second in range(20, 30, 2):
        starts.note(second, [f"n{second}"], [])
        starts.note(second + 1.0, [f"n{second}"], [f"n{second}"])
    assert starts.seconds(25) == 1


def test_a_pod_that_waited_for_hours_for_a_node_is_told_to_the_next_operator_as_no_more_than_counts() -> None:
    starts = Starts()
    starts.note(0.0, [], [])
    starts.note(1.0, ["a"], [])
    starts.note(10_801.0, ["a"], ["a"])
    assert list(starts.lately) == [MOST_START_SECONDS]
    assert Starts().seconds(told=10_800) == MOST_START_SECONDS


def test_a_pod_that_is_seen_when_its_worker_runs_already_took_no_time() -> None:
    starts = Starts()
    starts.note(0.0, [], [])
    starts.note(1.0, ["a"], ["a"])
    starts.note(60.0, ["a"], ["a"])
    assert list(starts.lately) == [0.0]
