"""Which queues a pool has to do with, and of which Pods nothing can be seen."""

from __future__ import annotations

from typing import Any

from jobfleet.inspection import QueueAddress
from jobfleet_operator import lineage, resources
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.pods import read_pod
from jobfleet_operator.world import Key
from unit.operator.people import CONNECTION, meta, older, pod, pod_body, pool

PHOTOS, FILMS, MAIL = (Key("shop", name) for name in ("photos", "films", "mail"))
UNREAD = frozenset({QueueAddress(*FILMS)})


def made_for(name: str, *queues: str) -> dict[str, Any]:
    """A Pod as the operator has it made for a pool of these queues."""
    subject = pool(queues=list(queues))
    assert subject.spec is not None
    template, body = resources.pod_template(subject, subject.spec, CONNECTION), pod_body(name)
    body["spec"] |= template["spec"]
    body["metadata"]["annotations"] |= template["metadata"]["annotations"]
    return body


def test_a_pod_tells_the_queues_and_the_connection_that_it_was_made_for() -> None:
    seen = read_pod(made_for("p0", "films", "photos"))
    assert (seen.queues, seen.connection) == (("films", "photos"), CONNECTION)
    assert (pod("p1").queues, pod("p1").connection) == ((), "")


def test_a_pool_has_to_do_with_what_it_names_what_its_pods_were_made_for_and_where_its_workers_were() -> None:
    cache = Cache(lambda *_: None)
    cache.feed(Kind.POOLS, {"metadata": meta("photos"), "spec": {"queues": ["photos"]}})
    cache.feed(Kind.PODS, made_for("p0", "films", "photos"))
    subject = cache.pools[PHOTOS]
    assert lineage.served(cache, subject, PoolMemory()) == {PHOTOS: {CONNECTION}, FILMS: {CONNECTION}}
    memory = PoolMemory(queues=frozenset({"mail"}))
    assert list(lineage.served(cache, subject, memory)) == [PHOTOS, MAIL, FILMS]


def test_a_pod_is_dark_while_a_queue_of_it_cannot_be_read_and_not_for_ever() -> None:
    memory = PoolMemory()
    pods = [older("a", "films", "photos"), older("b", "photos"), pod("c")]
    assert lineage.dark(pods, UNREAD, memory, 100.0) == {"a"}
    assert lineage.dark(pods, UNREAD, memory, 100.0 + lineage.DARK_SECONDS - 1) == {"a"}
    assert lineage.dark(pods, UNREAD, memory, 100.0 + lineage.DARK_SECONDS) == set()
    assert lineage.dark(pods, frozenset(), memory, 1000.0) == set()
    assert lineage.dark(pods, UNREAD, memory, 1001.0) == {"a"}, "it was seen meanwhile: the time begins anew"


def test_a_pod_that_cannot_run_is_not_dark() -> None:
    waits = [{"name": "worker", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
    broken = older("a", "films", ready=False, containerStatuses=waits)
    assert lineage.dark([broken], UNREAD, PoolMemory(), 100.0) == set()
    starting = older("a", "films", ready=False)
    assert lineage.dark([starting], UNREAD, PoolMemory(), 100.0) == {"a"}
