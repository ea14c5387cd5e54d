"""Writes the pools' Deployments, and never over what somebody else wrote meanwhile.

Each write is bound to what was seen: where the Deployment or its Pods turn out to be other than the watch has shown,
nothing is written, the cache learns how they are, and the next round plans anew.
"""

import logging
from contextlib import suppress

from jobfleet_operator import actions, names, resources, world
from jobfleet_operator.adapters.kube import Conflict, Invalid, Kube, NotFound, Refused
from jobfleet_operator.adapters.pace import Urgency
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.world import DeploymentView, Identity, Key

log = logging.getLogger(__name__)


class Deployments:
    """One pool's after the other's; the sizes and templates come from `reconcile`."""

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube, self._cache = kube, cache

    async def apply(self, action: actions.ApplyDeployment, pool: Identity, memory: PoolMemory) -> bool:
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

    async def set_replicas(self, action: actions.SetReplicas, memory: PoolMemory) -> bool:
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
        except Invalid:
            if await self._look_again(key, before, memory) == before.replicas:
                raise  # it is as it was tested to be: somebody says no
            return False
        memory.refusal = ""
        generation = body["metadata"]["generation"]
        # A higher one means that somebody else wrote as well: that is looked at in the next round.
        if memory.generation is not None and generation <= memory.generation + 1:
            memory.generation = generation
        self._cache.feed(Kind.DEPLOYMENTS, body)
        log.info("Deployment %s set to %d replicas", key, replicas)
        return True

    async def _look_again(self, key: Key, before: DeploymentView | None, memory: PoolMemory) -> int:
        """The Deployment is not as it was seen: the watch may be late, so read it. The next round goes by that.

        Returns its replicas.
        """
        body = await self._kube.get("apps/v1", key, "deployments")
        there = world.read_deployment(body).replicas
        if before is None or there != before.replicas:
            memory.restart()
        self._cache.feed(Kind.DEPLOYMENTS, body)
        return there

    async def _other_pods(self, pool: Key) -> bool:
        """Whether a pool's Pods are not as the watch has shown them; now they are known, the next round plans anew.

        Which Pods a smaller Deployment loses follows from what they are now, and the watch may be late.
        """
        found, read_at = await self._kube.list("v1", pool.namespace, "pods", resources.selector(pool.name))
        return self._cache.learn_pods(pool, found, read_at)

    async def release(self, key: Key, pool: Identity) -> int:
        """Delete the ReplicaSets of a paused Deployment and leave their Pods, if any of these has an older template.

        Returns how many Pods were left so.

        All of them: one that is left, old or new, would be the one that the paused Deployment brings to its replicas.
        Those without Pods go first for the same reason. Before that the Pods become the pool's, too, so that none is
        ever without an owner: it would outlive its pool, were that deleted just then, or the operator dead.
        """
        body = await self._kube.get("apps/v1", key, "deployments")
        seen = world.read_deployment(body)
        if not (seen.paused and seen.settled):
            return 0
        found, _ = await self._kube.list("apps/v1", key.namespace, "replicasets", resources.selector(key.name))
        own = [one for one in map(world.read_replica_set, found) if one.owner_uid == seen.identity.uid]
        own = sorted((one for one in own if not one.deleting), key=lambda one: one.replicas)
        if all(one.template == world.template_of(body) for one in own if one.replicas):
            return 0
        await self._name_heir(pool, {one.identity.uid for one in own})
        for one in own:
            with suppress(NotFound):
                await self._kube.delete("apps/v1", one.identity, "replicasets", orphan=True)
        return sum(one.replicas for one in own)

    async def _name_heir(self, pool: Identity, owners: set[str]) -> None:
        """Make the pool one more owner of all Pods that these ReplicaSets control."""
        heir = resources.owner_reference(names.WORKER_POOL, pool, controller=False)
        found, _ = await self._kube.list("v1", pool.key.namespace, "pods", resources.selector(pool.key.name))
        for pod in found:
            known = {owner["uid"] for owner in pod["metadata"].get("ownerReferences") or []}
            if known & owners and pool.uid not in known:
                with suppress(NotFound):
                    await self._kube.add_owner(world.read_identity(pod).key, heir)
