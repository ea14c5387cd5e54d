"""Carries actions out. Every failure is told and left to the next round, which plans anew."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobfleet.inspection import InspectionError, Inspector
from jobfleet_operator import actions, names, resources, world
from jobfleet_operator.actions import Action
from jobfleet_operator.adapters.kube import Conflict, Kube, KubeError, NotFound, Refused
from jobfleet_operator.adapters.pace import Urgency
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory, QueueMemory
from jobfleet_operator.world import DeploymentView, Identity, Key, Manifest

log = logging.getLogger(__name__)

KIND_OF = {names.JOB_QUEUES: names.JOB_QUEUE, names.WORKER_POOLS: names.WORKER_POOL}


BUDGETS = "poddisruptionbudgets"


class NotActing(Exception):
    """This replica lost the Lease: it must not write any more."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One plan, for one queue or pool."""

    subject: Identity
    kind: str
    plan: Sequence[Action]
    memory: PoolMemory | QueueMemory
    redis: Inspector | None


class Applier:
    """Turns actions into calls; the only one who changes anything outside."""

    def __init__(self, kube: Kube, cache: Cache, *, acting: Callable[[], bool], reporter: str) -> None:
        self._kube, self._cache, self._acting, self._reporter = kube, cache, acting, reporter

    async def carry_out(self, errand: Errand, seconds: Callable[[], float]) -> None:
        """Do it in order, up to the first failure.

        Raises:
            KubeError, InspectionError: the first failure.
            NotActing: leadership was lost on the way.
        """
        for action in errand.plan:
            if not self._acting():
                raise NotActing
            await self._do(action, errand, seconds)

    async def _do(self, action: Action, errand: Errand, seconds: Callable[[], float]) -> None:
        memory, redis = errand.memory, errand.redis
        match action:
            case actions.ApplyDeployment() | actions.SetReplicas() if isinstance(memory, PoolMemory):
                await self._size(action, errand, memory)
            case actions.ApplySecret(manifest, redis_url) if isinstance(memory, QueueMemory):
                await self._kube.apply(manifest, "secrets")
                memory.secret_url, memory.secret_at = redis_url, seconds()
            case actions.PushSettings(address, settings, why) if redis is not None:
                await redis.apply_settings(address, settings, why)
                log.info("settings of %s written to Redis", address)
            case actions.Drain() | actions.Undrain() if redis is not None:
                await self._steer(action, redis, errand, seconds)
            case actions.Reclaim() if redis is not None:
                await self._reclaim(action, errand, redis)
            case actions.Release(key):
                await self._release(key, errand)
            case actions.SetDeletionCost() | actions.Adopt() | actions.RemovePod():
                with suppress(NotFound, Conflict):  # it went, or changed: the next round looks again
                    await self._do_to_pod(action, errand)
            case actions.SetBudget() if isinstance(memory, PoolMemory):
                await self._set_budget(action, errand.subject, memory, seconds)
            case actions.PatchStatus(plural, subject, status):
                await self._patch_status(plural, subject, status, memory, seconds)
            case _:
                msg = f"{action!r} cannot be carried out for {errand.kind} {errand.subject.key}"
                raise TypeError(msg)

    async def _steer(
        self,
        action: actions.Drain | actions.Undrain,
        redis: Inspector,
        errand: Errand,
        seconds: Callable[[], float],
    ) -> None:
        address, workers, memory = action.address, action.workers, errand.memory
        why = world.cause(errand.kind, errand.subject)
        if isinstance(action, actions.Undrain):
            await redis.undrain(address, workers, why)
            log.info("%s: told to go on: %s", address, ", ".join(workers))
            return
        told_at = seconds()
        await redis.drain(address, workers, why)
        if isinstance(memory, PoolMemory):
            memory.tell(address, workers, told_at)
        log.info("%s: told to drain: %s", address, ", ".join(workers))

    async def _size(
        self, action: actions.ApplyDeployment | actions.SetReplicas, errand: Errand, memory: PoolMemory
    ) -> None:
        """Write the Deployment, then tell the audit, which is a copy of what the Deployment and its Event say."""
        match action:
            case actions.ApplyDeployment():
                done = await self._apply_deployment(action, errand.subject, memory)
            case actions.SetReplicas():
                done = await self._set_replicas(action, memory)
        scaling = action.scaling
        if not done or scaling is None or errand.redis is None:
            return
        try:
            await errand.redis.record(scaling.queues, "scale", scaling.workers, scaling.what, scaling.why)
        except InspectionError as error:
            log.warning("the audit does not tell of %s: %s", scaling.what, error)

    async def _apply_deployment(self, action: actions.ApplyDeployment, pool: Identity, memory: PoolMemory) -> bool:
        """Returns whether it was applied."""
        manifest, before = action.manifest, action.before
        replicas = manifest["spec"]["replicas"]
        try:
            if before is None and await self._found_it(pool):
                return False
            if before is not None:
                if replicas < before.replicas and await self._other_pods(pool.key):
                    return False
                same = {"resourceVersion": before.identity.resource_version}
                manifest = manifest | {"metadata": manifest["metadata"] | same}
            body = await self._kube.apply(manifest, "deployments", Urgency.SCALING)
        except Conflict:
            await self._look_again(pool.key, before, memory)
            return False
        except Refused as error:
            memory.refusal = f"the Deployment cannot be made: {error}"
            raise
        memory.refusal = ""
        memory.generation = body["metadata"]["generation"]
        self._cache.feed(Kind.DEPLOYMENTS, body)
        log.info("Deployment %s applied with %d replicas", pool.key, replicas)
        return True

    async def _found_it(self, pool: Identity) -> bool:
        """Whether there is a Deployment that the watch does not show, such as one that lost its label.

        Somebody else's is never taken over; our own is looked at first, because it may have busy Pods.
        For a pool that is gone, which a late watch may not have told yet, none is made: raises NotFound.
        """
        try:
            body = await self._kube.get("apps/v1", pool.key, "deployments")
        except NotFound:
            there = await self._kube.get(names.API_VERSION, pool.key, names.WORKER_POOLS)
            self._cache.feed(Kind.POOLS, there)
            return world.read_identity(there).uid != pool.uid
        if world.read_deployment(body).owner_uid != pool.uid:
            msg = (
                f"a Deployment {pool.key.name} exists that does not belong to this WorkerPool: "
                "delete it, or give the WorkerPool another name"
            )
            raise Refused(msg)
        self._cache.feed(Kind.DEPLOYMENTS, body)
        return True

    async def _set_replicas(self, action: actions.SetReplicas, memory: PoolMemory) -> bool:
        """Returns whether they were set."""
        before, replicas = action.before, action.replicas
        key = before.identity.key
        try:
            if replicas > before.replicas:
                body = await self._kube.raise_replicas(key, before.replicas, replicas)
            elif await self._other_pods(key):
                return False
            else:
                body = await self._kube.lower_replicas(before.identity, replicas)
        except Conflict:
            await self._look_again(key, before, memory)
            return False
        generation = body["metadata"]["generation"]
        # A higher one means that somebody else wrote as well: that is looked at in the next round.
        if memory.generation is not None and generation <= memory.generation + 1:
            memory.generation = generation
        self._cache.feed(Kind.DEPLOYMENTS, body)
        log.info("Deployment %s set to %d replicas", key, replicas)
        return True

    async def _look_again(self, key: Key, before: DeploymentView | None, memory: PoolMemory) -> None:
        """The Deployment is not as it was seen: the watch may be late, so read it. The next round goes by that."""
        body = await self._kube.get("apps/v1", key, "deployments")
        if before is None or world.read_deployment(body).replicas != before.replicas:
            memory.restart()
        self._cache.feed(Kind.DEPLOYMENTS, body)

    async def _other_pods(self, pool: Key) -> bool:
        """Whether a pool's Pods are not as the watch has shown them; now they are known, the next round plans anew.

        Which Pods a smaller Deployment loses follows from what they are now, and the watch may be late.
        """
        found, read_at = await self._kube.list("v1", pool.namespace, "pods", resources.selector(pool.name))
        return self._cache.learn_pods(pool, found, read_at)

    async def _release(self, key: Key, errand: Errand) -> None:
        """Delete the ReplicaSets of a paused Deployment and leave their Pods, if any of these has an older template.

        All of them: one that is left, old or new, would be the one that the paused Deployment brings to its replicas.
        Those without Pods go first for the same reason.
        """
        body = await self._kube.get("apps/v1", key, "deployments")
        seen = world.read_deployment(body)
        if not (seen.paused and seen.settled):
            return
        found, _ = await self._kube.list("apps/v1", key.namespace, "replicasets", resources.selector(key.name))
        own = [one for one in map(world.read_replica_set, found) if one.owner_uid == seen.identity.uid]
        own = sorted((one for one in own if not one.deleting), key=lambda one: one.replicas)
        if all(one.template == world.template_of(body) for one in own if one.replicas):
            return
        for one in own:
            with suppress(NotFound):
                await self._kube.delete("apps/v1", one.identity, "replicasets", orphan=True)
        count = sum(one.replicas for one in own)
        message = f"{count} workers of the template before finish their jobs and go as new ones come up"
        await self.tell(actions.Note(errand.kind, errand.subject, "RollingOut", message))

    async def _do_to_pod(
        self, action: actions.SetDeletionCost | actions.Adopt | actions.RemovePod, errand: Errand
    ) -> None:
        match action:
            case actions.SetDeletionCost(pod, cost):
                self._cache.feed(Kind.PODS, await self._kube.set_deletion_cost(pod, cost))
            case actions.Adopt(pod):
                owner = resources.owner_reference(errand.kind, errand.subject)
                self._cache.feed(Kind.PODS, await self._kube.adopt(pod, owner))
            case actions.RemovePod(pod):
                await self._kube.delete("v1", pod, "pods")
                log.info("%s is idle and ended: its template is an older one", pod.key)

    async def _set_budget(
        self, action: actions.SetBudget, pool: Identity, memory: PoolMemory, seconds: Callable[[], float]
    ) -> None:
        """Apply or delete the PodDisruptionBudget. The fleet does not wait for it: a failure is mended later."""
        memory.budget, memory.budget_at = action.budget, seconds()
        try:
            await self._budget_as(action.manifest, pool)
        except KubeError as error:
            log.warning("the PodDisruptionBudget of %s is not as it should be: %s", pool.key, error)

    async def _budget_as(self, manifest: Manifest | None, pool: Identity) -> None:
        try:
            there = await self._kube.get("policy/v1", pool.key, BUDGETS)
        except NotFound:
            there = None
        if there is not None and world.controller_of(there).get("uid") != pool.uid:
            log.warning(
                "there is a PodDisruptionBudget %s that is not the WorkerPool's own; it is left alone", pool.key
            )
        elif manifest is not None:
            await self._kube.apply(manifest, BUDGETS)
        elif there is not None:
            with suppress(NotFound, Conflict):
                await self._kube.delete("policy/v1", world.read_identity(there), BUDGETS)

    async def _reclaim(self, action: actions.Reclaim, errand: Errand, redis: Inspector) -> None:
        if not action.restarted and await self._runs(action.pod, errand):
            return
        whose = (
            f"a container of Pod {action.pod.name} that ended"
            if action.restarted
            else f"the ended Pod {action.pod.name}"
        )
        jobs = await redis.reclaim(action.address, action.workers, whose)
        if action.restarted and isinstance(errand.memory, PoolMemory):
            errand.memory.mourned.extend(action.workers)
        if jobs:
            message = f"{jobs} jobs of {whose} are back in queue {action.address.queue}"
            await self.tell(actions.Note(errand.kind, errand.subject, "Reclaimed", message))

    async def _runs(self, pod: Key, errand: Errand) -> bool:
        """Whether a Pod has not ended after all."""
        try:
            body = await self._kube.get("v1", pod, "pods")
        except NotFound:
            return False
        if world.read_pod(body).ended:
            return False
        self._meet(pod, body, errand)
        return True

    def _meet(self, pod: Key, body: Manifest, errand: Errand) -> None:
        """A Pod runs that the watch does not show: it is late, or somebody took the Pod's labels away."""
        log.debug("%s runs; its jobs stay with it", pod)
        labels = body["metadata"].get("labels") or {}
        if labels.items() >= resources.selector_labels(errand.subject.key.name).items():
            self._cache.feed(Kind.PODS, body)
        elif isinstance(errand.memory, PoolMemory):
            errand.memory.strangers.add(pod.name)

    async def _patch_status(
        self,
        plural: str,
        subject: Identity,
        status: Manifest,
        memory: PoolMemory | QueueMemory,
        seconds: Callable[[], float],
    ) -> None:
        try:
            await self._kube.apply_status(KIND_OF[plural], plural, subject, status)
        except (NotFound, Conflict):
            return  # deleted, perhaps made anew; the watch tells
        memory.status.written, memory.status.written_at = status, seconds()

    async def tell(self, note: actions.Note) -> None:
        """Post an Event and log it; an Event that cannot be posted is no reason to stop."""
        level = logging.WARNING if note.type == "Warning" else logging.INFO
        log.log(level, "%s %s: %s: %s", note.kind, note.subject.key, note.reason, note.message)
        try:
            await self._kube.tell(note, self._reporter)
        except KubeError as error:
            log.warning("an Event could not be posted: %s", error)
