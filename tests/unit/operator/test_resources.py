"""The manifests: what is injected, what of the user's stays."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from jobfleet_operator import resources
from unit.operator.people import pool, queue


def made(template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    subject = pool(**(spec | ({"template": template} if template else {})))
    assert subject.spec is not None
    return resources.deployment(subject, subject.spec, 3, "c0ffee")


def pod_spec(template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(template, **spec)["spec"]["template"]["spec"]
    return found


def test_the_same_pool_gives_the_same_manifest_and_replicas_do_not_count() -> None:
    subject = pool()
    assert subject.spec is not None
    one, other = (resources.deployment(subject, subject.spec, replicas, "c0ffee") for replicas in (1, 9))
    assert one["metadata"] == other["metadata"]
    changed = made(concurrency=2)
    assert changed["metadata"]["annotations"] != one["metadata"]["annotations"]


def test_the_users_template_is_not_changed_in_place() -> None:
    subject = pool()
    assert subject.spec is not None
    resources.deployment(subject, subject.spec, 1, "c0ffee")
    assert subject.template == {"spec": {"containers": [{"name": "main", "image": "a"}]}}


def test_the_container_named_worker_is_the_one_that_is_equipped() -> None:
    template = {"spec": {"containers": [{"name": "side", "image": "s"}, {"name": "worker", "image": "w"}]}}
    side, worker = pod_spec(template)["containers"]
    assert "env" not in side
    assert side["securityContext"] == resources.CONTAINER_SECURITY
    assert {"name": "JOBFLEET_POOL", "value": "photos"} in worker["env"]
    assert (side.get("terminationMessagePolicy"), worker["terminationMessagePolicy"]) == (None, "FallbackToLogsOnError")


def test_what_the_user_says_stays() -> None:
    container = {
        "name": "main", "image": "a",
        "env": [{"name": "MINE", "value": "1"}, {"name": "JOBFLEET_QUEUES", "value": "wrong"}],
        "envFrom": [{"configMapRef": {"name": "mine"}}],
        "livenessProbe": {"exec": {"command": ["true"]}},
        "securityContext": {"allowPrivilegeEscalation": True},
    }  # fmt: skip
    template = {
        "metadata": {"labels": {"team": "shop"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [container], "terminationGracePeriodSeconds": 600,
            "securityContext": {"runAsNonRoot": False}, "automountServiceAccountToken": True,
        },
    }  # fmt: skip
    manifest = made(template)
    spec, meta = manifest["spec"]["template"]["spec"], manifest["spec"]["template"]["metadata"]
    found = spec["containers"][0]
    assert [one["value"] for one in found["env"] if one["name"] == "MINE"] == ["1"]
    assert [one["value"] for one in found["env"] if one["name"] == "JOBFLEET_QUEUES"] == ["photos"]
    assert found["envFrom"] == [{"configMapRef": {"name": "mine"}}, {"secretRef": {"name": "photos-jobqueue"}}]
    assert found["livenessProbe"] == {"exec": {"command": ["true"]}}
    assert found["securityContext"] == {"allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"]}}
    assert spec["securityContext"]["runAsNonRoot"] is False
    assert (spec["terminationGracePeriodSeconds"], spec["automountServiceAccountToken"]) == (600, True)
    assert meta["annotations"] == {"a": "b", "jobfleet.dev/connection": "c0ffee"}
    assert meta["labels"]["team"] == "shop"


@pytest.mark.parametrize(("said", "port"), [("9090", 9090), ("0", 8081), ("70000", 8081), ("http", 8081), (None, 8081)])
def test_the_worker_answers_probes_where_the_template_says(said: str | None, port: int) -> None:
    variable = {"name": "JOBFLEET_HEALTH_PORT", "value": said} if said else {"name": "JOBFLEET_HEALTH_PORT"}
    (found,) = pod_spec({"spec": {"containers": [{"name": "main", "image": "a", "env": [variable]}]}})["containers"]
    assert [one["value"] for one in found["env"] if one["name"] == "JOBFLEET_HEALTH_PORT"] == [str(port)]
    probes = [found[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")]
    assert probes == [port] * 3


def test_a_container_that_is_to_be_root_or_privileged_is_not_asked_for_the_contrary() -> None:
    """An init container as root hands a volume to the worker's user; the API server refuses half of `privileged`."""
    root = {"name": "first", "image": "a", "securityContext": {"runAsUser": 0}}
    side = {"name": "side", "image": "a", "securityContext": {"privileged": True}}
    template = {"spec": {"initContainers": [root], "containers": [{"name": "worker", "image": "a"}, side]}}
    spec = pod_spec(template)
    assert spec["initContainers"][0]["securityContext"]["runAsNonRoot"] is False
    assert "allowPrivilegeEscalation" not in spec["containers"][1]["securityContext"]
    assert spec["containers"][0]["securityContext"] == resources.CONTAINER_SECURITY
    assert spec["securityContext"] == resources.POD_SECURITY
    template["spec"]["securityContext"] = {"runAsNonRoot": True}
    assert "runAsNonRoot" not in pod_spec(template)["initContainers"][0]["securityContext"], "the user says so"
    template["spec"]["securityContext"] = {"runAsUser": 0}
    assert pod_spec(template)["securityContext"]["runAsNonRoot"] is False


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"terminationGracePeriodSeconds": "60"}, "terminationGracePeriodSeconds"),
        ({"containers": [{"name": "main", "image": "a", "env": ["A=1"]}]}, "containers.0.env.0"),
        ({"initContainers": {"name": "first"}}, "initContainers"),
        ({"securityContext": "root"}, "securityContext"),
    ],
)
def test_a_template_that_no_manifest_can_be_made_of_is_told_and_not_tried(spec: dict[str, Any], field: str) -> None:
    """The CRD refuses it; what is older than the CRD gets a condition."""
    containers = [{"name": "main", "image": "a"}]
    seen = pool(template={"spec": {"containers": containers} | spec})
    assert seen.spec is None
    assert seen.problem.startswith(f"spec.template.spec.{field}: ")


def test_the_grace_period_fits_the_drain_time() -> None:
    assert pod_spec(drainSeconds=120)["terminationGracePeriodSeconds"] == 135


def test_the_selector_matches_the_pods() -> None:
    manifest = made()
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert manifest["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_secret_holds_the_connection_and_nothing_else() -> None:
    secret = resources.connection_secret(queue(), "redis://:pw@redis.jobs:6379/0")
    told = {key: b64decode(value).decode() for key, value in secret["data"].items()}
    assert told == {"JOBFLEET_REDIS_URL": "redis://:pw@redis.jobs:6379/0", "JOBFLEET_REALM": "shop"}
    assert secret["metadata"]["name"] == "photos-jobqueue"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-photos"
