"""Renders the chart with the real helm, without a cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_tool import commands, toolchain
from cluster_tool.errors import MissingPartError
from fixtures.requirement import everything_is_required, lacking

CHART = Path(__file__).parents[3] / "charts" / "jobfleet"
KUBERNETES = "1.34.4"
RELEASE, NAMESPACE = "jobfleet", "jobfleet-system"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendering:
    """What Kubernetes would get."""

    manifests: list[Manifest]

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        (found,) = (each for each in self.all(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self) -> list[Manifest]:
        """The Pod templates."""
        return [each["spec"]["template"] for each in self.manifests if "template" in each.get("spec", {})]


class Chart:
    """The chart and the helm that renders it."""

    def __init__(self, helm: Path) -> None:
        self._helm = helm

    def lint(self, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        return self._run("lint", "--strict", str(CHART), values=values)

    def render(self, values: Mapping[str, Any] | None = None) -> Rendering:
        answer = self._template(values)
        assert answer.returncode == 0, answer.stderr
        return Rendering([each for each in yaml.safe_load_all(answer.stdout) if each])

    def refusal(self, values: Mapping[str, Any]) -> str:
        """Why helm refuses these values."""
        answer = self._template(values)
        assert answer.returncode != 0, "helm took the values"
        return answer.stderr

    def _template(self, values: Mapping[str, Any] | None) -> subprocess.CompletedProcess[str]:
        where = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES)
        return self._run("template", RELEASE, str(CHART), *where, values=values)

    def _run(self, *words: str, values: Mapping[str, Any] | None) -> subprocess.CompletedProcess[str]:
        command = [str(self._helm), *words, "--values", "-"]
        return subprocess.run(
            command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="session")
def chart() -> Chart:
    if everything_is_required():
        try:
            return Chart(toolchain.program("helm"))
        except MissingPartError as missing:
            lacking(str(missing))
    built = toolchain.target("helm")
    helm = built if built.exists() else commands.find("helm")
    if helm is None:
        lacking("helm is missing; install it, or build it with: PYTHONPATH=tests python3 -m cluster_tool path helm")
    return Chart(helm)
