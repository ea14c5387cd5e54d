"""The one place that spells Redis keys.

Every key of a queue carries the hash tag ``{realm/queue}``, so that a queue lives in one slot of a Redis Cluster and
its scripts may touch all of them. The realm keeps apart who shares a Redis: the operator uses the Kubernetes namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from jobfleet.errors import ConfigurationError
from jobfleet.options import FIRST_PRIORITY, LAST_PRIORITY, QUEUE_NAME

WAKE_CHANNEL = "jf:wake"
"""Where a queue that gets work while it is empty says so, as ``realm/queue``."""


class QueueKeys:
    """The keys of one queue, spelt once; ``scripts/lua/_queue.lua`` tells what each holds, in the order of ``all``."""

    NAMES = (
        "jobs", "counters", "config", "delayed", "completed", "failed", "cancelled", "results", "errors",
        "progress", "logs", "events", "wake", "dedup", "dedup_until", "awaited", "cancelling",
        "workers", "info", "draining", "busy", "ring", "group_line", "group_part", "group_wait",
        "group_active", "group_config", "group_parked", "group_tokens", "forwarding", "kept",
        "circuit", "circuit_now", "circuit_before",
    )  # fmt: skip

    def __init__(self, realm: str, queue: str) -> None:
        self.address = f"{realm}/{queue}"
        self.prefix = prefix = f"jf:{{{realm}/{queue}}}:"
        self.ends = f"jf:ends:{{{realm}/{queue}}}"  # a channel: ids of ended jobs that somebody waits for
        self.lines = tuple(f"{prefix}wait:{p}" for p in range(FIRST_PRIORITY, LAST_PRIORITY + 1))
        self.jobs = prefix + "jobs"
        self.counters = prefix + "counters"
        self.config = prefix + "config"
        self.delayed = prefix + "delayed"
        self.completed = prefix + "completed"
        self.failed = prefix + "failed"
        self.cancelled = prefix + "cancelled"
        self.results = prefix + "results"
        self.errors = prefix + "errors"
        self.progress = prefix + "progress"
        self.logs = prefix + "logs"
        self.events = prefix + "events"
        self.wake = prefix + "wake"
        self.awaited = prefix + "awaited"
        self.workers = prefix + "workers"
        self.info = prefix + "info"
        self.draining = prefix + "draining"
        self.busy = prefix + "busy"
        self.ring = prefix + "ring"
        self.group_line = prefix + "group_line"
        self.group_part = prefix + "group_part"
        self.group_wait = prefix + "group_wait"
        self.group_active = prefix + "group_active"
        self.group_config = prefix + "group_config"
        self.group_parked = prefix + "group_parked"
        self.group_tokens = prefix + "group_tokens"
        self.forwarding = prefix + "forwarding"
        self.kept = prefix + "kept"
        self.circuit = prefix + "circuit"
        self.circuit_now = prefix + "circuit_now"
        self.circuit_before = prefix + "circuit_before"
        self.audit = prefix + "audit"  # not in `all`: see scripts/lua/_audit.lua
        self.all = (*self.lines, *(prefix + name for name in self.NAMES))

    def active(self, worker: str) -> str:
        """Hash id -> attempt: what one worker holds."""
        return f"{self.prefix}active:{worker}"

    def control(self, worker: str) -> str:
        """List: what one worker is told."""
        return f"{self.prefix}control:{worker}"

    def line(self, priority: int) -> str:
        """The waiting line of a priority, 1 to 10."""
        return self.lines[priority - FIRST_PRIORITY]


MOST_REALM = 253
"""Characters of a realm: as many as a name of Kubernetes has at most."""

_NO_REALM = re.compile(r"[/{}\s]")
_GLOB = re.compile(r"([*?^\[\]\\-])")


def check_realm(source: str, realm: object) -> str:
    """The realm itself, if keys may be spelt with it.

    >>> check_realm("realm", "shop")
    'shop'

    Raises:
        ConfigurationError: keys would be another realm's, or cannot be read; the message names ``source``.
    """
    if (
        not isinstance(realm, str)
        or _NO_REALM.search(realm)
        or not realm.isprintable()
        or not 1 <= len(realm) <= MOST_REALM
    ):
        raise ConfigurationError(
            f"{source}: {realm!r:.300} must be a namespace or a name of your own: 1 to {MOST_REALM} printable "
            "characters without spaces, '/', '{' and '}'"
        )
    return realm


def pattern_of(realm: str) -> str:
    """What the keys match that tell which queues a realm has: each has counters, or settings, or both."""
    plain = _GLOB.sub(r"\\\1", realm)
    return f"jf:{{{plain}/*}}:co[un]*"


def queues_in(keys: Iterable[str]) -> list[str]:
    """The queues of such keys, each once, sorted; a name that no queue may have is none of this realm.

    >>> queues_in(["jf:{shop/mail}:counters", "jf:{shop/mail}:config", "jf:{shop/eu/x}:config"])
    ['mail']
    """
    return sorted(filter(QUEUE_NAME.fullmatch, {key.partition("/")[2].partition("}")[0] for key in keys}))


@lru_cache(maxsize=65_536)
def queue_keys(realm: str, queue: str) -> QueueKeys:
    """The keys of a queue, made once for each."""
    return QueueKeys(realm, queue)
