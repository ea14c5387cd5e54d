"""The stage: a cluster of its own with the product and a pool at zero workers, and a way to its Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from photo_demo import chart, images
from photo_demo.kubectl import Kubectl
from photo_demo.tool import tool

from bench.children import Child, running, until

CLUSTER = "bench-zero"
NAMESPACE = "zero"


@contextlib.contextmanager
def stage(say: Callable[[str], None]) -> Iterator[Kubectl]:
    """A cluster with the product and a pool at zero, for a while."""
    try:
        say("bring up a cluster and build the images")
        with ThreadPoolExecutor(1) as beside:
            building = beside.submit(images.build)
            kubeconfig = Path(tool("up", "--name", CLUSTER))
            built = building.result()
        tool("load", *map(str, built.archives), "--name", CLUSTER)
        kubectl = Kubectl(Path(tool("path", "kubectl")), kubeconfig, NAMESPACE)
        say("install the chart, and apply bench/zero/pool.yaml")
        chart.install(Path(tool("path", "helm")), kubectl, redis_image=built.redis)
        kubectl.run("create", "namespace", NAMESPACE)
        kubectl.run("apply", f"--filename={Path(__file__).with_name('pool.yaml')}")
        kubectl.run("wait", "--for=condition=Ready", "workerpool/zero", "--timeout=60s")
        yield kubectl
    finally:
        say("take the cluster down")
        tool("down", "--name", CLUSTER)


@contextlib.contextmanager
def redis_of(kubectl: Kubectl, log: Path) -> Iterator[str]:
    """The URL at which this machine finds the cluster's Redis, for a while."""
    words = kubectl.within(chart.NAMESPACE).command("port-forward", "service/jobfleet-redis", ":6379")
    with running(Child(words, log, {})) as forward:
        until(lambda: "127.0.0.1:" in log.read_text(), 20, "the way to Redis is open", forward)
        port = log.read_text().partition("127.0.0.1:")[2].split()[0]
        yield f"redis://:{chart.redis_password(kubectl)}@127.0.0.1:{port}/0"
