"""What is said in status, and when it is worth a write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobfleet_operator import report, status
from jobfleet_operator.report import QueueFacts, Server
from jobfleet_operator.scaling import Limit
from jobfleet_operator.status import Finding
from unit.operator.people import pool, queue, snapshot, worker

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def condition(finding: Finding, before: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    (one,) = status.conditions(before, [finding], generation=3, now=now)
    return one.model_dump(by_alias=True)


def test_the_transition_time_moves_only_with_the_status() -> None:
    first = condition(Finding("Ready", "True", "A", "a"), [], NOW)
    same = condition(Finding("Ready", "True", "B", "b"), [first], NOW + timedelta(hours=1))
    other = condition(Finding("Ready", "False", "C", "c"), [same], NOW + timedelta(hours=2))
    assert first["lastTransitionTime"] == same["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert (same["reason"], same["observedGeneration"]) == ("B", 3)
    assert other["lastTransitionTime"] == "2026-01-01T14:00:00Z"


@pytest.mark.parametrize(
    ("before", "after", "seconds", "worth"),
    [
        ({"waiting": 1000}, {"waiting": 1050}, 5.0, False),
        ({"waiting": 1000}, {"waiting": 1200}, 5.0, True),
        ({"waiting": 1000}, {"waiting": 1200}, 1.0, False),
        ({"waiting": 5}, {"waiting": 0}, 5.0, True),
        ({"waiting": 5}, {"waiting": 5}, 500.0, False),
        ({"waiting": 1000}, {"waiting": 1001}, 61.0, True),
        ({"health": "Healthy"}, {"health": "Paused"}, 0.0, True),
        ({"desiredReplicas": 4}, {"desiredReplicas": 5}, 0.0, True),
        ({"rate": "240/s"}, {"rate": "250/s"}, 5.0, False),
        ({"rate": "240/s"}, {"rate": "0/s"}, 5.0, True),
        ({"oldestJobTime": "2026-01-01T11:59:50Z"}, {"oldestJobTime": "2026-01-01T11:59:52Z"}, 5.0, False),
        ({"oldestJobTime": "2026-01-01T11:59:00Z"}, {"oldestJobTime": "2026-01-01T11:59:52Z"}, 5.0, True),
        ({"oldestJobTime": "2026-01-01T11:59:00Z"}, {}, 5.0, True),
    ],
)
def test_a_status_is_written_when_it_changed_enough_to_matter(
    before: dict[str, Any], after: dict[str, Any], seconds: float, worth: bool
) -> None:
    assert status.matters(before, after, age_seconds=seconds, now=NOW) is worth


def test_a_steady_load_costs_one_write_a_minute_at_most() -> None:
    written, at, writes = {"waiting": 1000, "rate": "240/s"}, 0.0, 0
    for second in range(1, 301):
        seen = {"waiting": 1000 + (second % 7) * 9, "rate": f"{235 + second % 9}/s"}
        if status.matters(written, seen, age_seconds=second - at, now=NOW):
            written, at, writes = seen, float(second), writes + 1
    assert writes <= 5


MINUTE_AGO = 1_800_000_000_000 - 70_000


@pytest.mark.parametrize(
    ("health", "spec", "numbers", "workers", "servers"),
    [
        ("Healthy", {}, {}, [], []),
        ("Healthy", {}, {"waiting": 9}, [worker("a")], [Server(1, limited=False)]),
        ("Paused", {"paused": True}, {"waiting": 9}, [], [Server(0, limited=False)]),
        ("NoWorkers", {}, {"waiting": 9}, [], []),
        ("Starting", {}, {"waiting": 9}, [], [Server(2, limited=False)]),
        ("NoWorkers", {}, {"waiting": 9, "oldest_waiting_ms": MINUTE_AGO}, [], [Server(2, limited=False)]),
        ("NoWorkers", {}, {"waiting": 9, "oldest_waiting_ms": MINUTE_AGO}, [worker("a", lease_ms=-1)], []),
        ("Backlogged", {}, {"waiting": 9, "oldest_waiting_ms": MINUTE_AGO}, [worker("a")], [Server(1, limited=True)]),
        ("Healthy", {}, {"waiting": 9, "oldest_waiting_ms": MINUTE_AGO}, [worker("a")], [Server(1, limited=False)]),
    ],
)
def test_the_health_of_a_queue_is_one_word(
    health: str, spec: dict[str, Any], numbers: dict[str, Any], workers: list[Any], servers: list[Server]
) -> None:
    facts = QueueFacts(queue(**spec), snapshot(*workers, **numbers), None, servers, "0/s")
    said = report.queue_status(facts, NOW)
    assert said is not None
    assert said.health == health
    assert said.conditions[0].message


def test_an_outage_keeps_the_last_numbers_and_says_that_the_fleet_is_held() -> None:
    before = queue()
    from dataclasses import replace

    before = replace(before, status={"waiting": 7, "health": "Healthy"})
    facts = QueueFacts(before, None, ("RedisUnreachable", "the fleet is held as it is: no answer"), [], "0/s")
    said = report.queue_status(facts, NOW)
    assert said is not None
    assert (said.health, said.waiting) == ("Unreachable", 7)
    assert (said.conditions[0].status, said.conditions[0].reason) == ("False", "RedisUnreachable")


def test_one_missed_reading_changes_nothing() -> None:
    assert report.queue_status(QueueFacts(queue(), None, None, [], "0/s"), NOW) is None


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(None, ("True", "Found")), (("NotFound", "there is no such JobQueue: apply it"), ("False", "NotFound"))],
)
def test_a_dead_letter_queue_has_a_condition_of_its_own(trouble: Any, said: tuple[str, str]) -> None:
    facts = QueueFacts(queue(deadLetterQueue="graveyard"), snapshot(), None, [], "0/s", trouble)
    found = report.queue_status(facts, NOW)
    assert found is not None
    assert [(c.type, c.status, c.reason) for c in found.conditions][1:] == [("DeadLetterReady", *said)]
    plain = report.queue_status(QueueFacts(queue(), snapshot(), None, [], "0/s"), NOW)
    assert plain is not None
    assert [c.type for c in plain.conditions] == ["Ready"]


def test_workers_are_shown_as_live_over_wanted() -> None:
    seen = snapshot(worker("a"), worker("b"), worker("c", lease_ms=-5))
    said = report.queue_status(QueueFacts(queue(), seen, None, [Server(4, limited=False)], "0/s"), NOW)
    assert said is not None
    assert said.workers == "2/4"


@pytest.mark.parametrize(("behind", "shown"), [(1.5, "2026-01-01T11:59:28Z"), (3600, "2026-01-01T11:59:30Z")])
def test_the_age_of_the_oldest_job_is_right_when_the_clock_of_redis_is_not(behind: float, shown: str) -> None:
    redis_ms = round((NOW.timestamp() - behind) * 1000)
    seen = snapshot(worker("a"), waiting=1, now_ms=redis_ms, oldest_waiting_ms=redis_ms - 30_000)
    said = report.queue_status(QueueFacts(queue(), seen, None, [], "0/s"), NOW)
    assert said is not None
    assert said.oldest_job_time == shown


def pool_condition(limit: Limit | None, kind: str = status.SCALING_LIMITED, **more: Any) -> tuple[str, str, str]:
    facts = report.PoolFacts(
        pool=pool(),
        goal=3,
        why="",
        busy=frozenset(),
        limit=limit,
        deployment=None,
        pods=[],
        **({"trouble": None, "decision": None} | more),
    )
    (found,) = [one for one in report.pool_findings(facts) if one.type == kind]
    return found.status, found.reason, found.message


def test_what_a_fallback_did_is_said_beside_the_outage() -> None:
    outage = ("RedisUnreachable", "the fleet is held as it is: no answer")
    raised = {"fallback": 3, "toReplicas": 3}
    said = pool_condition(None, status.READY, trouble=outage, decision=raised)
    assert said == ("False", outage[0], f"{outage[1]}; spec.scaling.fallback raised it to 3 workers")
    assert pool_condition(None, status.READY, trouble=outage, decision={"toReplicas": 3})[1:] == outage
    assert pool_condition(None, status.READY, decision=raised)[0] == "True"


def test_what_is_not_known_of_a_pool_in_trouble_is_not_said_to_be_well() -> None:
    missing = ("QueueNotFound", "spec.queues names photos, and there is no such JobQueue: apply it")
    assert pool_condition(None, trouble=missing)[:2] == ("Unknown", "QueueNotFound")
    assert pool_condition(None, status.ROLLED_OUT, trouble=missing)[:2] == ("Unknown", "QueueNotFound")
    outage = ("RedisUnreachable", "the fleet is held as it is: no answer")
    assert pool_condition(None, trouble=outage)[:2] == ("Unknown", "RedisUnreachable")
    assert pool_condition(None, status.ROLLED_OUT, trouble=outage)[:2] == ("True", "UpToDate")
    assert pool_condition(Limit(3, "AtMaximum", "that is the maximum"), trouble=outage)[:2] == ("True", "AtMaximum")


def test_what_limits_a_pool_is_a_condition() -> None:
    assert pool_condition(None)[:2] == ("False", "WithinLimits")
    assert pool_condition(None, behind_circuit=True)[:2] == ("True", "CircuitOpen")
    at_maximum = pool_condition(Limit(3, "AtMaximum", "that is the maximum"))
    assert at_maximum[:2] == ("True", "AtMaximum")
    assert "spec.maxReplicas" in at_maximum[2]
    words = "the quota of namespace shop is 20 workers, shared by its pools"
    assert pool_condition(Limit(3, "NamespaceQuota", words)) == (
        "True",
        "NamespaceQuota",
        f"more workers are needed than there may be: {words}",
    )
