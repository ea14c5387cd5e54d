"""The group `external.metrics.k8s.io`, in which an HPA reads queues and pools: what is asked, and the answers. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from jobfleet.inspection import QueueSnapshot
from jobfleet_operator.status import timestamp
from jobfleet_operator.world import Manifest, PoolResource

GROUP_VERSION = "external.metrics.k8s.io/v1beta1"
ROOT = f"/apis/{GROUP_VERSION}"

QUEUE_BACKLOG = "jobfleet_queue_backlog"
QUEUE_OLDEST = "jobfleet_queue_oldest_seconds"
POOL_WANTED = "jobfleet_pool_wanted_workers"
OF_QUEUES = frozenset({QUEUE_BACKLOG, QUEUE_OLDEST})
METRICS = (QUEUE_BACKLOG, QUEUE_OLDEST, POOL_WANTED)


class NamesError(Exception):
    """What should say who may speak for others cannot be read; nobody is answered then."""


class BadSelectorError(Exception):
    """A label selector that cannot be read; the message says what can be."""


def allowed_names(said: str) -> frozenset[str]:
    """Names of `requestheader-allowed-names`; none: any name will do, as the API server means it.

    >>> sorted(allowed_names('["front-proxy-client"]')), sorted(allowed_names("null")), sorted(allowed_names(""))
    (['front-proxy-client'], [], [])

    Raises:
        NamesError: it is no list of names.
    """
    try:
        names = json.loads(said or "[]") or []
    except ValueError:
        names = said
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return frozenset(names)
    msg = f'requestheader-allowed-names is {said!r} and should be a list of names, such as ["front-proxy-client"]'
    raise NamesError(msg)


@dataclass(frozen=True, slots=True)
class Value:
    """One metric of one queue or pool."""

    metric: str
    labels: Mapping[str, str]
    value: int


def queue_value(metric: str, name: str, seen: QueueSnapshot) -> Value:
    """A metric of a queue: its backlog (waiting, running or due), or for how long its oldest job has waited."""
    oldest = 0 if seen.oldest_waiting_ms is None else max(0, seen.now_ms - seen.oldest_waiting_ms) // 1000
    return Value(metric, {"queue": name}, seen.backlog if metric == QUEUE_BACKLOG else oldest)


def pool_value(pool: PoolResource) -> Value | None:
    """How many workers the pool should have; None: it has not been decided about yet."""
    wanted = pool.status.get("desiredReplicas")
    return None if wanted is None else Value(POOL_WANTED, {"pool": pool.key.name}, wanted)


def discovery() -> Manifest:
    """Which metrics there are."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
            for name in METRICS
        ],
    }


def value_list(values: Iterable[Value], now: datetime) -> Manifest:
    """The values as Kubernetes wants them; an HPA adds them up."""
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [
            {
                "metricName": one.metric,
                "metricLabels": dict(one.labels),
                "timestamp": timestamp(now),
                "value": str(one.value),
            }
            for one in values
        ],
    }


def failure(code: int, reason: str, message: str) -> Manifest:
    """A Status, which `kubectl` and the HPA's conditions show in words."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


_ONE = re.compile(r"\s*([\w./-]+)\s*(?:(==?|!=)\s*([\w.-]*)|(in|notin)\s*\(([^()]*)\))\s*(?:,|$)")


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all.

    >>> selects("queue=photos", {"queue": "photos"}), selects("queue in (a, b),x!=y", {"queue": "b"})
    (True, True)
    >>> selects("queue notin (a)", {"queue": "a"})
    False

    Raises:
        BadSelectorError: it is written in another way.
    """
    at, taken = 0, True
    while at < len(selector):
        match = _ONE.match(selector, at)
        if match is None:
            msg = f"the label selector {selector!r} is not understood: write queue=NAME, queue!=NAME, or queue in (A,B)"
            raise BadSelectorError(msg)
        key, operator, value, among, values = match.groups()
        allowed = {value} if operator else {one.strip() for one in values.split(",")}
        wanted = operator in {"=", "=="} or among == "in"
        taken = taken and (labels.get(key) in allowed) == wanted
        at = match.end()
    return taken
