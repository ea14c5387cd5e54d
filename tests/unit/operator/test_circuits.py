"""What the operator says of circuits that are not closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobfleet.inspection import Circuit, QueueSnapshot
from jobfleet_operator import crd, report
from jobfleet_operator.models import JobQueueSpec, JobQueueStatus
from unit.operator.people import queue, snapshot, worker

NOW_MS = snapshot().now_ms


def circuit(group: str = "", *, half_open: bool = False, ends: int = 30_000, kind: str = "OSError") -> Circuit:
    return Circuit(group, half_open, NOW_MS - 5000, NOW_MS + ends, 80, kind)


def said(seen: QueueSnapshot, **spec: Any) -> JobQueueStatus:
    facts = report.QueueFacts(queue(**{"circuitBreaker": {}} | spec), seen, None, [], "0/s")
    found = report.queue_status(facts, datetime(2026, 1, 1, tzinfo=UTC))
    assert found is not None
    return found


WHY = "80 % of the attempts failed, the last by OSError"
TRY = "a few jobs try whether it works again"


@pytest.mark.parametrize(
    ("seen", "reason", "sentence"),
    [
        (circuit(), "CircuitOpen", f"{WHY}; nothing is handed out until 2027-01-15T08:00:30Z, then {TRY}"),
        (circuit(half_open=True), "CircuitHalfOpen", f"{WHY}; now {TRY}"),
        (circuit(ends=-1), "CircuitHalfOpen", f"{WHY}; now {TRY}"),
        (circuit(kind=""), "CircuitOpen", "80 % of the attempts failed; nothing is handed out until"),
    ],
)
def test_a_queue_whose_circuit_is_open_is_degraded_and_says_why(seen: Circuit, reason: str, sentence: str) -> None:
    status = said(snapshot(worker("a"), waiting=9, circuits=(seen,), circuits_open=1))
    assert status.health == "Degraded"
    ready, closed = status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "True", reason)
    assert (closed.type, closed.status, closed.reason) == ("CircuitClosed", "False", reason)
    assert ready.message == closed.message
    assert sentence in ready.message


def test_a_closed_circuit_is_told_where_there_is_a_breaker() -> None:
    assert [(one.type, one.status) for one in said(snapshot()).conditions] == [
        ("Ready", "True"),
        ("CircuitClosed", "True"),
    ]
    assert [one.type for one in said(snapshot(), circuitBreaker=None).conditions] == ["Ready"]


def test_a_queue_that_names_no_breaker_gets_none_by_default() -> None:
    breaker = crd.structural(JobQueueSpec)["properties"]["circuitBreaker"]
    assert "default" not in breaker
    assert breaker["properties"]["failurePercent"]["default"] == 50


def test_open_circuits_of_groups_are_named_and_the_queue_is_healthy() -> None:
    status = said(snapshot(circuits=(circuit("a"), circuit("b")), circuits_open=30))
    assert status.health == "Healthy"
    closed = status.conditions[1]
    assert (closed.status, closed.reason) == ("False", "GroupsOpen")
    assert closed.message == "too many jobs failed of these groups, which wait: a, b and 28 more"


def test_jobs_that_wait_behind_the_circuits_of_groups_alone_lack_no_workers() -> None:
    shut = replace(circuit("a"), waiting=9)
    seen = snapshot(waiting=9, oldest_waiting_ms=1, oldest_free_ms=None, circuits=(shut,), circuits_open=1)
    assert said(seen).health == "Healthy"
    assert said(replace(seen, waiting=10)).health == "NoWorkers"


def test_a_paused_queue_is_paused_whatever_its_circuit_is() -> None:
    assert said(snapshot(circuits=(circuit(),)), paused=True).health == "Paused"
