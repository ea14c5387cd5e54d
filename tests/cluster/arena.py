"""One namespace of the cluster with a queue `held` and its pool, and an SDK client that reaches their Redis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photo_demo.kubectl import Kubectl

from jobfleet import Fleet, JobView, QueueStatus

from .polling import eventually

IMAGE = "localhost/jobfleet:dev"
HELD = Path(__file__).with_name("held.py")
WORKERS = "jobfleet.dev/pool=held"


@dataclass(frozen=True)
class Arena:
    """What a test plays in."""

    kubectl: Kubectl
    fleet: Fleet

    def apply(self, *manifests: dict[str, Any]) -> None:
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl.run("apply", "--filename=-", stdin=json.dumps(bundle))

    def set_up(self, **spec: Any) -> None:
        """A queue and a pool at zero; `spec` overrides fields of the pool's spec."""
        self.apply(job_code(), queue(), pool(**spec))

    def hold(self, *seconds: float) -> list[str]:
        """Enqueue a job for each number of seconds; return their ids."""
        return [self.fleet.enqueue_sync("held", "hold", {"seconds": each}) for each in seconds]

    def hold_on(self, jobs: int) -> list[str]:
        """Enqueue so many jobs that run until `let_go`; return their ids when all of them run."""
        ids = [self.fleet.enqueue_sync("held", "hold_on", {}) for _ in range(jobs)]
        eventually(lambda: [self.job(one).state for one in ids] == ["active"] * jobs, f"{jobs} jobs run", seconds=120)
        return ids

    def let_go(self) -> None:
        """End the jobs that hold on."""
        self.fleet.enqueue_sync("held", "hold", {"seconds": 0}, job_id="let-go", delay=86_400)

    def job(self, job_id: str) -> JobView:
        view = self.fleet.job_state_sync("held", job_id)
        assert view is not None, f"job {job_id} is lost"
        return view

    @property
    def status(self) -> QueueStatus:
        return self.fleet.status_sync("held")

    def pods(self) -> list[dict[str, Any]]:
        """The worker Pods that are not on their way out."""
        items = self.kubectl.json("get", "pods", f"--selector={WORKERS}")["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def pod_names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.pods()}

    def change_pool(self, **spec: Any) -> None:
        """Change fields of the pool's spec."""
        self.kubectl.run("patch", "workerpool", "held", "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def events(self, reason: str) -> list[str]:
        """Messages of the Events with this reason."""
        items = self.kubectl.json("get", "events")["items"]
        return [event["message"] for event in items if event["reason"] == reason]

    def condition(self, type_: str) -> dict[str, Any]:
        """The pool's condition of this type, {} without."""
        conditions = self.kubectl.json("get", "workerpool/held").get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == type_), {})

    def until_active(self, count: int) -> None:
        eventually(lambda: self.status.active == count, f"{count} jobs are active")

    def until_completed(self, *job_ids: str, seconds: float = 180) -> list[JobView]:
        """Wait until these jobs are completed; return them."""

        def all_completed() -> bool:
            return all(self.job(job_id).state == "completed" for job_id in job_ids)

        eventually(all_completed, "every job is completed", seconds=seconds)
        return [self.job(job_id) for job_id in job_ids]

    def until_no_workers(self, seconds: float = 120) -> None:
        eventually(lambda: not self.pods(), "the pool is at zero", seconds=seconds)


def job_code() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "job-code"},
        "data": {"held.py": HELD.read_text()},
    }


def queue(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "jobfleet.dev/v1alpha1", "kind": "JobQueue", "metadata": {"name": "held"}, "spec": spec}


def containers(**fields: Any) -> dict[str, Any]:
    """The pool's Pod template with other fields of its container."""
    template: dict[str, Any] = pool()["spec"]["template"]
    template["spec"]["containers"][0] |= fields
    return template


def pool(**spec: Any) -> dict[str, Any]:
    """A pool that follows its backlog at once, one job a worker."""
    settings = {
        "queues": ["held"],
        "minReplicas": 0,
        "maxReplicas": 4,
        "concurrency": 1,
        "drainSeconds": 30,
        "scaling": {
            "backlogPerWorker": 1,
            "scaleDown": {"stabilizationSeconds": 1, "percentPerStep": 100, "periodSeconds": 1},
        },
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "worker",
                        "image": IMAGE,
                        "command": ["jobfleet", "worker", "held:fleet"],
                        "env": [{"name": "PYTHONPATH", "value": "/jobs"}],
                        "volumeMounts": [{"name": "job-code", "mountPath": "/jobs"}],
                    }
                ],
                "volumes": [{"name": "job-code", "configMap": {"name": "job-code"}}],
            }
        },
    }
    return {
        "apiVersion": "jobfleet.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": "held"},
        "spec": {**settings, **spec},
    }
