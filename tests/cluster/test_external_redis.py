"""A Redis that is not the chart's: with TLS by an authority of its own and a password, in another namespace."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from photo_demo.kubectl import Kubectl

from fixtures.certificates import Authority
from jobfleet import Fleet

from .arena import Arena, job_code, pool, queue
from .forward import forwarded
from .polling import eventually
from .product import RESTRICTED

SERVER = "--port 0 --tls-port 6379 --tls-auth-clients no --tls-cert-file /tls/tls.crt --tls-key-file /tls/tls.key"
LOG_IN = ["redis-cli", "--tls", "--cacert", "/tls/ca.crt"]
SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass
class Store:
    """That Redis."""

    kubectl: Kubectl
    authority: Authority
    password: str

    def url(self, password: str, host: str = "", port: int = 6379) -> str:
        """How clients name it: the authority that they trust is in the URL, so that no file has to be mounted."""
        where = host or f"store.{self.kubectl.namespace}.svc"
        return f"rediss://:{password}@{where}:{port}/0?ssl_ca_data={quote(self.authority.pem, safe='')}"

    def run(self, *command: str) -> str:
        """Ask it something, with the present password."""
        login = [*LOG_IN, "-a", self.password, "--no-auth-warning", "-h", f"store.{self.kubectl.namespace}.svc"]
        return self.kubectl.run("exec", "store", "--", *login, *command)

    @contextmanager
    def client(self, arena: Arena, port: int) -> Iterator[Arena]:
        """The arena with jobs in this Redis, which is reached by a port of this machine."""
        fleet = Fleet(self.url(self.password, "localhost", port), realm=arena.kubectl.namespace)
        try:
            yield Arena(arena.kubectl, fleet)
        finally:
            fleet.close_sync()


@pytest.fixture
def store(arena: Arena) -> Iterator[Store]:
    """Starts it."""
    kubectl = arena.kubectl.within(f"store-{secrets.token_hex(3)}")
    kubectl.run("create", "namespace", kubectl.namespace)
    kubectl.run("label", "namespace", kubectl.namespace, RESTRICTED)
    found = Store(kubectl, Authority(), secrets.token_hex(8))
    pair = found.authority.issue(f"store.{kubectl.namespace}.svc", "localhost")
    tls = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": found.authority.pem}
    container = {
        "name": "redis",
        "image": "localhost/redis:dev",
        "command": ["redis-server", *SERVER.split(), "--save", "", "--requirepass", found.password],
        "securityContext": SECURITY,
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "store", "labels": {"app": "store"}},
        "spec": {"containers": [container], "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}]},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "store"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": 6379}]},
    }
    for each in (secret("tls", **tls), pod, service):
        kubectl.run("apply", "--filename=-", stdin=json.dumps(each))
    kubectl.run("wait", "--for=condition=Ready", "pod/store", "--timeout=60s")
    try:
        yield found
    finally:
        kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")


def secret(name: str, **data: str) -> dict[str, Any]:
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def ready(arena: Arena) -> dict[str, Any]:
    """The condition Ready of the queue."""
    conditions = arena.kubectl.json("get", "jobqueue/held").get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def test_a_wrong_password_is_said_and_a_right_one_taken_and_a_changed_one_loses_no_job(
    arena: Arena, store: Store
) -> None:
    arena.apply(
        secret("store-url", url=store.url("wrong")),
        job_code(),
        queue(redis={"urlSecretRef": {"name": "store-url", "key": "url"}}),
        pool(minReplicas=1, maxReplicas=2, rollout={"maxSurge": 2}),
    )
    said = eventually(lambda: ready(arena).get("reason") == "RedisUnreachable" and ready(arena), "the queue says so")
    assert said["status"] == "False"
    assert "password" in said["message"]
    assert "wrong" not in said["message"].replace("WRONGPASS", "")
    assert "BEGIN" not in said["message"]

    arena.apply(secret("store-url", url=store.url(store.password)))
    eventually(lambda: ready(arena).get("status") == "True", "the queue is well", seconds=30)
    eventually(lambda: arena.condition("Ready").get("status") == "True", "and its pool")

    with forwarded(store.kubectl, "store", 6379) as port:
        with store.client(arena, port) as here:
            rotate(here, store)
            (job_id,) = here.hold(20)
            here.until_active(1)
        fresh = secrets.token_hex(8)
        store.run("ACL", "SETUSER", "default", "resetpass", f">{fresh}")
        store.password = fresh
        store.run("CLIENT", "KILL", "TYPE", "normal")
        arena.apply(secret("store-url", url=store.url(fresh)))
        with store.client(arena, port) as here:
            here.until_completed(job_id, seconds=150)
            assert here.status.failed == 0, "without notice a job may run again, and none is lost"


def rotate(arena: Arena, store: Store) -> None:
    """As one does: both passwords for a while, the Secret, and the old one away when nobody needs it any more."""
    (long,) = arena.hold(75)
    arena.until_active(1)
    old = arena.pod_names()
    before, fresh = store.password, secrets.token_hex(8)
    store.run("ACL", "SETUSER", "default", f">{fresh}")
    store.password = fresh

    arena.apply(secret("store-url", url=store.url(fresh)))

    eventually(lambda: arena.pod_names() - old, "a worker with the new URL comes", seconds=90)
    (job,) = arena.until_completed(*arena.hold(0.1))
    assert job.result not in old, "it works by the new one, beside the old one that is busy"
    (job,) = arena.until_completed(long, seconds=120)
    assert (job.attempt, job.lost, job.result in old) == (1, 0, True)
    eventually(lambda: not arena.pod_names() & old, "the old worker has gone")
    store.run("ACL", "SETUSER", "default", f"<{before}")
    jobs = arena.hold(*[0.2] * 10)
    assert [job.attempt for job in arena.until_completed(*jobs)] == [1] * 10
    assert (arena.status.failed, arena.status.reclaimed_total) == (0, 0)
