"""What the API server refuses is remembered and said, and what is somebody else's is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from jobfleet_operator import actions, observe, reconcile, resources
from jobfleet_operator.actions import Action
from jobfleet_operator.adapters.kube import Invalid, Kube, KubeError, NotFound, Refused
from jobfleet_operator.apply import BUDGET_RETRY_SECONDS, Applier, Errand
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory, QueueMemory, refresh_seconds
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.world import Identity, Key, Manifest
from unit.operator.people import PHOTOS, deployment, meta, pod, pod_body, pool, queue, snapshot
from unit.operator.test_reconcile import kinds, scene

URL = "redis://r/0"
NAME = "photos-jobqueue"
QUOTA = Refused("exceeded quota: secrets=0")


class Server:
    """An API server with some objects in it, which may refuse writes."""

    def __init__(self, refusal: KubeError | None = None, secret: Manifest | None = None) -> None:
        self.refusal, self.secret = refusal, secret
        self.budget: Manifest | None = None
        self.applied: list[Manifest] = []
        self.replicas = 2

    async def get(self, _: str, key: Key, plural: str) -> Manifest:
        if plural == "secrets" and self.secret is not None:
            return self.secret
        if plural == "poddisruptionbudgets" and self.budget is not None:
            return self.budget
        if plural == "deployments":
            return {"metadata": meta("photos", generation=3), "spec": {"replicas": self.replicas}}
        raise NotFound(str(key))

    async def list(self, *_: str) -> tuple[list[Manifest], str]:
        return [], "1"

    async def apply(self, manifest: Manifest, *_: Any) -> Manifest:
        self._ask()
        self.applied.append(manifest)
        return manifest

    async def raise_replicas(self, _: Key, before: int, replicas: int) -> Manifest:
        self._ask()
        return {"metadata": meta("photos", generation=4), "spec": {"replicas": replicas}}

    async def lower_replicas(self, _: Identity, replicas: int) -> Manifest:
        return await self.raise_replicas(Key("shop", "photos"), 2, replicas)

    async def set_deletion_cost(self, *_: Any) -> Manifest:
        self._ask()
        return pod_body("p0")

    def _ask(self) -> None:
        if self.refusal is not None:
            raise self.refusal


async def carry_out(server: Server, memory: PoolMemory | QueueMemory, *plan: Action) -> None:
    of_queue = isinstance(memory, QueueMemory)
    subject = queue().identity if of_queue else pool().identity
    errand = Errand(subject, JOB_QUEUE if of_queue else WORKER_POOL, plan, memory, None)
    applier = Applier(cast("Kube", server), Cache(lambda *_: None), acting=lambda: True, reporter="me")
    await applier.carry_out(errand, lambda: 100.0)


def secret(url: str = URL, **metadata: Any) -> Manifest:
    """The Secret as the operator writes it, with other metadata if given."""
    made = resources.connection_secret(queue(), url)
    return made | {"metadata": made["metadata"] | metadata}


WRITE = actions.ApplySecret(secret(), URL)


# --- the PodDisruptionBudget


@pytest.mark.parametrize(("failing", "there"), [(True, None), (False, "before"), (False, None)])
async def test_a_budget_that_could_not_be_applied_is_tried_again_soon(failing: bool, there: str | None) -> None:
    """`kubectl replace --force` makes the pool anew while the budget of the one before is about to go."""
    wanted = resources.disruption_budget(pool(), 25)
    server = Server(Refused("no right") if failing else None)
    if there is not None:
        owner = wanted["metadata"]["ownerReferences"][0] | {"uid": there}
        server.budget = wanted | {"metadata": meta("photos", ownerReferences=[owner])}
    memory = PoolMemory(uid="uid-photos")
    await carry_out(server, memory, actions.SetBudget(wanted, (1, 25)))
    again_after = memory.budget_at + refresh_seconds("uid-photos") - 100.0
    assert (again_after == BUDGET_RETRY_SECONDS) == (failing or there is not None)
    assert bool(server.applied) == (not failing and there is None)


# --- the connection Secret


class Seen:
    """A queue and its pool, which has no Deployment yet, in one look after the other."""

    def __init__(self, *pods: Manifest) -> None:
        self.cache = Cache(lambda *_: None)
        template = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
        self.cache.feed(Kind.QUEUES, {"metadata": meta("photos", uid="q"), "spec": {}})
        self.cache.feed(Kind.POOLS, {"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": template}})
        for body in pods:
            self.cache.feed(Kind.PODS, body)
        self.queue, self.pool = QueueMemory("q"), PoolMemory("uid-photos")

    def plans(self, seconds: float = 100.0) -> tuple[list[Action], list[Action]]:
        """What is to be done for the queue and for the pool."""
        place = Key("shop", "photos")
        look = observe.Look(
            cache=self.cache, urls={place: URL}, problems={}, snapshots={PHOTOS: snapshot()}, outages={},
            seconds=seconds, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
        )  # fmt: skip
        pools = {place: self.pool}
        of_queue = reconcile.plan_queue(observe.queue_scene(look, self.cache.queues[place], self.queue, pools))
        of_pool = observe.pool_scene(look, self.cache.pools[place], self.pool, {place: self.queue})
        return of_queue, reconcile.plan_pool(of_pool)


def ready(plan: list[Action]) -> list[str]:
    """What the statuses that are to be written say about Ready."""
    found = [action.status["conditions"] for action in plan if isinstance(action, actions.PatchStatus)]
    return [" ".join(one[part] for part in ("status", "reason", "message")) for (one, *_) in found]


async def test_a_secret_that_is_refused_is_said_by_the_queue_and_by_its_pools() -> None:
    seen = Seen()
    of_queue, of_pool = seen.plans()
    assert ready(of_queue) == ready(of_pool) == [], "at first it is only a moment away"
    with pytest.raises(Refused):
        await carry_out(Server(QUOTA), seen.queue, WRITE)
    seen.queue.failures = 1
    of_queue, of_pool = seen.plans()
    assert ready(of_queue) == [f"False SecretRefused the Secret {NAME} cannot be written: {QUOTA}"]
    assert ready(of_pool) == ready(of_queue)
    assert "ApplySecret" in kinds(of_queue), "it is tried again"
    await carry_out(Server(), seen.queue, WRITE)
    seen.queue.failures = 0
    assert ready(seen.plans()[0])[0].startswith("True ")
    assert "ApplyDeployment" in kinds(seen.plans()[1])


async def test_a_refused_renewal_of_a_secret_that_is_right_is_no_trouble() -> None:
    seen = Seen()
    with pytest.raises(Refused):
        await carry_out(Server(QUOTA, secret()), seen.queue, WRITE)
    assert "ApplyDeployment" in kinds(seen.plans()[1])
    with pytest.raises(Refused):
        await carry_out(Server(QUOTA, secret("redis://old/0")), seen.queue, WRITE)
    assert ready(seen.plans()[1])[0].startswith("False SecretRefused")


async def test_somebody_elses_secret_is_left_alone_and_that_is_said() -> None:
    other = {"apiVersion": "v1", "kind": "ReplicaSet", "name": "photos", "uid": "u", "controller": True}
    for theirs in ({"labels": {}, "ownerReferences": []}, {"ownerReferences": [other]}):
        seen, server = Seen(), Server(secret=secret(**theirs))
        with pytest.raises(Refused):
            await carry_out(server, seen.queue, WRITE)
        assert server.applied == []
        (said,) = ready(seen.plans()[1])
        assert said.startswith(f"False SecretRefused a Secret {NAME} exists that does not belong to this JobQueue: ")


@pytest.mark.parametrize("metadata", [{}, {"ownerReferences": []}], ids=["as it was made", "given back by a backup"])
async def test_the_operators_own_secret_is_written_again(metadata: Manifest) -> None:
    server = Server(secret=secret("redis://old/0", **metadata))
    memory = QueueMemory()
    await carry_out(server, memory, WRITE)
    assert server.applied == [WRITE.manifest]
    assert memory.secret_url == URL


async def test_a_secret_that_a_pod_waits_for_is_written_again_soon() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": f'secret "{NAME}" not found'}}
    body = pod_body("p0", ready=False, containerStatuses=[{"name": "worker", "state": waiting}])
    for pods, again in (([], False), ([body], True)):
        seen = Seen(*pods)
        seen.queue.secret_url, seen.queue.secret_at = URL, 100.0
        assert kinds(seen.plans(109.0)[0]) == []
        assert kinds(seen.plans(111.0)[0]) == ["ApplySecret"] * again


# --- Deployments and Pods


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (actions.SetReplicas(5, deployment(2)), "the Deployment cannot be scaled"),
        (actions.SetReplicas(1, deployment(2)), "the Deployment cannot be scaled"),
        (actions.ApplyDeployment({"spec": {"replicas": 2}, "metadata": {}}, deployment(2)), "cannot be made"),
        (actions.SetDeletionCost(Key("shop", "p0"), -1000), "Pods cannot be marked to go first"),
    ],
)
async def test_a_refused_step_of_scaling_is_said_until_it_is_taken_or_not_wanted_any_more(
    step: Action, words: str
) -> None:
    memory = PoolMemory(goal=5, generation=3, budget=(1, 25), budget_at=100.0)
    with pytest.raises(Refused):
        await carry_out(Server(Refused("the webhook says no")), memory, step)
    growing = scene(size=5, before=5, deployment=deployment(2), pods=[pod("a"), pod("b")], memory=memory)
    (said,) = ready(reconcile.plan_pool(growing))
    assert said.startswith("False DeploymentRefused ")
    assert said.endswith(f"{words}: the webhook says no")
    content = replace(growing, deployment=deployment(5), pods=[pod(f"p{n}") for n in range(5)])
    assert ready(reconcile.plan_pool(content)) == ["True Scaling the pool follows the backlog of its queues"]


async def test_replicas_that_are_taken_after_a_refusal_end_the_trouble() -> None:
    memory = PoolMemory(generation=3, refusal="the Deployment cannot be scaled: no")
    await carry_out(Server(), memory, actions.SetReplicas(5, deployment(2)))
    assert memory.refusal == ""


async def test_a_growth_that_is_not_valid_is_a_refusal_where_the_size_is_as_it_was_tested_to_be() -> None:
    server, memory = Server(Invalid("a webhook says 422")), PoolMemory(generation=3)
    with pytest.raises(Refused):
        await carry_out(server, memory, actions.SetReplicas(5, deployment(2)))
    assert memory.refusal.endswith("a webhook says 422")
    server.replicas, memory.refusal = 3, ""
    await carry_out(server, memory, actions.SetReplicas(5, deployment(2)))
    assert memory.refusal == ""
