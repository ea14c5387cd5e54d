"""`external.metrics.k8s.io` on real Pods: the API server asks the operator by its Service, and an HPA scales by it."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from photo_demo.kubectl import Kubectl

from fixtures.certificates import Authority

from .arena import Arena, job_code, pool, queue
from .forward import forwarded
from .polling import eventually
from .product import Product

API = "/apis/external.metrics.k8s.io/v1beta1"
SERVICE = "apiservice/v1beta1.external.metrics.k8s.io"


@pytest.fixture
def served(installed: Product) -> Iterator[Product]:
    """The release with the chart's option on, for the time of a test."""
    installed.install(**{"externalMetrics.enabled": "true"})
    installed.system.run("wait", "--for=condition=Available", SERVICE, "--timeout=60s")
    yield installed
    installed.install()


def ask(kubectl: Kubectl, metric: str, *words: str) -> str:
    return kubectl.try_run("get", "--raw", f"{API}/namespaces/{kubectl.namespace}/{metric}", *words)


def values(answer: str) -> list[tuple[dict[str, str], str]]:
    return [(one["metricLabels"], one["value"]) for one in json.loads(answer)["items"]]


def test_an_hpa_scales_by_what_only_those_with_the_right_may_read(
    served: Product, arena: Arena, tmp_path: Path
) -> None:
    arena.apply(job_code(), queue(), pool(mode="Recommend", minReplicas=1, maxReplicas=4))
    jobs = [arena.fleet.enqueue_sync("held", "hold_on", {}) for _ in range(3)]
    wanted = "jobfleet_pool_wanted_workers"
    eventually(lambda: values(ask(arena.kubectl, wanted)) == [({"pool": "held"}, "3")], "three are wanted")
    assert values(ask(arena.kubectl, "jobfleet_queue_backlog")) == [({"queue": "held"}, "3")]
    reads_as_a_stranger(arena)
    answers_the_api_server_only(served, tmp_path)

    arena.apply(autoscaler(wanted))
    eventually(lambda: len(arena.pods()) == 3, "the HPA has made it three", seconds=150)
    arena.let_go()
    assert [job.attempt for job in arena.until_completed(*jobs)] == [1] * 3


def reads_as_a_stranger(arena: Arena) -> None:
    """RBAC of the API server decides who may read, as for anything else."""
    user = f"system:serviceaccount:{arena.kubectl.namespace}:reader"
    backlog = "jobfleet_queue_backlog"
    assert "Forbidden" in ask(arena.kubectl, backlog, f"--as={user}")
    rule = ("--verb=get", "--verb=list", "--resource=*.external.metrics.k8s.io")
    arena.kubectl.run("create", "role", "reader", *rule)
    arena.kubectl.run("create", "rolebinding", "reader", "--role=reader", f"--user={user}")
    eventually(lambda: "metricLabels" in ask(arena.kubectl, backlog, f"--as={user}"), "now it may")


def answers_the_api_server_only(served: Product, folder: Path) -> None:
    """Neither without a client certificate nor with one that another authority signed."""
    pair = Authority().issue("front-proxy-client")
    (folder / "own.pem").write_text(pair.certificate + pair.key)
    own = b64decode(served.system.json("get", "secret/jobfleet-metrics")["data"]["tls.crt"]).decode()
    with forwarded(served.system, "jobfleet-metrics", 443) as port:
        for client in (None, folder / "own.pem"):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if client is not None:
                context.load_cert_chain(client)
            server, answer = converse(context, port)
            assert ssl.DER_cert_to_PEM_cert(server).split() == own.split(), "it is the operator"
            assert answer == b""


def converse(context: ssl.SSLContext, port: int) -> tuple[bytes, bytes]:
    """Certificate of the server, and its answer to a request; with TLS 1.3 a refusal comes only when one reads."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        server = connection.getpeercert(binary_form=True) or b""
        try:
            connection.sendall(f"GET {API} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return server, connection.recv(1000)
        except (ssl.SSLError, ConnectionError):
            return server, b""


def autoscaler(metric: str) -> dict[str, Any]:
    external = {
        "metric": {"name": metric, "selector": {"matchLabels": {"pool": "held"}}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "held"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "held"},
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [{"type": "External", "external": external}],
        },
    }
