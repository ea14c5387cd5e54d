"""Where each queue lives: the operator's own Redis, or the one that the JobQueue's Secret names."""

import asyncio
import time
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jobfleet.inspection import ConfigurationError, check_url
from jobfleet_operator.adapters.kube import Kube, KubeError, NotFound
from jobfleet_operator.world import Key, QueueResource

REFRESH_SECONDS = 60.0
"""A Secret is read again after this long."""
RETRY_SECONDS = 5.0
"""The same after it could not be read, or names a Redis that does not answer."""


class Place(NamedTuple):
    """One key of a Secret."""

    secret: Key
    key: str


@dataclass(slots=True)
class Knowledge:
    """What a Secret said, until when that is good, and who asked."""

    url: str | None = None
    problem: str = ""
    until: float = 0.0
    asked_by: set[Key] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None


def _own(url: str) -> tuple[str | None, str]:
    """The operator's own URL, or None and why it has none."""
    if not url:
        return None, "the operator has no Redis of its own: set spec.redis.urlSecretRef on the JobQueue"
    try:
        return check_url(url), ""
    except ConfigurationError as error:
        return None, f"the operator's own Redis cannot be used: {error}"


class RedisUrls:
    """Resolves JobQueues to Redis URLs and remembers what Secrets said.

    Nobody waits here: Secrets are read in tasks of their own, and `changed` is told of each queue whose
    URL came to be known or became another.
    """

    def __init__(
        self,
        kube: Kube,
        own_url: str,
        changed: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
        own_file: Path | None = None,
    ) -> None:
        """`own_url` is the Redis of queues that name none, or what stands in `own_file`, now and later."""
        self._kube, self._changed, self._clock = kube, changed, clock
        self._known: dict[Place, Knowledge] = {}
        self._own_file = own_file
        self._own = Knowledge(*_own(own_url), until=clock())

    def resolve(self, queue: QueueResource) -> tuple[str | None, str]:
        """The URL, or None and a sentence that says why there is none, or "" when that is not known yet."""
        if queue.spec is None:
            return None, queue.problem
        if queue.spec.redis is None:
            self._read_own()
            return self._own.url, self._own.problem
        reference = queue.spec.redis.url_secret_ref
        place = Place(Key(queue.key.namespace, reference.name), reference.key)
        known = self._known.setdefault(place, Knowledge())
        known.asked_by.add(queue.key)
        if self._clock() >= known.until and known.reading is None:
            known.reading = asyncio.create_task(self._refresh(place, known), name=f"secret {place.secret}")
        return known.url, known.problem

    def recognise(self, fits: Callable[[str], bool]) -> str | None:
        """The URL that fits, of all that are known here: for a queue whose JobQueue is gone."""
        self._read_own()
        known = [self._own.url, *(one.url for one in self._known.values())]
        return next((url for url in known if url and fits(url)), None)

    def doubt(self, url: str) -> None:
        """Redis does not answer by this URL: the Secrets that hold it are read again soon."""
        soon = self._clock() + RETRY_SECONDS
        for known in self._known.values():
            if known.url == url:
                known.until = min(known.until, soon)

    async def close(self) -> None:
        """Give up what is being read."""
        tasks = [known.reading for known in self._known.values() if known.reading is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _read_own(self) -> None:
        """Look into the file now and then: Kubernetes replaces it when the Secret that it shows is changed."""
        if self._own_file is None or self._clock() < self._own.until:
            return
        self._own.until = self._clock() + RETRY_SECONDS
        with suppress(OSError, UnicodeDecodeError):  # what was known stays good while there is nothing to be read
            self._own.url, self._own.problem = _own(self._own_file.read_text().strip())

    async def _refresh(self, place: Place, known: Knowledge) -> None:
        before = known.url, known.problem
        try:
            known.url, known.problem = await self._read(place, known.url)
            known.until = self._clock() + (RETRY_SECONDS if known.problem else REFRESH_SECONDS)
        finally:
            known.reading = None
        asked_by, known.asked_by = known.asked_by, set()
        if before != (known.url, known.problem):
            for queue in asked_by:
                self._changed(queue)

    async def _read(self, place: Place, before: str | None) -> tuple[str | None, str]:
        name = place.secret.name
        try:
            secret = await self._kube.get("v1", place.secret, "secrets")
        except NotFound:
            return None, f"spec.redis.urlSecretRef names the Secret {name}, which does not exist: create it"
        except KubeError as error:
            # What was known stays good while the API server is away.
            return before, "" if before else f"the Secret {name} cannot be read: {error}"
        encoded = (secret.get("data") or {}).get(place.key)
        if not encoded:
            return None, f"the Secret {name} has no key {place.key}: add it or correct spec.redis"
        try:
            url = b64decode(encoded).decode().strip()
        except (NotBase64, UnicodeDecodeError):
            return None, f"the Secret {name} holds no text under {place.key}: put the Redis URL there"
        try:
            return check_url(url), ""
        except ConfigurationError as error:  # what is no URL may be anybody's password, and goes nowhere
            return None, f"the Secret {name} holds no Redis URL under {place.key}: {error}"
