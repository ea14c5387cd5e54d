"""Where each queue lives: the operator's own Redis, or the one that the JobQueue's Secret names."""

import time
from base64 import b64decode
from collections.abc import Callable

from jobfleet_operator.adapters.kube import Kube, KubeError, NotFound
from jobfleet_operator.models import SecretKey
from jobfleet_operator.world import Key, QueueResource

REFRESH_SECONDS = 60.0
"""A Secret is read again after this long."""
RETRY_SECONDS = 5.0
"""The same after it could not be read."""


class RedisUrls:
    """Resolves JobQueues to Redis URLs and remembers what Secrets said."""

    def __init__(self, kube: Kube, own_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._own_url, self._clock = kube, own_url, clock
        self._known: dict[tuple[Key, str], tuple[float, str | None, str]] = {}

    async def resolve(self, queue: QueueResource) -> tuple[str | None, str]:
        """The URL, or None and a sentence that says why there is none."""
        if queue.spec is None:
            return None, queue.problem
        if queue.spec.redis is None:
            if self._own_url:
                return self._own_url, ""
            return None, "the operator has no Redis of its own: set spec.redis.urlSecretRef on the JobQueue"
        reference = queue.spec.redis.url_secret_ref
        place = (Key(queue.key.namespace, reference.name), reference.key)
        until, url, problem = self._known.get(place, (0.0, None, ""))
        if self._clock() >= until:
            url, problem = await self._read(place[0], reference, url)
            until = self._clock() + (RETRY_SECONDS if problem else REFRESH_SECONDS)
            self._known[place] = (until, url, problem)
        return url, problem

    async def _read(self, place: Key, reference: SecretKey, before: str | None) -> tuple[str | None, str]:
        try:
            secret = await self._kube.get("v1", place, "secrets")
        except NotFound:
            return None, f"spec.redis.urlSecretRef names the Secret {place.name}, which does not exist: create it"
        except KubeError as error:
            # What was known stays good while the API server is away.
            return before, "" if before else f"the Secret {place.name} cannot be read: {error}"
        encoded = (secret.get("data") or {}).get(reference.key)
        if not encoded:
            return None, f"the Secret {place.name} has no key {reference.key}: add it or correct spec.redis"
        return b64decode(encoded).decode().strip(), ""
