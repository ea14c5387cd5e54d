"""The fleet's history, from the events of its Pods."""

from __future__ import annotations

from typing import Any

from photo_demo.history import FleetHistory


def event(
    kind: str, name: str, *, ready: bool = False, leaving: bool = False, phase: str = "Running"
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"type": kind, "object": {"metadata": metadata, "status": {"phase": phase, "conditions": conditions}}}


def history(*events: dict[str, Any]) -> FleetHistory:
    seen = FleetHistory()
    for second, each in enumerate(events, start=1):
        seen.observe(each, second * 1000)
    return seen


def test_up_and_down() -> None:
    seen = history(
        event("ADDED", "a"),
        event("ADDED", "b"),
        event("MODIFIED", "a", ready=True),
        event("MODIFIED", "b", ready=True),
        event("MODIFIED", "a", ready=True, leaving=True),
        event("DELETED", "a"),
        event("MODIFIED", "b", ready=False, leaving=True),
        event("DELETED", "b"),
    )
    assert (seen.first_pod_ms, seen.first_ready_ms, seen.most_ready, seen.emptied_ms) == (1000, 3000, 2, 8000)
    assert seen.ready == {}


def test_nothing_was_never_emptied() -> None:
    assert FleetHistory().emptied_ms is None


def test_a_fleet_that_comes_back_is_not_empty() -> None:
    seen = history(event("ADDED", "a"), event("DELETED", "a"), event("ADDED", "b"))
    assert (seen.emptied_ms, list(seen.ready)) == (None, ["b"])


def test_the_first_end_counts_and_not_a_later_event() -> None:
    seen = history(event("ADDED", "a"), event("DELETED", "a"), event("DELETED", "a"))
    assert seen.emptied_ms == 2000


def test_a_pod_that_ended_by_itself_is_no_worker() -> None:
    seen = history(event("ADDED", "a", ready=True), event("MODIFIED", "a", phase="Failed"))
    assert (seen.ready, seen.emptied_ms) == ({}, 2000)


def test_a_pod_without_status_is_not_ready() -> None:
    seen = FleetHistory()
    seen.observe({"type": "ADDED", "object": {"metadata": {"name": "a"}}}, 5)
    assert (seen.most_ready, seen.ready) == (0, {"a": False})
