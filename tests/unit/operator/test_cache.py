"""The cache: the newest version wins, a list finds what a watch missed."""

from __future__ import annotations

from typing import Any

import pytest

from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.world import Key
from unit.operator.people import meta, pod_body

PHOTOS = Key("shop", "photos")


def filled() -> tuple[Cache, list[tuple[Kind, Key]]]:
    changes: list[tuple[Kind, Key]] = []
    return Cache(lambda kind, key: changes.append((kind, key))), changes


def queue_body(version: int, uid: str = "u1", **spec: Any) -> dict[str, Any]:
    return {"metadata": meta("photos", resourceVersion=str(version), uid=uid), "spec": spec}


def test_a_pod_is_found_by_its_pool() -> None:
    cache, changes = filled()
    cache.feed(Kind.PODS, pod_body("a"))
    assert [pod.name for pod in cache.pods_of(PHOTOS)] == ["a"]
    assert changes == [(Kind.PODS, PHOTOS)]
    cache.feed(Kind.PODS, pod_body("a"), deleted=True)
    assert cache.pods_of(PHOTOS) == []


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9, paused=True))
    cache.feed(Kind.QUEUES, queue_body(8, paused=False))
    found = cache.queues[PHOTOS].spec
    assert found is not None
    assert found.paused


def test_a_list_takes_away_what_a_watch_did_not_see_go() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9))
    cache.keep_only(Kind.QUEUES, set(), "20")
    assert not cache.queues
    assert [queue.key for queue in cache.take_deletions()] == [PHOTOS]
    assert cache.take_deletions() == []


def test_a_list_that_is_older_than_an_object_leaves_it() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(30))
    cache.keep_only(Kind.QUEUES, set(), "20")
    assert PHOTOS in cache.queues


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9))
    cache.keep_only(Kind.QUEUES, set(), "20", "elsewhere")
    assert PHOTOS in cache.queues


def test_what_was_deleted_is_not_revived_by_a_list_that_was_read_before() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9))
    cache.feed(Kind.QUEUES, queue_body(12), deleted=True)
    cache.feed(Kind.QUEUES, queue_body(9))
    cache.keep_only(Kind.QUEUES, {queue_body(9)["metadata"]["uid"]}, "10")
    assert not cache.queues


def test_a_new_object_of_the_same_name_takes_the_place() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9, "u1"))
    cache.feed(Kind.QUEUES, queue_body(15, "u2"))
    cache.feed(Kind.QUEUES, queue_body(14, "u1"), deleted=True)
    assert cache.queues[PHOTOS].identity.uid == "u2"


def test_a_pool_is_found_by_each_of_its_queues_as_they_change() -> None:
    cache, _ = filled()
    body = {"metadata": meta("pool"), "spec": {"queues": ["a", "b"]}}
    cache.feed(Kind.POOLS, body)
    assert cache.pools_of(Key("shop", "b")) == {Key("shop", "pool")}
    cache.feed(Kind.POOLS, {"metadata": meta("pool", resourceVersion="11", generation=2), "spec": {"queues": ["a"]}})
    assert cache.pools_of(Key("shop", "b")) == set()
    cache.feed(Kind.POOLS, body, deleted=True)
    assert cache.pools_of(Key("shop", "a")) == set()


def test_a_status_is_taken_over_and_no_news() -> None:
    cache, changes = filled()
    cache.feed(Kind.QUEUES, queue_body(9))
    cache.feed(Kind.QUEUES, queue_body(10) | {"status": {"health": "Healthy"}})
    assert cache.queues[PHOTOS].status == {"health": "Healthy"}
    assert len(changes) == 1, "the operator need not look at a queue because it wrote its status"
    again = queue_body(11, paused=True)
    again["metadata"]["generation"] = 2
    cache.feed(Kind.QUEUES, again)
    assert len(changes) == 2


def test_what_left_the_selection_of_a_watch_is_known_again_when_it_comes_back() -> None:
    cache, _ = filled()
    cache.feed(Kind.PODS, pod_body("a"))
    gone = pod_body("a")
    gone["metadata"]["resourceVersion"] = "12"
    cache.feed(Kind.PODS, gone, deleted=True)  # so a watch tells of a label that was taken away
    cache.feed(Kind.PODS, gone)
    assert [pod.name for pod in cache.pods_of(PHOTOS)] == ["a"]


def test_a_pod_that_was_given_another_pools_label_is_none_of_the_first_one_any_more() -> None:
    cache, changes = filled()
    cache.feed(Kind.PODS, pod_body("a"))
    taken = pod_body("a")
    labels = taken["metadata"]["labels"] | {"jobfleet.dev/pool": "debug"}
    taken["metadata"] |= {"resourceVersion": "12", "labels": labels, "ownerReferences": []}
    cache.feed(Kind.PODS, taken)
    assert cache.pods_of(PHOTOS) == [], "as its ReplicaSet, which makes another one"
    assert [pod.name for pod in cache.pods_of(Key("shop", "debug"))] == ["a"]
    assert changes[1:] == [(Kind.PODS, PHOTOS), (Kind.PODS, Key("shop", "debug"))]
    cache.feed(Kind.PODS, pod_body("a"), deleted=True)
    assert cache.pods_of(Key("shop", "debug")) == []


@pytest.mark.parametrize("owner", ["", "extra-r1", "photos-r2"])
def test_a_pod_that_only_bears_the_labels_of_a_pool_is_none_of_it(owner: str) -> None:
    cache, _ = filled()
    body = pod_body("a")
    body["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": owner, "controller": True}] if owner else []
    if not owner:
        del body["metadata"]["labels"]["pod-template-hash"]
    cache.feed(Kind.PODS, body)
    assert cache.pods_of(PHOTOS) == []


def test_of_two_deletions_of_one_name_the_last_says_what_becomes_of_the_jobs() -> None:
    cache, _ = filled()
    cache.feed(Kind.QUEUES, queue_body(9, "u1", deletionPolicy="Purge"))
    cache.feed(Kind.QUEUES, queue_body(10, "u1", deletionPolicy="Purge"), deleted=True)
    cache.feed(Kind.QUEUES, queue_body(11, "u2"))
    cache.feed(Kind.QUEUES, queue_body(12, "u2"), deleted=True)
    (queue,) = cache.take_deletions()
    assert queue.identity.uid == "u2"


def test_pods_that_are_not_as_they_were_known_are_news() -> None:
    cache = Cache(lambda *_: None)
    place = Key("shop", "photos")
    body = {
        "metadata": {
            "name": "a",
            "namespace": "shop",
            "uid": "1",
            "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"jobfleet.dev/pool": "photos", "pod-template-hash": "r1"},
        },
        "spec": {"containers": []},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert cache.learn_pods(place, [body], "5"), "it was not known"
    later = body | {"metadata": body["metadata"] | {"resourceVersion": "6"}}
    assert not cache.learn_pods(place, [later], "6"), "only its version moved"
    unready = later | {"status": {"phase": "Running"}, "metadata": later["metadata"] | {"resourceVersion": "7"}}
    assert cache.learn_pods(place, [unready], "7")
    assert not cache.learn_pods(place, [unready], "7")
    assert cache.learn_pods(place, [], "8"), "it is gone"
    assert cache.pods_of(place) == []
