"""The plant of a run: API server with etcd and controllers, kwok for the Pods, Redis, and the operator as a process.

All in a folder of its own, on free ports, ended by pid.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.children import Broken, Child, running
from bench.operator import audit
from bench.redis_server import RedisServer
from cluster_tool import api_only, toolchain

CONTROLLERS = {"kube-api-qps": "500", "kube-api-burst": "1000"}
"""Their own default of 20 requests a second is for small clusters."""


class Plant:
    """What runs, and how to start an operator in it."""

    def __init__(self, folder: Path, server: api_only.ApiServer, redis: RedisServer) -> None:
        self._folder, self._server = folder, server
        self.redis = redis
        self.kubeconfig = server.kubeconfig
        self._way_in = api_only.kubeconfig_of(server, audit.OPERATOR)
        self.log = audit.Log(folder / "audit.log")
        self._started = 0

    def play_node(self) -> Child:
        """kwok, which makes the Pods Running and lets them go."""
        words = [
            "--kubeconfig",
            str(self.kubeconfig),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        ]
        return Child([str(toolchain.program("kwok")), *words], self._folder / "kwok.log", {})

    def operator(self) -> Operator:
        """Start an operator for all namespaces."""
        self._started += 1
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        variables = {
            "KUBECONFIG": str(self._way_in),
            "JOBFLEET_REDIS_URL": self.redis.url,
            "JOBFLEET_HEALTH_PORT": str(port),
            "POD_NAME": f"operator-{self._started}",
        }
        command = [sys.executable, "-m", "jobfleet_operator"]
        return Operator(Child(command, self._folder / f"operator-{self._started}.log", variables), port)


class Operator:
    """One operator process."""

    def __init__(self, child: Child, port: int) -> None:
        self.child, self._port = child, port

    def ready(self) -> bool:
        """Whether its readiness probe says so."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            if not self.child.alive:
                raise Broken(f"the operator ended\n{self.child.tail()}") from None
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def plant(folder: Path) -> Iterator[Plant]:
    """Everything but the operator, for a while."""
    policy = folder / "audit.json"
    policy.write_text(json.dumps(audit.POLICY))
    watched = {"audit-policy-file": policy, "audit-log-path": folder / "audit.log"}
    server = api_only.ApiServer(
        folder / "api", {"kube-apiserver": watched, "kube-controller-manager": dict(CONTROLLERS)}
    )
    try:
        api_only.up(server)
        with RedisServer(folder) as redis:
            built = Plant(folder, server, redis)
            with running(built.play_node()):
                yield built
    finally:
        server.down()
