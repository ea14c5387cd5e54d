"""The operator as a process, against a real API server with its controllers, and a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.stage import QUICK, Process, Shop, enqueue, pool_manifest, queue_manifest, ready, start_operator, until
from jobfleet import Fleet
from jobfleet.audit import AuditEntry
from jobfleet.inspection import Inspector, QueueAddress, QueueSettings

COLLECTED_SECONDS = 75.0
"""Kubernetes' garbage collector looks for new kinds of resources every 30 s."""


@pytest.fixture(scope="module")
def operator(
    crds: None, api_server: Path, redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """One operator for all namespaces and all tests of this file."""
    folder = tmp_path_factory.mktemp("operator")
    process = start_operator("everywhere", api_server, f"redis://127.0.0.1:{redis_port}/0", folder)
    yield process
    process.end()
    log = process.log.read_text()
    assert process.popen.returncode == 0
    assert "Traceback" not in log, log


async def settings_as_they_come(inspector: Inspector, place: QueueAddress) -> AsyncIterator[QueueSettings | None]:
    """What Redis holds, again and again."""
    while True:
        yield (await inspector.snapshots([place]))[place].settings
        await asyncio.sleep(0.05)


async def test_applying_a_queue_and_a_pool_makes_a_deployment_and_a_secret(
    shop: Shop, operator: Process, redis_url: str
) -> None:
    shop.apply(queue_manifest(), pool_manifest(concurrency=4, minReplicas=1))
    await until("the Deployment has one replica", lambda: shop.replicas() == 1)
    deployment = shop.get("deployment", "photos")
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    environment = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    assert environment["JOBFLEET_QUEUES"] == "photos"
    assert environment["JOBFLEET_CONCURRENCY"] == "4"
    assert environment["JOBFLEET_WORKER"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert container["envFrom"] == [{"secretRef": {"name": "photos-jobqueue"}}]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert pod["terminationGracePeriodSeconds"] == 45
    assert pod["securityContext"]["runAsNonRoot"]
    owner = deployment["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["controller"], owner["blockOwnerDeletion"]) == ("WorkerPool", True, False)
    secret = shop.get("secret", "photos-jobqueue")
    assert set(secret["data"]) == {"JOBFLEET_REDIS_URL", "JOBFLEET_REALM"}
    await until("the status says so", lambda: ready(shop) == "True Scaling")
    assert "finalizers" not in json.dumps([shop.get("jobqueue", "photos"), shop.get("workerpool", "photos")])


async def test_the_pool_goes_from_zero_to_its_full_need_in_one_step(
    shop: Shop, operator: Process, redis_url: str
) -> None:
    shop.apply(queue_manifest(), pool_manifest(maxReplicas=8))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    generation = shop.get("deployment", "photos")["metadata"]["generation"]
    await enqueue(shop, redis_url, 100)
    await until("it has five replicas", lambda: shop.replicas() == 5)
    assert shop.get("deployment", "photos")["metadata"]["generation"] == generation + 1
    events = await until("an Event tells", lambda: shop.events("ScalingUp"))
    assert events == ["from 0 to 5 workers: backlog 100 at 20 a worker asks for 5"]
    status = await until("the status tells", lambda: shop.get("workerpool", "photos")["status"].get("lastDecision"))
    assert (status["fromReplicas"], status["toReplicas"], status["backlog"]) == (0, 5, 100)
    health = lambda: shop.get("jobqueue", "photos").get("status", {}).get("health")  # noqa: E731
    assert await until("the queue says that workers come", lambda: health() == "Starting" and health()) == "Starting"


async def test_drift_is_mended_and_fields_of_others_are_left_alone(
    shop: Shop, operator: Process, redis_url: str
) -> None:
    # A size that was set while the operator wrote is one to begin with: it goes down as one that is no longer needed.
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1, scaling=QUICK))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    shop.kubectl("annotate", "deployment", "photos", "example.com/note=mine")
    shop.kubectl("patch", "deployment", "photos", "-p", '{"spec": {"minReadySeconds": 3}}')
    shop.kubectl("set", "image", "deployment/photos", "worker=localhost/other:1")
    shop.kubectl("scale", "deployment", "photos", "--replicas=4")

    def mended() -> bool:
        spec = shop.get("deployment", "photos")["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        return image == "localhost/none:1" and spec["replicas"] == 1

    await until("image and replicas are back", mended)
    deployment = shop.get("deployment", "photos")
    assert deployment["metadata"]["annotations"]["example.com/note"] == "mine"
    assert deployment["spec"]["minReadySeconds"] == 3
    shop.kubectl("delete", "deployment", "photos")
    await until("a deleted Deployment comes back", lambda: shop.replicas() == 1)
    shop.kubectl("delete", "workerpool", "photos")
    await until("a deleted pool takes its Deployment along", lambda: shop.replicas() == -1, COLLECTED_SECONDS)


async def test_a_change_of_the_pool_reaches_the_deployment(shop: Shop, operator: Process) -> None:
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    shop.apply(pool_manifest(concurrency=9))

    def concurrency() -> str:
        container = shop.get("deployment", "photos")["spec"]["template"]["spec"]["containers"][0]
        return next(one["value"] for one in container["env"] if one["name"] == "JOBFLEET_CONCURRENCY")

    await until("its workers get nine slots", lambda: concurrency() == "9")


async def test_settings_of_the_queue_reach_redis_and_are_mended_there(
    shop: Shop, operator: Process, inspector: Inspector
) -> None:
    told = {"maxLength": 9, "rate": {"count": 5, "seconds": 60}}
    spec = {"maxDeliveries": 7, "paused": True, "limits": told, "deadLetterQueue": "graveyard"}
    shop.apply(queue_manifest(**spec), pool_manifest())
    place = QueueAddress(shop.namespace, "photos")

    async def held(wanted: int) -> QueueSettings:
        """The settings in Redis once they say so many deliveries."""
        async with asyncio.timeout(20):
            async for settings in settings_as_they_come(inspector, place):
                if settings is not None and settings.max_deliveries == wanted:
                    return settings
        raise AssertionError

    settings = await held(7)
    assert settings.paused
    assert (settings.max_length, settings.rate_count, settings.rate_ms) == (9, 5, 60_000)
    assert settings.dead_letter == "graveyard"
    await inspector.apply_settings(place, replace(settings, max_deliveries=1))
    await held(7)
    await until("paused is shown", lambda: shop.get("jobqueue", "photos")["status"]["health"] == "Paused")

    def dead_letter() -> str:
        conditions = shop.get("jobqueue", "photos")["status"].get("conditions", [])
        return next((one["reason"] for one in conditions if one["type"] == "DeadLetterReady"), "")

    await until("it is said that no such queue is there", lambda: dead_letter() == "NotFound")
    shop.apply(queue_manifest("graveyard"))
    await until("it is said that it is there now", lambda: dead_letter() == "Found")


async def test_a_deployment_that_lost_its_label_gets_it_back_and_stays_in_sight(
    shop: Shop, operator: Process, redis_url: str
) -> None:
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    label = "app.kubernetes.io/managed-by"
    shop.kubectl("label", "deployment", "photos", f"{label}-")
    await until("it is back", lambda: shop.get("deployment", "photos")["metadata"]["labels"].get(label) == "jobfleet")
    applied = f"Deployment {shop.namespace}/photos applied"
    times = operator.log.read_text().count(applied)
    await enqueue(shop, redis_url, 100)
    await until("it is scaled as before", lambda: shop.replicas() == 5)
    await until("the status follows", lambda: shop.get("workerpool", "photos")["status"].get("replicas") == 5)
    assert operator.log.read_text().count(applied) <= times + 1, "it is applied once, not in every round"


async def test_an_edit_by_hand_after_the_pool_grew_is_mended(shop: Shop, operator: Process, redis_url: str) -> None:
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 60)
    await until("it grows", lambda: shop.replicas() == 3)
    shop.kubectl("set", "image", "deployment/photos", "worker=localhost/other:1")
    image = lambda: shop.get("deployment", "photos")["spec"]["template"]["spec"]["containers"][0]["image"]  # noqa: E731
    await until("the image is back", lambda: image() == "localhost/none:1")
    await until("and the size, when the Pods of the other image have given way", lambda: shop.replicas() == 3, 60.0)


async def test_a_paused_queue_does_not_make_the_pool_grow(shop: Shop, operator: Process, redis_url: str) -> None:
    shop.apply(queue_manifest(paused=True), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 100)
    await until("the jobs are seen", lambda: shop.get("jobqueue", "photos")["status"].get("waiting") == 100)
    assert shop.replicas() == 0
    shop.apply(queue_manifest(paused=False))
    await until("it grows when the pause ends", lambda: shop.replicas() == 5)


async def test_without_jobs_the_pool_goes_back_to_zero_but_not_before_its_window(
    shop: Shop, operator: Process, redis_url: str, inspector: Inspector
) -> None:
    slow = {"scaleDown": {"stabilizationSeconds": 10, "percentPerStep": 100, "periodSeconds": 1}}
    shop.apply(queue_manifest(), pool_manifest(scaling=slow))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 40)
    await until("it grows", lambda: shop.replicas() == 2)
    await inspector.purge(QueueAddress(shop.namespace, "photos"))
    emptied = asyncio.get_running_loop().time()
    await until("it is back at zero", lambda: shop.replicas() == 0)
    assert asyncio.get_running_loop().time() - emptied > 6
    told = await until("an Event tells", lambda: shop.events("ScalingDown"))
    assert told == ["from 2 to 0 workers: backlog 0 asks for 0"]


async def test_a_missing_queue_is_named_and_its_coming_is_noticed(shop: Shop, operator: Process) -> None:
    shop.apply(pool_manifest(minReplicas=1))
    await until("the pool says what is missing", lambda: ready(shop) == "False QueueNotFound")
    message = shop.condition("workerpool", "photos", "Ready")["message"]
    assert message == "spec.queues names photos, and there is no such JobQueue: apply it"
    assert shop.replicas() == -1
    shop.apply(queue_manifest())
    await until("the fleet comes up", lambda: shop.replicas() == 1 and ready(shop) == "True Scaling")


@pytest.mark.parametrize(
    ("typo", "says"),
    [
        ({"ports": [{"containerPort": 123456}]}, "containerPort"),
        ({"comand": ["jobfleet"]}, "comand: field not declared in schema"),
        ({"command": "jobfleet"}, "command: expected list"),
        ({"resources": {"requests": {"cpu": "lots"}}}, "quantities must match"),
    ],
)
async def test_a_template_that_the_api_server_refuses_is_a_condition(
    shop: Shop, operator: Process, typo: dict[str, Any], says: str
) -> None:
    bad = pool_manifest()
    bad["spec"]["template"]["spec"]["containers"][0] |= typo
    shop.apply(queue_manifest(), bad)
    await until("the pool says why", lambda: ready(shop) == "False DeploymentRefused")
    assert says in shop.condition("workerpool", "photos", "Ready")["message"]
    shop.apply(pool_manifest())
    await until("a correction is taken at once", lambda: ready(shop) == "True Scaling", 25)


async def test_a_deployment_of_somebody_else_is_never_touched(shop: Shop, operator: Process) -> None:
    shop.kubectl("create", "deployment", "photos", "--image=localhost/theirs:1", "--replicas=3")
    before = shop.get("deployment", "photos")
    shop.apply(queue_manifest(), pool_manifest())
    await until("the pool says so", lambda: ready(shop) == "False DeploymentRefused")
    assert "does not belong to this WorkerPool" in shop.condition("workerpool", "photos", "Ready")["message"]
    after = shop.get("deployment", "photos")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert "ownerReferences" not in after["metadata"]


async def test_pods_that_cannot_start_are_named_in_a_condition(shop: Shop, operator: Process) -> None:
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    (pod,) = await until("a Pod is there", lambda: shop.items("pods"))
    name = pod["metadata"]["name"]
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    status = {
        "containerStatuses": [
            {
                "name": "worker", "image": "a", "imageID": "", "ready": False, "restartCount": 0,
                "state": {"waiting": waiting},
            }
        ]
    }  # fmt: skip
    patch = json.dumps({"status": status})
    shop.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)
    health = lambda: shop.condition("workerpool", "photos", "WorkersHealthy")  # noqa: E731
    await until("the condition turns", lambda: health().get("status") == "False")
    assert health()["reason"] == "ImagePullBackOff"
    assert f"Pod {name} cannot run: ImagePullBackOff: Back-off pulling image" in health()["message"]
    assert ready(shop) == "True Scaling"


async def test_deleting_a_queue_keeps_its_jobs_unless_it_says_purge(
    shop: Shop, operator: Process, redis_url: str, inspector: Inspector
) -> None:
    shop.apply(queue_manifest(), queue_manifest("kept"))
    place = QueueAddress(shop.namespace, "photos")

    async def waiting() -> int:
        return (await inspector.snapshots([place]))[place].waiting

    await until("the queue is served", lambda: shop.get("jobqueue", "photos").get("status"))
    await enqueue(shop, redis_url, 12)
    shop.kubectl("delete", "jobqueue", "photos")
    await until("its Secret goes with it", lambda: not shop.get("secret", "photos-jobqueue"), COLLECTED_SECONDS)
    assert await waiting() == 12
    shop.apply(queue_manifest(deletionPolicy="Purge"))
    await until("it is served again", lambda: shop.get("jobqueue", "photos").get("status", {}).get("waiting") == 12)
    shop.kubectl("delete", "jobqueue", "photos")
    events = await until("the purge is told", lambda: shop.events("Purged"))
    assert events == ["deletionPolicy is Purge: 12 jobs were deleted with the JobQueue"]
    assert await waiting() == 0


async def audit_of(shop: Shop, redis_url: str) -> dict[str, AuditEntry]:
    """The oldest entry of each verb in the queue's audit."""
    async with Fleet(redis_url, realm=shop.namespace) as fleet:
        return {entry.verb: entry for entry in await fleet.queue("photos").audit()}


async def test_what_the_operator_does_to_a_queue_is_told_in_its_audit(
    shop: Shop, operator: Process, redis_url: str, inspector: Inspector
) -> None:
    shop.apply(queue_manifest(deletionPolicy="Purge"), pool_manifest(maxReplicas=8))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    assert await audit_of(shop, redis_url) == {}, "the first settings are what a queue has that was told nothing"
    await enqueue(shop, redis_url, 100)
    await until("it has five replicas", lambda: shop.replicas() == 5)
    decision = await until("the status tells", lambda: shop.get("workerpool", "photos")["status"].get("lastDecision"))
    shop.apply(queue_manifest(deletionPolicy="Purge", paused=True))
    await until("the pause is shown", lambda: shop.get("jobqueue", "photos")["status"]["health"] == "Paused")
    shop.kubectl("delete", "jobqueue", "photos")
    await until("the purge is told", lambda: shop.events("Purged"))
    told = await audit_of(shop, redis_url)
    assert {entry.who for entry in told.values()} == {"operator/everywhere"}
    scale, pause, purge = told["scale"], told["pause"], told["purge"]
    number = f"decision 1 of term {decision['term']}"
    assert (scale.count, scale.what) == (5, f"WorkerPool photos from 0 to 5 workers, {number}")
    assert scale.why == "backlog 100 at 20 a worker asks for 5"
    cause = "JobQueue photos, generation 2"
    assert (pause.what, pause.why) == ("paused 0->1", f"{cause}, by kubectl-client-side-apply")
    assert (purge.count, purge.why) == (100, f"{cause}: deleted, deletionPolicy is Purge")


async def test_what_is_only_recommended_is_not_told_in_the_audit(shop: Shop, operator: Process, redis_url: str) -> None:
    shop.apply(queue_manifest(), pool_manifest(mode="Recommend", minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    await enqueue(shop, redis_url, 100)
    await until("it is recommended", lambda: any("to 5 workers" in event for event in shop.events("Recommended")))
    assert await audit_of(shop, redis_url) == {}
