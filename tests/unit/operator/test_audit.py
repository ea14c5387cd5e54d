"""What the operator does to a queue is told with its reason, after it was done, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSettings
from jobfleet_operator import actions, terms, world
from jobfleet_operator.actions import Action, Scaling
from jobfleet_operator.adapters.kube import Conflict, Kube, KubeError, NotFound
from jobfleet_operator.apply import Applier, Errand
from jobfleet_operator.cache import Cache
from jobfleet_operator.memory import PoolMemory, QueueMemory
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.reconcile import plan_pool
from unit.operator.people import PHOTOS, deployment, meta, pod, pool, queue
from unit.operator.test_reconcile import scene

WHY = "backlog 80 at 20 a worker asks for 4"
DECISION = {
    "number": 7, "term": 3, "reasons": [WHY, "second"], "time": "2026-01-01T00:00:00Z", "fromReplicas": 0,
    "toReplicas": 4, "backlog": 80, "busySlots": 0, "minReplicas": 0, "maxReplicas": 10, "backlogPerWorker": 20,
    "concurrency": 1,
}  # fmt: skip


def scalings(plan: Sequence[Action]) -> list[Scaling | None]:
    return [action.scaling for action in plan if isinstance(action, actions.ApplyDeployment | actions.SetReplicas)]


def told(size: int, there: int | None, mode: str = "Auto", **more: Any) -> list[Scaling | None]:
    """What is told when a pool whose Deployment has `there` replicas should have `size`."""
    seen = None if there is None else deployment(there)
    pods = [pod(f"p{n}") for n in range(there or 0)]
    at = scene(size=size, before=0, deployment=seen, pods=pods, pool=pool(mode=mode, minReplicas=1), **more)
    at.memory.decision, at.memory.why = DECISION, WHY
    return scalings(plan_pool(at))


def test_a_scaling_is_told_with_its_first_reason_and_its_decision() -> None:
    end = "workers, decision 7 of term 3"
    assert told(4, 0) == [Scaling((PHOTOS,), 4, f"WorkerPool photos from 0 to 4 {end}", WHY)]
    assert told(4, None) == [Scaling((PHOTOS,), 4, f"WorkerPool photos from 0 to 4 {end}", WHY)]
    two = pool(queues=["photos", "mail"])
    queues = (PHOTOS, QueueAddress("shop", "mail"))
    (scaling,) = scalings(plan_pool(scene(size=2, before=0, deployment=deployment(0), pods=[], pool=two)))
    assert scaling is not None
    assert scaling.queues == queues


def test_what_is_only_recommended_and_what_keeps_its_size_is_not_told() -> None:
    assert told(4, 0, "Recommend") == []
    assert told(4, None, "Recommend") == [None], "minReplicas is no decision"
    for mode in ("Auto", "Recommend"):
        edited = scene(size=1, deployment=replace(deployment(1), labels={}), pool=pool(mode=mode))
        assert scalings(plan_pool(edited)) == [None], "the Deployment is mended, not scaled"


def test_settings_are_pushed_because_of_a_generation_and_who_wrote_it() -> None:
    def written(manager: str, time: str, *fields: str, **more: Any) -> dict[str, Any]:
        return {"manager": manager, "time": time, "fieldsV1": {field: {} for field in fields}} | more

    body = {
        "metadata": meta(
            "photos",
            generation=7,
            managedFields=[
                written("argocd", "2026-01-01T00:00:00Z", "f:spec"),
                written("kubectl-edit", "2026-01-02T00:00:00Z", "f:metadata", "f:spec"),
                written("labeller", "2026-01-03T00:00:00Z", "f:metadata"),
                written("jobfleet", "2026-01-04T00:00:00Z", "f:spec", "f:status", subresource="status"),
            ],
        ),
        "spec": {},
    }
    assert world.read_queue(body).cause == "JobQueue photos, generation 7, by kubectl-edit"
    assert queue().cause == "JobQueue photos, generation 1"
    assert terms.settings(queue(retention={"auditEntries": 500}).spec) == QueueSettings(audit=500)  # type: ignore[arg-type]


class Server:
    """An API server that takes what it is given, or is in the way."""

    def __init__(self, trouble: KubeError | None = None) -> None:
        self.trouble, self.replicas = trouble, 0

    async def raise_replicas(self, key: world.Key, before: int, replicas: int) -> dict[str, Any]:
        if self.trouble is not None:
            raise self.trouble
        self.replicas = replicas
        return self._deployment()

    def _deployment(self) -> dict[str, Any]:
        return {"metadata": meta("photos", generation=4), "spec": {"replicas": self.replicas}}

    async def get(self, _: str, key: world.Key, plural: str) -> dict[str, Any]:
        if plural == "deployments":
            return self._deployment()
        raise NotFound(f"{key} is gone")

    async def tell(self, note: actions.Note, reporter: str) -> None:
        """An Event is posted."""


class Told:
    """A Redis that notes what it is told, or is silent."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, verb: str) -> Any:
        async def call(*words: Any) -> int:
            self.calls.append((verb, *words))
            if self.silent:
                raise InspectionError("away")
            return 1

        return call


def carry_out(server: Server, redis: Told, *plan: Action, kind: str = WORKER_POOL) -> None:
    cache = Cache(lambda *_: None)
    applier = Applier(cast("Kube", server), cache, acting=lambda: True, reporter="me")
    memory = PoolMemory(generation=3) if kind == WORKER_POOL else QueueMemory()
    subject = pool().identity if kind == WORKER_POOL else queue().identity
    errand = Errand(subject, kind, plan, memory, cast("Inspector", redis))
    asyncio.run(applier.carry_out(errand, lambda: 0.0))


SCALE = Scaling((PHOTOS,), 4, "WorkerPool photos from 0 to 4 workers", "backlog 80")


def test_a_scaling_is_told_after_it_was_done_and_only_then() -> None:
    up = actions.SetReplicas(4, deployment(0), SCALE)
    server, redis = Server(), Told()
    carry_out(server, redis, up)
    assert server.replicas == 4
    assert redis.calls == [("record", (PHOTOS,), "scale", 4, SCALE.what, "backlog 80")]
    redis = Told()
    carry_out(Server(Conflict("changed")), redis, up)
    with pytest.raises(KubeError):
        carry_out(Server(KubeError("away")), redis, up)
    carry_out(Server(), redis, replace(up, scaling=None))
    assert redis.calls == []


def test_a_scaling_that_cannot_be_told_is_done_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    plan = [actions.SetReplicas(n, deployment(0), SCALE) for n in (4, 5)]
    carry_out(server, Told(silent=True), *plan)
    assert server.replicas == 5
    assert "the audit does not tell of WorkerPool photos from 0 to 4 workers: away" in caplog.text


def test_drains_reclaims_and_pushes_carry_their_cause() -> None:
    redis = Told()
    dead = actions.Reclaim(PHOTOS, pool().key._replace(name="p0"), ("p0.1",))
    carry_out(Server(), redis, dead, replace(dead, restarted=True))
    carry_out(Server(), redis, actions.Drain(PHOTOS, ("a",)), actions.Undrain(PHOTOS, ("b",)))
    push = actions.PushSettings(PHOTOS, QueueSettings(), queue().cause)
    carry_out(Server(), redis, push, kind=JOB_QUEUE)
    assert [(call[0], call[-1]) for call in redis.calls] == [
        ("reclaim", "the ended Pod p0"),
        ("reclaim", "a container of Pod p0 that ended"),
        ("drain", "WorkerPool photos, generation 1"),
        ("undrain", "WorkerPool photos, generation 1"),
        ("apply_settings", "JobQueue photos, generation 1"),
    ]
