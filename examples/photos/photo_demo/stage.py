"""The example on a cluster where the product runs: apply it, feed it, watch it, audit it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from photo_demo.console import Board, say, step
from photo_demo.errors import DemoError
from photo_demo.history import FleetHistory
from photo_demo.kubectl import Kubectl, last_json_line
from photo_demo.pod_watch import PodWatch
from photo_demo.times import Times
from photo_demo.verdict import Verdict

EXAMPLE = Path(__file__).parents[1]
WORKERS = "jobfleet.dev/pool=photos"
COUNT_IN_MANIFESTS = "--count=500"

FIRST_POD_SECONDS = 60
"""By then the fleet has left zero, or something is wrong."""

FLEET_SECONDS = 900
"""By then the fleet is back at zero, or something is wrong; a slow machine needs a few minutes for 500 photographs."""

LOOK_SECONDS = 2.0
"""How often the table is drawn anew."""


def perform(kubectl: Kubectl, photographs: int) -> tuple[Verdict, Times]:
    """Send `photographs` through the fleet; return what came of it. Raises DemoError when it gets stuck."""
    with step("take away what an earlier demo left"):
        kubectl.run("delete", "namespace", kubectl.namespace, "--ignore-not-found", "--wait", seconds=180)
        kubectl.run("create", "namespace", kubectl.namespace)
    with step("start the photo store"):
        kubectl.run("apply", f"--filename={EXAMPLE / 'store.yaml'}")
        kubectl.run("rollout", "status", "deployment/photo-store", "--timeout=120s", seconds=130)
    with PodWatch(kubectl, WORKERS) as watch:
        applied_ms = _now_ms()
        say("$ kubectl apply -f examples/photos/photo-queue.yaml")
        print(kubectl.run("apply", f"--filename={EXAMPLE / 'photo-queue.yaml'}"), end="", flush=True)
        kubectl.run("wait", "--for=create", "secret/photos-jobqueue", "--timeout=60s")
        workers_before = len(watch.history.ready)
        start_job(kubectl, "producer", photographs)
        _watch_fleet(kubectl, watch)
        history = watch.history
    produced = job_result(kubectl, "photo-producer")
    say(f"the producer enqueued {produced['enqueued']} photographs in {produced['took_ms']} ms")
    with step("audit: open every thumbnail, compare them all, count the runs"):
        start_job(kubectl, "audit", photographs)
        audit = job_result(kubectl, "photo-audit")
    return (
        Verdict.of(produced, audit, workers=(workers_before, history.most_ready, len(history.ready))),
        _times(applied_ms, produced, audit, history),
    )


def start_job(kubectl: Kubectl, name: str, photographs: int) -> None:
    """Apply the manifest of the producer or of the audit for this many photographs."""
    manifest = (EXAMPLE / f"{name}.yaml").read_text(encoding="utf-8")
    kubectl.run("apply", "--filename=-", stdin=manifest.replace(COUNT_IN_MANIFESTS, f"--count={photographs}"))


def job_result(kubectl: Kubectl, name: str, seconds: float = 120) -> dict[str, Any]:
    """Wait for a Job to end and return the JSON on the last line of its log; DemoError when it fails or is late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = kubectl.json("get", f"job/{name}").get("status", {})
        if status.get("succeeded"):
            return last_json_line(kubectl.run("logs", f"job/{name}"))
        if status.get("failed"):
            raise DemoError(f"The Job {name} failed:\n{kubectl.try_run('logs', f'job/{name}')}")
        time.sleep(0.3)
    raise DemoError(f"The Job {name} did not end within {seconds:.0f} s:\n{kubectl.try_run('describe', f'job/{name}')}")


def _watch_fleet(kubectl: Kubectl, watch: PodWatch) -> None:
    """Show the resources until the fleet has come and gone."""
    began = time.monotonic()
    board = Board()
    while watch.history.emptied_ms is None:
        waited = time.monotonic() - began
        board.show("$ kubectl get jobqueues,workerpools", kubectl.try_run("get", "jobqueues,workerpools"))
        if watch.history.first_pod_ms is None and waited > FIRST_POD_SECONDS:
            raise DemoError(
                f"No worker Pod came within {FIRST_POD_SECONDS} s; the operator's log above should say why."
            )
        if waited > FLEET_SECONDS:
            raise DemoError(f"{len(watch.history.ready)} workers are still there after {FLEET_SECONDS} s.")
        if not watch.alive:
            raise DemoError("`kubectl get pods --watch` ended early; is the cluster still there?")
        _pause(watch, LOOK_SECONDS)
    board.show("$ kubectl get jobqueues,workerpools", kubectl.try_run("get", "jobqueues,workerpools"))


def _pause(watch: PodWatch, seconds: float) -> None:
    """Wait for the next look, but not once the fleet is gone."""
    until = time.monotonic() + seconds
    while watch.history.emptied_ms is None and time.monotonic() < until:
        time.sleep(0.1)


def _times(applied_ms: int, produced: dict[str, Any], audit: dict[str, Any], history: FleetHistory) -> Times:
    return Times(
        applied_ms=applied_ms,
        enqueued_ms=produced["began_ms"],
        first_pod_ms=history.first_pod_ms,
        first_completion_ms=audit["first_ms"],
        last_completion_ms=audit["last_ms"],
        no_workers_ms=history.emptied_ms,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
