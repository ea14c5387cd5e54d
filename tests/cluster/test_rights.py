"""The operator and the workers have no more rights than they need."""

from __future__ import annotations

import json

import pytest
from photo_demo.kubectl import Kubectl

from .arena import Arena
from .polling import eventually

OPERATOR = "system:serviceaccount:jobfleet-system:jobfleet"
WRITE = "import sys; open(sys.argv[1] + '/written', 'w')"
WHO = "import os; print(os.getuid(), os.getgid())"
READ_ONLY = "Read-only file system"


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("get", "secrets", True),
        ("list", "secrets", False),
        ("watch", "secrets", False),
        ("delete", "secrets", False),
        ("delete", "pods", True),
        ("create", "pods", False),
        ("delete", "replicasets.apps", True),
        ("patch", "replicasets.apps", False),
        ("delete", "poddisruptionbudgets.policy", True),
        ("create", "pods/exec", False),
        ("delete", "deployments.apps", False),
        ("patch", "deployments.apps", True),
        ("delete", "jobqueues.jobfleet.dev", False),
        ("patch", "jobqueues.jobfleet.dev", False),
        ("patch", "jobqueues/status.jobfleet.dev", True),
        ("get", "jobqueues/status.jobfleet.dev", False),
        ("patch", "deployments/scale.apps", False),
        ("patch", "events", False),
        ("create", "customresourcedefinitions.apiextensions.k8s.io", False),
        ("list", "nodes", False),
        ("create", "clusterrolebindings.rbac.authorization.k8s.io", False),
        ("update", "leases.coordination.k8s.io", False),
    ],
)
def test_the_operator_may_do_this_and_not_that(product: Kubectl, verb: str, resource: str, allowed: bool) -> None:
    kind, _, group = resource.partition(".")
    name, _, subresource = kind.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": OPERATOR,
            "resourceAttributes": {
                "namespace": "default",
                "verb": verb,
                "group": group,
                "resource": name,
                "subresource": subresource,
            },
        },
    }
    answer = json.loads(product.run("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
    assert answer["status"]["allowed"] is allowed


def test_the_operator_runs_as_nobody_and_cannot_write_to_its_root(product: Kubectl) -> None:
    assert product.run("exec", "deployment/jobfleet", "--", "python3", "-c", WHO).split() == ["65532", "65532"]
    for folder in ("/", "/tmp", "/app", "/opt/jobfleet"):
        assert READ_ONLY in product.try_run("exec", "deployment/jobfleet", "--", "python3", "-c", WRITE, folder)


def test_workers_run_under_the_restricted_standard_and_without_a_token(arena: Arena) -> None:
    arena.set_up(maxReplicas=1, minReplicas=1)
    (pod,) = eventually(arena.pods, "there is a worker")
    security = {**pod["spec"].get("securityContext", {}), **pod["spec"]["containers"][0]["securityContext"]}
    assert security["runAsNonRoot"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    assert security["seccompProfile"]["type"] == "RuntimeDefault"
