"""The API server itself tells a user what a resource means and what is wrong with it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from api.stage import Shop, pool_manifest, queue_manifest
from jobfleet_operator import crd

CONTAINERS = "template.spec.containers"
WORKER = {"name": "worker", "image": "a"}
FLOOR = {"schedule": "0 8 * * 1-5", "durationMinutes": 60, "minReplicas": 1}


def with_change(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field of the spec set, or taken away (None)."""
    changed = copy.deepcopy(manifest)
    *folders, last = path.split(".")
    place = changed["spec"]
    for folder in folders:
        place = place.setdefault(folder, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return changed


def refusal(shop: Shop, manifest: dict[str, Any]) -> str:
    """What the API server says to a manifest that it must refuse."""
    with pytest.raises(AssertionError) as said:
        shop.apply(manifest)
    return str(said.value)


WRONG_POOLS = [
    ("minReplicas", 20, "spec.minReplicas is greater than spec.maxReplicas: lower minReplicas or raise"),
    ("maxReplicas", 0, "spec.maxReplicas: .* to stop the work, set spec.paused on the JobQueue"),
    ("concurrency", 0, "spec.concurrency: .* from 1 to 1000: the number of jobs that a worker runs"),
    ("concurrency", "four", "spec.concurrency: .* must be of type integer"),
    ("queues", [], "spec.queues is empty: name at least one JobQueue"),
    ("queues", None, "spec.queues is empty: name at least one JobQueue"),
    ("queues", ["photos", "photos"], "spec.queues names a JobQueue twice: list each one once"),
    ("queues", ["My_Photos"], "spec.queues names something that cannot be a JobQueue: .* lower-case"),
    ("drainSeconds", 100_000, "spec.drainSeconds: .* from 0 to 3600"),
    ("scaling.backlogPerWorker", 0, "spec.scaling.backlogPerWorker: .* the number of jobs that one worker"),
    ("scaling.scaleDown.percentPerStep", 0, "spec.scaling.scaleDown.percentPerStep: .* 100 shrinks in one step"),
    ("scaling.drainWithinSeconds", 0, "spec.scaling.drainWithinSeconds: .* waiting jobs should be done"),
    ("scaling.maxAgeSeconds", 0, "spec.scaling.maxAgeSeconds: .* that no job should wait for longer"),
    ("scaling.fallback", {}, "spec.scaling.fallback.workers: Required value"),
    ("scaling.fallback", {"workers": 0}, "spec.scaling.fallback.workers: .* while the backlog cannot be read"),
    ("scaling.fallback", {"workers": 1, "afterSeconds": 0}, "spec.scaling.fallback.afterSeconds: .* the size is held"),
    ("rollout.maxSurge", 0, "spec.rollout.maxSurge must be a number from 1 to 10000 or a percentage"),
    ("rollout.maxSurge", "0%", "without one worker more, a roll-out would wait for ever"),
    ("rollout.maxSurge", "two", "spec.rollout.maxSurge must be a number"),
    ("rollout.maxSurge", 1.5, "spec.rollout.maxSurge"),
    ("mode", "Off", 'spec.mode: .* supported values: "Auto", "Recommend"'),
    ("scaling.tolerancePercent", 90, "spec.scaling.tolerancePercent: .* from 0 to 50"),
    ("scaling.floors", [FLOOR | {"schedule": "0 8 * *"}], "spec.scaling.floors has five fields: minute, hour"),
    ("template", None, "spec.template.spec.containers is empty: give the Pod one container"),
    (CONTAINERS, [], "spec.template.spec.containers is empty: give the Pod one container"),
    (CONTAINERS, [{"image": "a"}], "spec.template.spec.containers has a container without a name: give"),
    (CONTAINERS, [{"name": "a"}], "spec.template.spec.containers has a container without an image: name"),
    (CONTAINERS, [WORKER | {"env": [{"name": "A", "value": 8080}]}], r"env\[0\].value: .* must be of type string"),
    (CONTAINERS, [WORKER | {"env": {"A": "8080"}}], r"containers\[0\].env"),
    (CONTAINERS, [WORKER | {"envFrom": ["mine"]}], r"containers\[0\].envFrom\[0\]: .* must be of type object"),
    ("template.metadata.labels", ["a"], "spec.template.metadata.labels: .* must be of type object"),
    ("template.metadata.annotations.a", 1, "spec.template.metadata.annotations.a: .* must be of type string"),
    ("template.spec.securityContext", "root", "spec.template.spec.securityContext: .* must be of type object"),
    ("template.spec.terminationGracePeriodSeconds", "60", "terminationGracePeriodSeconds: .* must be of type integer"),
    ("template.spec.restartPolicy", "Never", "spec.template.spec.restartPolicy must be Always or left out"),
    ("maxReplica", 3, 'unknown field "spec.maxReplica"'),
]

WRONG_QUEUES = [
    ("retention.completed.count", -1, "spec.retention.completed.count: .* 0 keeps none"),
    ("retention.failed.ageSeconds", -1, "spec.retention.failed.ageSeconds: .* 0 keeps none"),
    ("maxDeliveries", 0, "spec.maxDeliveries: .* workers that may die on a job"),
    ("limits.maxLength", 0, "spec.limits.maxLength: .* leave it out for no limit"),
    ("limits.maxMemoryPercent", 101, "spec.limits.maxMemoryPercent: .* from 1 to 100: used memory in percent"),
    ("limits.maxActive", 0, "spec.limits.maxActive: .* or set spec.paused for none"),
    ("limits.rate", {}, "spec.limits.rate.count: Required value"),
    ("limits.rate", {"count": 0}, "spec.limits.rate.count: .* jobs that are started in that time"),
    ("limits.rate", {"count": 1, "seconds": 0}, "spec.limits.rate.seconds: .* a day at most"),
    ("limits.perGroup.maxActive", 0, "spec.limits.perGroup.maxActive: .* the jobs of one group that run at a time"),
    (
        "circuitBreaker.failurePercent",
        0,
        "spec.circuitBreaker.failurePercent: .* leave spec.circuitBreaker out for none",
    ),
    ("circuitBreaker.openSeconds", 0, "spec.circuitBreaker.openSeconds: .* a day at most"),
    ("circuitBreaker.probes", 0, "spec.circuitBreaker.probes: .* jobs that try whether it works again"),
    ("circuitBreaker.per", "Tenant", 'spec.circuitBreaker.per: .* supported values: "Queue", "Group"'),
    ("runningWhenPaused", "Kill", 'spec.runningWhenPaused: .* supported values: "Finish", "Return"'),
    ("deadLetterQueue", "No_Queue", "spec.deadLetterQueue names something that cannot be a JobQueue: .* lower-case"),
    ("deadLetterQueue", "", "spec.deadLetterQueue names something that cannot be a JobQueue"),
    ("deadLetterQueue", "photos", "spec.deadLetterQueue names this queue itself: name another JobQueue"),
    ("maxJobBytes", 1, "spec.maxJobBytes: .* put bigger things in an object store"),
    ("deletionPolicy", "Delete", 'spec.deletionPolicy: .* supported values: "Retain", "Purge"'),
    ("redis", {"urlSecretRef": {}}, "spec.redis.urlSecretRef.name: Required value"),
    (
        "redis",
        {"urlSecretRef": {"name": "../../bank/secrets/keys"}},
        "spec.redis.urlSecretRef.name cannot be the name of a Secret",
    ),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG_POOLS)
def test_a_wrong_worker_pool_is_refused_with_a_sentence(shop: Shop, path: str, value: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        shop.apply(with_change(pool_manifest(), path, value))


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG_QUEUES)
def test_a_wrong_job_queue_is_refused_with_a_sentence(shop: Shop, path: str, value: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        shop.apply(with_change(queue_manifest(), path, value))


def test_a_schedule_of_five_fields_is_taken_however_it_is_spaced(shop: Shop) -> None:
    shop.apply(with_change(pool_manifest(), "scaling.floors", [FLOOR, FLOOR | {"schedule": " */5  8 L MAR\t1-5 "}]))


def test_names_that_cannot_become_pods_or_keys_are_refused(shop: Shop) -> None:
    assert "at most 52 characters: choose a shorter name" in refusal(shop, pool_manifest("p" * 53))
    assert "at most 63 characters: choose a shorter name" in refusal(shop, queue_manifest("q" * 64))
    assert "must not contain a dot" in refusal(shop, queue_manifest("a.b"))
    shop.apply(pool_manifest("p" * 52), queue_manifest("q" * 63))


def test_a_queue_cannot_move_to_another_redis(shop: Shop) -> None:
    shop.apply(queue_manifest())
    moved = queue_manifest(redis={"urlSecretRef": {"name": "elsewhere"}})
    assert "spec.redis cannot be changed, because the jobs would stay behind" in refusal(shop, moved)


def test_everything_has_a_default(shop: Shop) -> None:
    shop.apply({key: value for key, value in queue_manifest().items() if key != "spec"}, pool_manifest())
    queue, pool = shop.get("jobqueue", "photos")["spec"], shop.get("workerpool", "photos")["spec"]
    assert queue["retention"]["failed"] == {"count": 10_000, "ageSeconds": 2_592_000}
    assert (queue["maxDeliveries"], queue["deletionPolicy"], queue["paused"]) == (3, "Retain", False)
    assert "circuitBreaker" not in queue
    shop.apply(queue_manifest(circuitBreaker={}))
    assert shop.get("jobqueue", "photos")["spec"]["circuitBreaker"]["failurePercent"] == 50
    assert pool["scaling"]["scaleDown"] == {"stabilizationSeconds": 30, "percentPerStep": 25, "periodSeconds": 5}
    assert (pool["minReplicas"], pool["maxReplicas"], pool["concurrency"]) == (0, 10, 1)


def test_the_pod_template_is_kept_as_it_was_written(shop: Shop) -> None:
    manifest = pool_manifest()
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "shop"}, "annotations": {"a": "b", "c": None}}
    manifest["spec"]["template"]["spec"] |= {"nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}]}
    left_out = {"env": None, "envFrom": None, "securityContext": None}
    manifest["spec"]["template"]["spec"] |= {"initContainers": None, "securityContext": None}
    manifest["spec"]["template"]["spec"]["containers"][0] |= {"resources": {"limits": {"cpu": "1500m"}}} | left_out
    shop.kubectl("create", "-f", "-", stdin=json.dumps(manifest))  # apply would leave nothing of the nulls
    assert shop.get("workerpool", "photos")["spec"]["template"] == manifest["spec"]["template"]


def test_kubectl_get_shows_the_columns_of_the_design(shop: Shop) -> None:
    shop.apply(queue_manifest(), pool_manifest())
    status = {
        "health": "Healthy", "waiting": 120, "active": 16, "delayed": 4, "failed": 0,
        "oldestJobTime": "2026-01-01T00:00:00Z", "rate": "240/s", "workers": "4/4",
    }  # fmt: skip
    patch = json.dumps({"status": status})
    shop.kubectl("patch", "jobqueue", "photos", "--subresource=status", "--type=merge", "-p", patch)
    head, row = shop.kubectl("get", "jobqueues").splitlines()
    assert head.split() == [
        "NAME", "HEALTH", "WAITING", "ACTIVE", "DELAYED", "FAILED", "OLDEST", "RATE", "WORKERS", "AGE",
    ]  # fmt: skip
    assert row.split()[:6] == ["photos", "Healthy", "120", "16", "4", "0"]
    assert row.split()[6].endswith("d"), "OLDEST counts up by itself"
    assert row.split()[7:9] == ["240/s", "4/4"]
    assert shop.kubectl("get", "wp").splitlines()[0].split() == ["NAME", "DESIRED", "READY", "BUSY", "WHY", "AGE"]
    assert "jobqueue.jobfleet.dev/photos" in shop.kubectl("get", "jobfleet", "-o", "name")
    assert shop.kubectl("get", "jq", "-o", "name").strip() == "jobqueue.jobfleet.dev/photos"


def test_kubectl_explain_teaches(shop: Shop) -> None:
    queue = " ".join(shop.kubectl("explain", "jobqueue.spec").split())
    assert "jobs are accepted but none is started; spec.runningWhenPaused says what running ones do" in queue
    assert "How many workers may die while they run the same job before it is failed as poison" in queue
    assert "do not count here. From 1 to 100. Default: 3." in queue
    scaling = " ".join(shop.kubectl("explain", "workerpool.spec.scaling").split())
    assert "How many jobs (waiting, running or due) one worker is expected to carry" in scaling
    for path in ("jobqueue.status", "workerpool.status", "workerpool.spec", "workerpool.spec.template.spec"):
        assert "<no description>" not in shop.kubectl("explain", path)


def test_kubectl_scale_sets_the_floor(shop: Shop) -> None:
    shop.apply(pool_manifest())
    shop.kubectl("scale", "workerpool/photos", "--replicas=2")
    assert shop.get("workerpool", "photos")["spec"]["minReplicas"] == 2


def test_the_committed_files_are_what_the_models_say() -> None:
    assert crd.main(["--check", "crds"]) == 0
