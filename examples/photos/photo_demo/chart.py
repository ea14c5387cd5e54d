"""Install the chart, with the images that were just built."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

from photo_demo.errors import DemoError
from photo_demo.images import PRODUCT, REDIS
from photo_demo.kubectl import Kubectl
from photo_demo.tool import REPOSITORY

RELEASE = "jobfleet"
NAMESPACE = "jobfleet-system"
WAIT_SECONDS = 180


def install(helm: Path, kubectl: Kubectl, *, replicas: int = 1, redis_image: str | None = REDIS, **more: str) -> None:
    """Install or upgrade the release and wait until it is ready; DemoError with helm's complaint otherwise.

    `redis_image` None leaves the chart's own choice of a Redis image; `more` are further values of the chart.
    """
    values = {**_image("image", PRODUCT), "operator.replicas": str(replicas), **more}
    if redis_image:
        values |= _image("redis.embedded.image", redis_image)
    settings = [f"--set={name}={value}" for name, value in values.items()]
    chart = REPOSITORY / "charts" / "jobfleet"
    system = kubectl.within(NAMESPACE)
    was_there = system.run("get", "deployments", f"--field-selector=metadata.name={RELEASE}", "--output=name")
    _helm(
        helm, kubectl, "upgrade", "--install", RELEASE, str(chart), "--create-namespace", "--wait",
        f"--timeout={WAIT_SECONDS}s", *settings,
    )  # fmt: skip
    if was_there:
        # The tag of a development image says nothing about its content: let the Pods start anew.
        system.run("rollout", "restart", f"deployment/{RELEASE}")
        system.run(
            "rollout", "status", f"deployment/{RELEASE}", f"--timeout={WAIT_SECONDS}s", seconds=WAIT_SECONDS + 10
        )


def uninstall(helm: Path, kubectl: Kubectl) -> None:
    """Remove the release; the resource definitions stay."""
    _helm(helm, kubectl, "uninstall", RELEASE, "--wait", f"--timeout={WAIT_SECONDS}s", "--ignore-not-found")


def redis_password(kubectl: Kubectl) -> str:
    """Return the password of the embedded Redis."""
    secret = kubectl.within(NAMESPACE).json("get", f"secret/{RELEASE}-redis")
    return base64.b64decode(secret["data"]["password"]).decode()


def _image(prefix: str, name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {f"{prefix}.repository": repository, f"{prefix}.tag": tag}


def _helm(helm: Path, kubectl: Kubectl, *words: str) -> None:
    command = [str(helm), f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={NAMESPACE}", *words]
    # helm reads KUBECONFIG and HELM_* too; only what is said here may decide where the chart goes.
    environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG" and not k.startswith("HELM_KUBE")}
    done = subprocess.run(  # noqa: S603 - the words are ours
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoError(f"`helm {words[0]}` failed: {done.stderr.strip()}")
