"""What the api tests play with: a namespace, operators as processes, and a node played by hand.

The API server has real controllers and no kubelet: Pods stay Pending until `Node` binds them, starts
a real worker process for each, and reports them Running and ready, as a kubelet would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster_tool import ports
from fixtures.api_server import Kubectl
from jobfleet import Fleet, JobOptions
from jobfleet.inspection import Inspector, QueueAddress, QueueSnapshot

APP = Path(__file__).parent / "app"
"""Folder of the module that the worker processes import."""

PATIENCE_SECONDS = 60.0

QUICK = {"scaleDown": {"stabilizationSeconds": 2, "percentPerStep": 100, "periodSeconds": 1}}
"""A pool's `scaling` that shrinks within seconds."""


async def until(what: str, check: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Look until `check` (called in a thread) returns something true; return that. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := await asyncio.to_thread(check):
                return found
        except (KeyError, IndexError) as error:  # what it looks into is not all there yet
            found = error
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what} ({found!r})"
        await asyncio.sleep(0.05)


def pool_manifest(name: str = "photos", **spec: Any) -> dict[str, Any]:
    """A WorkerPool of one container; `spec` overrides."""
    container = {"name": "worker", "image": "localhost/none:1", "command": ["jobfleet", "worker", "shop_jobs:fleet"]}
    template = {"spec": {"containers": [container]}}
    return {
        "apiVersion": "jobfleet.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name},
        "spec": {"queues": ["photos"], "template": template} | spec,
    }


def queue_manifest(name: str = "photos", **spec: Any) -> dict[str, Any]:
    """A JobQueue."""
    return {
        "apiVersion": "jobfleet.dev/v1alpha1",
        "kind": "JobQueue",
        "metadata": {"name": name},
        "spec": spec,
    }


@dataclass
class Shop:
    """One namespace and everything in it."""

    namespace: str
    kubectl_: Kubectl

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.kubectl_("--namespace", self.namespace, *words, stdin=stdin)

    def apply(self, *manifests: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object, or {} when there is none."""
        text = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else {}

    def items(self, kind: str, *words: str) -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", kind, "-o", "json", *words))["items"]

    def replicas(self, name: str = "photos") -> int:
        """Replicas of the Deployment, -1 when there is none."""
        return self.get("deployment", name).get("spec", {}).get("replicas", -1)

    def condition(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        """The condition of this type, or {}."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == type_), {})

    def events(self, reason: str) -> list[str]:
        """Messages of the Events with this reason."""
        return [event["message"] for event in self.items("events") if event["reason"] == reason]


@dataclass
class Process:
    """An operator or a worker, with its log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    health_port: int = 0

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def signal(self, number: int) -> None:
        if self.alive:
            self.popen.send_signal(number)

    def end(self, seconds: float = 15.0) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def start(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> Process:
    """Start a process that logs to a file of its name."""
    log = folder / f"{name}.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("JOBFLEET_")}
    with log.open("ab") as out:
        popen = subprocess.Popen(
            command, stdout=out, stderr=out, env=clean | environment, cwd=folder, start_new_session=True
        )
    return Process(name, popen, log)


def start_operator(name: str, kubeconfig: Path, redis_url: str, folder: Path, **more: str) -> Process:
    """An operator process for all namespaces, unless `more` (further variables) says otherwise."""
    (port,) = ports.free_ports(1)
    process = start(
        name,
        [sys.executable, "-m", "jobfleet_operator"],
        folder,
        {
            "KUBECONFIG": str(kubeconfig),
            "JOBFLEET_REDIS_URL": redis_url,
            "JOBFLEET_HEALTH_PORT": str(port),
            "POD_NAME": name,
        }
        | more,
    )
    process.health_port = port
    return process


@dataclass
class Node:
    """A node played by hand: it runs the Pods of a shop as worker processes."""

    shop: Shop
    folder: Path
    name: str
    workers: dict[str, Process] = field(default_factory=dict)
    broken: bool = False
    """Whether Pods that come now never start."""
    leaving: bool = False
    interrupted: list[str] = field(default_factory=list)
    """Pods that were told to end while their worker held a job, as the test's own probe says."""

    def let_go(self) -> None:
        """End the jobs that `hold` a slot."""
        (self.folder / "let-go").touch()

    def join(self) -> None:
        self.shop.kubectl("apply", "-f", "-", stdin=f"{{apiVersion: v1, kind: Node, metadata: {{name: {self.name}}}}}")

    def leave(self) -> None:
        for worker in self.workers.values():
            worker.end(seconds=5.0)
        self.shop.kubectl("delete", "node", self.name, "--wait=false")

    async def run(self, busy: Callable[[str], Awaitable[bool]] | None = None) -> None:
        """Play until the node is `leaving`. `busy` says whether the worker of a Pod holds a job at this moment."""
        while not self.leaving:
            for pod in await asyncio.to_thread(self.shop.items, "pods"):
                try:
                    await self._care_for(pod, busy)
                except AssertionError as error:
                    name = pod["metadata"]["name"]
                    if not any(
                        word in str(error) for word in (f'pods "{name}" not found', f"pod {name} is being deleted")
                    ):
                        raise  # else it went meanwhile
            await asyncio.sleep(0.1)

    async def _care_for(self, pod: dict[str, Any], busy: Callable[[str], Awaitable[bool]] | None) -> None:
        name = pod["metadata"]["name"]
        if pod["status"].get("phase") in {"Failed", "Succeeded"}:
            return
        if not pod["spec"].get("nodeName"):
            await asyncio.to_thread(self._bind, name)
        elif pod["metadata"].get("deletionTimestamp"):
            if busy is not None and name in self.workers and await busy(name):
                self.interrupted.append(name)
            worker = self.workers.pop(name, None)
            if worker is not None:
                await asyncio.to_thread(worker.end)
            await asyncio.to_thread(
                self.shop.kubectl, "delete", "pod", name, "--force", "--grace-period=0", "--ignore-not-found"
            )
        elif name not in self.workers and not self.broken:
            self.workers[name] = start(name, WORKER, self.folder, self._env(pod))
            await asyncio.to_thread(self.report, name, "Running")

    def _bind(self, name: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": self.name},
        }
        path = f"/api/v1/namespaces/{self.shop.namespace}/pods/{name}/binding"
        self.shop.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))

    def report(self, name: str, phase: str, **status: Any) -> None:
        """Report a phase of a Pod; a running one is ready."""
        ready = "True" if phase == "Running" else "False"
        told = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]} | status
        patch = json.dumps({"status": told})
        self.shop.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)

    def _env(self, pod: dict[str, Any]) -> dict[str, str]:
        """The container's environment, as a kubelet would make it from the Pod and its Secrets."""
        container = pod["spec"]["containers"][0]
        found = {"PYTHONPATH": os.pathsep.join([str(APP), os.environ.get("PYTHONPATH", "")])}
        for source in container.get("envFrom", []):
            encoded = self.shop.get("secret", source["secretRef"]["name"])["data"]
            found |= {key: decode(value) for key, value in encoded.items()}
        for variable in container.get("env", []):
            path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            found[variable["name"]] = pod["metadata"]["name"] if path == "metadata.name" else variable["value"]
        found["JOBFLEET_HEALTH_PORT"] = str(ports.free_ports(1)[0])
        return found


WORKER = [str(Path(sys.executable).with_name("jobfleet")), "worker", "shop_jobs:fleet"]


def decode(encoded: str) -> str:
    """The text of a Secret's value."""
    from base64 import b64decode

    return b64decode(encoded).decode()


async def enqueue(shop: Shop, redis_url: str, jobs: int, seconds: float | None = 0.0, delay: float = 0.0) -> None:
    """Put jobs into the queue `photos` of the shop, as a producer does; of None seconds: they run until let go."""
    job = ("hold", {}) if seconds is None else ("nap", {"seconds": seconds})
    fleet = Fleet(redis_url, realm=shop.namespace)
    try:
        await fleet.send("photos", [(*job, JobOptions(attempts=1, delay=delay))] * jobs)
    finally:
        await fleet.close()


async def occupy(shop: Shop, redis_url: str, inspector: Inspector, jobs: int) -> QueueSnapshot:
    """Enqueue jobs that run until the node lets go, and see them all run."""
    await enqueue(shop, redis_url, jobs, seconds=None)
    async for snapshot in snapshots(inspector, shop, PATIENCE_SECONDS):
        if snapshot.active == jobs:
            break
    return snapshot


async def look(inspector: Inspector, shop: Shop) -> QueueSnapshot:
    place = QueueAddress(shop.namespace, "photos")
    return (await inspector.snapshots([place]))[place]


async def snapshots(inspector: Inspector, shop: Shop, seconds: float) -> AsyncIterator[QueueSnapshot]:
    """Looks at the queue again and again, for so long at most."""
    async with asyncio.timeout(seconds):
        while True:
            yield await look(inspector, shop)
            await asyncio.sleep(0.05)


def ready(shop: Shop) -> str:
    condition = shop.condition("workerpool", "photos", "Ready")
    return f"{condition.get('status')} {condition.get('reason')}"


def probe(port: int, path: str) -> int:
    """HTTP status of a probe, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0
