"""What each pool claims of the quotas of workers: what it has, and what it would have without them. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from jobfleet_operator import scaling, terms
from jobfleet_operator.look import Look, observation, pool_trouble, queues_of, with_status
from jobfleet_operator.memory import PoolMemory, QueueMemory
from jobfleet_operator.scaling.quota import Claim
from jobfleet_operator.world import Key, PoolResource


def renew(look: Look, pool: PoolResource, memory: PoolMemory, queue_memories: Mapping[Key, QueueMemory]) -> bool:
    """Decide anew what this pool would have without quotas; whether it claims something else than before."""
    before = memory.claim
    memory.claim = _claim(look, with_status(pool, memory), memory, queue_memories)
    return memory.claim != before


def claims(look: Look, memories: Mapping[Key, PoolMemory]) -> dict[Key, Claim]:
    """What every pool would have without quotas; one that was not looked at yet claims what it has."""
    found: dict[Key, Claim] = {}
    for key, pool in look.cache.pools.items():
        memory = memories.get(key)
        present = _present(look, pool, memory)
        known = None if memory is None else memory.claim
        found[key] = Claim(key.namespace, present, present) if known is None else replace(known, present=present)
    return found


def _claim(
    look: Look, pool: PoolResource, memory: PoolMemory, queue_memories: Mapping[Key, QueueMemory]
) -> Claim | None:
    """What this pool would have; None where it is held."""
    if pool.spec is None:
        return None
    free = replace(look, shares={})
    seen = observation(free, pool, memory, queue_memories, pool_trouble(look, pool, queues_of(pool)))
    if seen is None:
        return None
    policy = terms.policy(pool.spec)
    wanted = scaling.decide(seen, policy, memory.history).size
    weight, advised = pool.spec.scaling.weight, pool.spec.mode == "Recommend"
    return Claim(pool.key.namespace, wanted, 0, policy.min_workers, weight, advised)


def _present(look: Look, pool: PoolResource, memory: PoolMemory | None) -> int:
    """Workers that the pool holds or has ordered, those that are on their way out included."""
    deployment = look.cache.deployments.get(pool.key)
    ordered = 0 if deployment is None else deployment.replicas
    pods = sum(1 for pod in look.cache.pods_of(pool.key) if not pod.ended)
    goal = (memory.goal if memory is not None else None) or 0
    recommends = pool.spec is not None and pool.spec.mode == "Recommend"
    return max(ordered, pods, 0 if recommends else goal)
