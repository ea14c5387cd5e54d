"""Carries actions out. Every failure is told and left to the next round, which plans anew."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jobfleet.inspection import InspectionError, Inspector, QueueAddress
from jobfleet_operator import actions, names, resources, world
from jobfleet_operator.actions import Action
from jobfleet_operator.adapters.kube import Conflict, Kube, KubeError, NotFound, Refused
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.deployments import Deployments
from jobfleet_operator.memory import PoolMemory, QueueMemory, refresh_seconds
from jobfleet_operator.pods import read_pod
from jobfleet_operator.world import Identity, Key, Manifest

log = logging.getLogger(__name__)

KIND_OF = {names.JOB_QUEUES: names.JOB_QUEUE, names.WORKER_POOLS: names.WORKER_POOL}
BUDGETS = "poddisruptionbudgets"
BUDGET_RETRY_SECONDS = 30.0
"""So soon after a failure a PodDisruptionBudget is applied again: nobody looks whether it is there."""


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
    elsewhere: Mapping[QueueAddress, Inspector] = field(default_factory=dict)
    """Queues that live in another Redis than `redis`."""

    def at(self, queue: QueueAddress) -> Inspector | None:
        """The Redis that this queue lives in."""
        return self.elsewhere.get(queue, self.redis)


class Applier:
    """Turns actions into calls; the only one who changes anything outside."""

    def __init__(self, kube: Kube, cache: Cache, *, acting: Callable[[], bool], reporter: str) -> None:
        self._kube, self._cache, self._acting, self._reporter = kube, cache, acting, reporter
        self._deployments = Deployments(kube, cache)

    async def carry_out(self, errand: Errand, seconds: Callable[[], float]) -> None:
        """Do it in order, up to the first failure.

        Raises:
            KubeError, InspectionError: the first failure.
            NotActing: leadership was lost on the way.
        """
        for action in errand.plan:
            if not self._acting():
                raise NotActing
            try:
                await self._do(action, errand, seconds)
            except Refused as error:
                if type(action) in actions.REFUSED and isinstance(errand.memory, PoolMemory):
                    errand.memory.refusal = f"{actions.REFUSED[type(action)]}: {error}"
                raise

    async def _do(self, action: Action, errand: Errand, seconds: Callable[[], float]) -> None:
        memory = errand.memory
        match action:
            case actions.ApplyDeployment() | actions.SetReplicas() if isinstance(memory, PoolMemory):
                await self._size(action, errand, memory)
            case actions.ApplySecret() if isinstance(memory, QueueMemory):
                await self._apply_secret(action, errand.subject, memory)
                memory.secret_url, memory.secret_at = action.redis_url, seconds()
            case actions.PushSettings(address, settings, why) if redis := errand.at(address):
                await redis.apply_settings(address, settings, why)
                log.info("settings of %s written to Redis", address)
            case actions.Drain() | actions.Undrain() if redis := errand.at(action.address):
                await self._steer(action, redis, errand, seconds)
            case actions.Reclaim() if redis := errand.at(action.address):
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

    async def _apply_secret(self, action: actions.ApplySecret, queue: Identity, memory: QueueMemory) -> None:
        """Write the connection; somebody else's Secret of that name is never taken over."""
        name = action.manifest["metadata"]["name"]
        try:
            there = await self._kube.get("v1", Key(queue.key.namespace, name), "secrets")
        except NotFound:
            there = {}
        except Refused as error:
            memory.refusal = f"the Secret {name} cannot be read: {error}"
            raise
        ours = not there or resources.is_connection_of(there, queue.key.name)
        # What stands there already is as good as if it were written now.
        memory.secret_url = action.redis_url if ours and there.get("data") == action.manifest["data"] else None
        if not ours:
            memory.refusal = (
                f"a Secret {name} exists that does not belong to this JobQueue: "
                "delete it, or give the JobQueue another name"
            )
            raise Refused(memory.refusal)
        try:
            await self._kube.apply(action.manifest, "secrets")
        except Refused as error:
            memory.refusal = f"the Secret {name} cannot be written: {error}"
            raise
        memory.refusal = ""

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
                done = await self._deployments.apply(action, errand.subject, memory)
            case actions.SetReplicas():
                done = await self._deployments.set_replicas(action, memory)
        scaling = action.scaling
        if not done or scaling is None or errand.redis is None:
            return
        try:
            await errand.redis.record(scaling.queues, "scale", scaling.workers, scaling.what, scaling.why)
        except InspectionError as error:
            log.warning("the audit does not tell of %s: %s", scaling.what, error)

    async def _release(self, key: Key, errand: Errand) -> None:
        if count := await self._deployments.release(key, errand.subject):
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
        """Apply or delete the PodDisruptionBudget. The fleet does not wait for it: a failure is mended soon."""
        level = logging.INFO if memory.budget == action.budget else logging.WARNING
        memory.budget, memory.budget_at = action.budget, seconds()
        try:
            await self._budget_as(action.manifest, pool)
        except KubeError as error:
            memory.budget_at += BUDGET_RETRY_SECONDS - refresh_seconds(pool.uid)
            log.log(level, "the PodDisruptionBudget of %s is not as it should be: %s", pool.key, error)

    async def _budget_as(self, manifest: Manifest | None, pool: Identity) -> None:
        try:
            there = await self._kube.get("policy/v1", pool.key, BUDGETS)
        except NotFound:
            there = None
        owner = {} if there is None else world.controller_of(there)
        if owner.get("kind") == names.WORKER_POOL and owner.get("name") == pool.key.name and owner["uid"] != pool.uid:
            msg = "there is the one of a pool of that name that was deleted, which is about to go"
            raise Conflict(msg)
        if there is not None and owner.get("uid") != pool.uid:
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
        if read_pod(body).ended:
            return False
        self._meet(pod, body, errand)
        return True

    def _meet(self, pod: Key, body: Manifest, errand: Errand) -> None:
        """A Pod runs that the watch does not show: it is late, or somebody took the Pod's labels away."""
        log.debug("%s runs; its jobs stay with it", pod)
        labels, name = body["metadata"].get("labels") or {}, errand.subject.key.name
        if labels.items() >= resources.selector_labels(name).items() and read_pod(body).pool == name:
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
