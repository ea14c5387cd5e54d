"""What is read from a Pod: why it does not run, and which workers ended with their container."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobfleet_operator import resources
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.pods import read_pod
from unit.operator.people import pod, pod_body, pool

AT = "2026-01-01T00:00:{:02}Z"
BASE_MS = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


def ended(second: int, reason: str = "OOMKilled", code: int = 137) -> dict[str, Any]:
    return {"terminated": {"finishedAt": AT.format(second), "reason": reason, "exitCode": code}}


def running(second: int) -> dict[str, Any]:
    return {"running": {"startedAt": AT.format(second)}}


BACKED_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "worker", "ready": False, "restartCount": 1, "state": state, "lastState": last or {}} | more


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        (container(running(3)), None),
        (container(ended(9)), 9),
        (container(running(12), ended(9)), 12),
        (container(BACKED_OFF, ended(9)), 10),
        (container(running(3), name="side"), None),
    ],
)
def test_workers_that_started_before_this_ended_with_their_container(
    status: dict[str, Any], seconds: int | None
) -> None:
    wanted = None if seconds is None else BASE_MS + seconds * 1000
    assert pod("a", containerStatuses=[status]).worker_ended_ms == wanted


def test_a_sidecar_that_a_webhook_puts_first_is_not_taken_for_the_worker() -> None:
    """Istio does so with holdApplicationUntilProxyStarts; its end is not the worker's."""
    equipped = resources.deployment(pool(), WorkerPoolSpec(queues=["photos"]), 1, "c0ffee")["spec"]["template"]["spec"]
    body = pod_body("a", containerStatuses=[container(running(12), ended(9), name="istio-proxy")])
    body["spec"]["containers"] = [{"name": "istio-proxy", "env": [{"name": "PROXY", "value": "1"}]}]
    body["spec"]["containers"] += equipped["containers"]
    assert equipped["containers"][0]["name"] == "main"
    seen = read_pod(body)
    assert (seen.worker_ended_ms, seen.queues) == (None, ("photos",))


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (container(running(3), ready=True), None),
        (container(running(3)), None),
        (container(running(12), ended(9), ready=True), None),
        (container(ended(9, "Completed", 0)), None),
        (container({"waiting": {"reason": "ContainerCreating"}}), None),
        (
            container(running(12), ended(9)),
            ("OOMKilled", "container worker: it ended with OOMKilled (137), started again 1 times"),
        ),
        (container(ended(9), restartCount=0), ("OOMKilled", "container worker: it ended with OOMKilled (137)")),
        (
            container(BACKED_OFF, ended(9, "Error", 3)),
            ("CrashLoopBackOff", "back-off 10s restarting; it ended with Error (3)"),
        ),
        (
            container(BACKED_OFF, {"terminated": {"exitCode": 1, "message": "Traceback ...\nKeyError: 'REALM'\n\n"}}),
            ("CrashLoopBackOff", """back-off 10s restarting; it ended with Error (1), and said "KeyError: 'REALM'\""""),
        ),
        (
            container({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}),
            ("ErrImagePull", "no such image"),
        ),
    ],
)
def test_a_pod_that_cannot_run_says_why_and_how_it_ended(
    status: dict[str, Any], trouble: tuple[str, str] | None
) -> None:
    assert pod("a", containerStatuses=[status]).trouble == trouble
