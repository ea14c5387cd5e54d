"""What is measured of a queue."""

from __future__ import annotations

from jobfleet_operator.memory import Flow, QueueMemory, Sample


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


def test_a_queue_that_was_purged_is_measured_anew() -> None:
    assert after((50, 50, 100), (51, 51, 102), (0, 0, 0), (1, 1, 7)) == Flow(0, 7, 1)
