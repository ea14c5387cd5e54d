"""The variables of the environment that the SDK reads; in a Pod the operator sets them."""

from __future__ import annotations

import base64
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.keys import check_realm
from jobfleet.options import check_queue_name
from jobfleet.seal import PLAIN, Seal

REDIS_URL = "JOBFLEET_REDIS_URL"
REALM = "JOBFLEET_REALM"
QUEUES = "JOBFLEET_QUEUES"
CONCURRENCY = "JOBFLEET_CONCURRENCY"
WORKER = "JOBFLEET_WORKER"
POOL = "JOBFLEET_POOL"
DRAIN_SECONDS = "JOBFLEET_DRAIN_SECONDS"
HEALTH_PORT = "JOBFLEET_HEALTH_PORT"
KEYS = "JOBFLEET_KEYS"
ACTOR = "JOBFLEET_ACTOR"

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
DEFAULT_REALM = "default"
DEFAULT_CONCURRENCY = 10
DEFAULT_DRAIN_SECONDS = 30
MOST_WEIGHT = 1000
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says; see the table in docs/reference/worker.md.

    Attributes:
        queues: those that a worker serves, with their weights; empty: all that its jobs name.
        worker: the worker's name, in Kubernetes its Pod's; empty: the host's name.
        health_port: where a worker answers /livez and /readyz; 0: nowhere.
        seal: with the keys that the environment gives.
        actor: who acts on queues from here, as their audit tells; see :func:`actor_of`.
    """

    redis_url: str = DEFAULT_REDIS_URL
    realm: str = DEFAULT_REALM
    queues: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = DEFAULT_CONCURRENCY
    worker: str = ""
    pool: str = ""
    drain_seconds: int = DEFAULT_DRAIN_SECONDS
    health_port: int = 0
    seal: Seal = PLAIN
    actor: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Self:
        """The environment of this process, or the ``variables`` given.

        Raises:
            ConfigurationError: a variable does not say what it should; the message names it.
        """
        given = os.environ if variables is None else variables
        return cls(
            redis_url=given.get(REDIS_URL) or DEFAULT_REDIS_URL,
            realm=check_realm(REALM, given.get(REALM) or DEFAULT_REALM),
            queues=weighted(QUEUES, given.get(QUEUES, "").split(",")),
            concurrency=_whole(given, CONCURRENCY, DEFAULT_CONCURRENCY, least=1, most=10_000),
            worker=given.get(WORKER, ""),
            pool=given.get(POOL, ""),
            drain_seconds=_whole(given, DRAIN_SECONDS, DEFAULT_DRAIN_SECONDS, least=0, most=86_400),
            health_port=_whole(given, HEALTH_PORT, 0, least=0, most=65_535),
            seal=_seal(given.get(KEYS, "")),
            actor=actor_of(given),
        )


def actor_of(variables: Mapping[str, str]) -> str:
    """Who acts: as ``JOBFLEET_ACTOR`` says; else a worker by its name, in a Pod that Pod's name, elsewhere user@host.

    >>> actor_of({"JOBFLEET_ACTOR": "ann"}), actor_of({"JOBFLEET_WORKER": "photos-7d4"})
    ('ann', 'worker/photos-7d4')
    """
    if told := variables.get(ACTOR):
        return told
    if worker := variables.get(WORKER):
        return f"worker/{worker}"
    host = socket.gethostname()
    return host if variables.get("KUBERNETES_SERVICE_HOST") else f"{_user()}@{host}"


def _user() -> str:
    import getpass  # noqa: PLC0415 - only who acts by hand needs it

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a user that has no name
        return f"uid-{os.getuid()}"


def weighted(source: str, texts: Iterable[str]) -> dict[str, float]:
    """Queues with their weights, from ``name`` or ``name:weight`` (also ``name=weight``); 1 where none is given.

    >>> weighted("JOBFLEET_QUEUES", ["photos:3", " mail", ""])
    {'photos': 3.0, 'mail': 1.0}

    Raises:
        ConfigurationError: a text is wrong, or names a queue again; the message names ``source``.
    """
    queues: dict[str, float] = {}
    for text in filter(None, (text.strip() for text in texts)):
        name, mark, weight = text.replace("=", ":").partition(":")
        try:
            check_queue_name(name)
        except InvalidJob as error:
            raise ConfigurationError(f"{source}: {error}") from error
        if name in queues:
            raise ConfigurationError(f"{source}: {name!r} is named twice; name it once, with one weight")
        try:
            queues[name] = float(weight) if mark else 1.0
            good = 0 < queues[name] <= MOST_WEIGHT
        except ValueError:
            good = False
        if not good:
            raise ConfigurationError(
                f"{source}: {text!r} must be a queue, or a queue and its weight above 0, at most {MOST_WEIGHT}, "
                "as in photos:3"
            )
    return queues


def _seal(text: str) -> Seal:
    """Keys from ``name:base64``, with commas between them; an error shows none."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, _, text_of_key = part.partition(":")
        try:
            key = base64.b64decode(text_of_key, validate=True)
        except ValueError:
            key = b""
        if not key or name in keys:
            raise ConfigurationError(
                f"{KEYS}: key {number} must be a name of its own and 16, 24 or 32 bytes in base64, as in 2026-11:BASE64"
            )
        keys[name] = key
    try:
        return Seal(keys=keys) if keys else PLAIN
    except ConfigurationError as error:
        raise ConfigurationError(f"{KEYS}: {error}") from error


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name, "").strip()
    if not text:
        return default
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise ConfigurationError(f"{name}: {text!r} must be a whole number from {least} to {most}")
    return int(text)
